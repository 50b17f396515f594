"""Eight Gaussian kernels of a fixed list before the bicubic reduction: isotropic ones, and turned anisotropic ones.

``gaussian8`` has the 21×21 isotropic kernels that blind SR is tested with: σ from 0.8 to 1.6 at ×2, 1.35 to 2.4 at ×3, 1.8 to
3.2 at ×4 eight evenly spaced (Gu et al., "Blind Super-Resolution With Iterative Kernel Correction", CVPR 2019,
arXiv:1904.03377). ``aniso8`` has eight 21×21 kernels with σ of 2·s/3 along one axis and s/3 along the other (s is the scale),
turned by multiples of 22.5°.
"""

from __future__ import annotations

import math

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import F64, Draws, filter_u8, gaussian
from srbench.degradations.bicubic import reduce

SIGMAS = {2: (0.8, 1.6), 3: (1.35, 2.4), 4: (1.8, 3.2)}
SIZE = 21
VERSION = 1


def isotropic(scale: int, number: int) -> F64:
    """Kernel ``number`` of 1 to 8 at a scale, ``(21, 21)``."""
    least, most = SIGMAS[scale]
    return gaussian(SIZE, least + (most - least) * (number - 1) / 7)


def anisotropic(scale: int, number: int) -> F64:
    """Kernel ``number`` of 1 to 8 at a scale, ``(21, 21)``."""
    return gaussian(SIZE, 2 * scale / 3, scale / 3, math.pi / 8 * (number - 1))


def number_of(how: How, name: str) -> int:
    """The kernel that is asked for, or where that is 0 the one that the image's name draws."""
    asked = round(how.parameters["kernel"])
    return asked or 1 + min(7, int(8 * Draws(name, VERSION, how.seed, how.image).uniform()))


def _isotropic8(hr: U8, how: How) -> Array:
    return reduce(filter_u8(hr, isotropic(how.scale, number_of(how, "gaussian8"))), how)


def _anisotropic8(hr: U8, how: How) -> Array:
    return reduce(filter_u8(hr, anisotropic(how.scale, number_of(how, "aniso8"))), how)


def kernels(name: str, scale: int) -> F64:
    """The eight kernels of ``gaussian8`` or ``aniso8``, ``(8, 21, 21)``."""
    made = isotropic if name == "gaussian8" else anisotropic
    return np.stack([made(scale, number) for number in range(1, 9)])


DEGRADATIONS.register(
    Degradation(
        name="gaussian8",
        apply=_isotropic8,
        version=VERSION,
        summary="one of eight isotropic Gaussian blurs (kernel=1 … 8; else drawn by the image's name), then bicubic",
        source="Gu et al., CVPR 2019, arXiv:1904.03377",
        parameters={"kernel": 0.0},
        bounds={"kernel": (0.0, 8.0)},
        scales=(2, 3, 4),
        random=True,
    )
)
DEGRADATIONS.register(
    Degradation(
        name="aniso8",
        apply=_anisotropic8,
        version=VERSION,
        summary="one of eight turned anisotropic Gaussian blurs (kernel=1 … 8; else drawn by the image's name), then bicubic",
        source="kernels of the kind of Zhang et al., CVPR 2018, arXiv:1712.06116",
        parameters={"kernel": 0.0},
        bounds={"kernel": (0.0, 8.0)},
        scales=(2, 3, 4),
        random=True,
    )
)
