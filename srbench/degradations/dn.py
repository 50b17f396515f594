"""Bicubic reduction and noise (DN): Gaussian noise of level 30 on the 8-bit LR image, as RDN's and RCAN's test data were made.

Their noise is MATLAB's ``randn`` after ``randn('seed', 0)`` for every image anew. With that very noise bicubic gives the
published 24.01/.5369 (Set5) and 22.87/.4724 (Set14) at ×3, measured by luma of 8 bits with gray files as they are; another
draw moves Set5's mean by 0.02 dB (RDN, Zhang et al., CVPR 2018, arXiv:1802.08797; RCAN, ECCV 2018, arXiv:1807.02758).
"""

from __future__ import annotations

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import Draws, matlab_randn, round_u8
from srbench.degradations.bicubic import reduce

VERSION = 1


def reduce_and_add_noise(hr: U8, how: How) -> Array:
    """8-bit bicubic LR plus noise in single precision, rounded and clipped to 8 bits.

    Seed 0 is the published noise, the same for every image; any other seed gives each image its own.
    """
    small = reduce(hr, how).astype(np.float32)
    if how.seed == 0:  # MATLAB fills an array column by column, channel by channel
        drawn = matlab_randn(small.size).reshape(small.shape[::-1]).T
    else:
        drawn = Draws("dn", VERSION, how.seed, how.image).normals(small.shape)
    noise = (how.parameters["sigma"] * drawn).astype(np.float32)
    return round_u8(small + noise)


DEGRADATIONS.register(
    Degradation(
        name="dn",
        apply=reduce_and_add_noise,
        version=VERSION,
        summary="bicubic reduction plus Gaussian noise of level 30 in 8 bits (DN)",
        source="Zhang et al., CVPR 2018, arXiv:1802.08797",
        parameters={"sigma": 30.0},
        bounds={"sigma": (0.0, 255.0)},
        random=True,
    )
)
