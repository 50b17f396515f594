"""Blur and decimation (BD): a Gaussian of σ 1.6, then every third pixel, as RDN's and RCAN's test data were made.

Bicubic of it, measured by luma of 8 bits with gray files as they are, gives the published 28.78/.8308 (Set5) and 26.38/.7271
(Set14) at ×3 (RDN, Zhang et al., CVPR 2018, arXiv:1802.08797; RCAN, ECCV 2018, arXiv:1807.02758).
"""

from __future__ import annotations

import math

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import filter_u8, gaussian


def blur_and_decimate(hr: U8, how: How) -> Array:
    """The blurred image in 8 bits, edges replicated, and of it the middle pixel of every block.

    The kernel is 7×7 at ×3; at another odd scale its side is 2⌈3σ⌉ + 1, at an even one 2⌈3σ⌉ + 2.
    """
    scale, sigma = how.scale, how.parameters["sigma"]
    reach = math.ceil(3 * sigma)
    size = 7 if scale == 3 and sigma == 1.6 else 2 * reach + (1 if scale % 2 else 2)
    # An even kernel has its middle at its element size/2 − 1, counted from 0, as in MATLAB.
    blurred = filter_u8(hr, gaussian(size, sigma), origin=0 if size % 2 else -1)
    first = (scale - 1) // 2
    lr: Array = blurred[first::scale, first::scale]
    return lr


DEGRADATIONS.register(
    Degradation(
        name="bd",
        apply=blur_and_decimate,
        version=1,
        summary="7×7 Gaussian blur of σ 1.6 in 8 bits, then the middle pixel of every 3×3 block (BD)",
        source="Zhang et al., CVPR 2018, arXiv:1802.08797",
        parameters={"sigma": 1.6},
        bounds={"sigma": (0.1, 10.0)},
    )
)
