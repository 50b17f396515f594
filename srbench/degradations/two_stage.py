"""The two-stage random degradation of blind SR: blur, resize, noise and JPEG, twice, with ringing at the end.

The order, the kinds and the ranges are those that Real-ESRGAN describes (Wang et al., ICCV workshops 2021, arXiv:2107.10833,
with its published training options). Written anew here, with two differences: every step ends in 8 bits, so that an image has
the same bytes on every machine, and Poisson noise is normal with Poisson's variance. The draws hang on the seed and the
image's name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import F64, Draws, filter_u8, gaussian, normalised, round_u8, turned
from srbench.degradations.jpeg import compress
from srbench.resize import imresize

VERSION = 1

_SHAPES = {
    "round": 0.45,
    "turned": 0.25,
    "general": 0.12,
    "general-turned": 0.03,
    "plateau": 0.12,
    "plateau-turned": 0.03,
}
_METHODS = {"area": 1.0, "bilinear": 1.0, "bicubic": 1.0}


@dataclass(frozen=True)
class Stage:
    """The ranges of one round.

    Attributes:
        blur: probability of a blur.
        sigma: of its kernel, in pixels.
        general: shape parameter β of a generalised Gaussian.
        plateau: β of a plateau-shaped kernel.
        resize: probabilities of enlarging, reducing and keeping the size.
        factor: least and greatest factor.
        gaussian: least and greatest level of Gaussian noise.
        poisson: least and greatest strength of Poisson noise.
    """

    blur: float
    sigma: tuple[float, float]
    general: tuple[float, float]
    plateau: tuple[float, float]
    resize: tuple[float, float, float]
    factor: tuple[float, float]
    gaussian: tuple[float, float]
    poisson: tuple[float, float]


FIRST = Stage(1.0, (0.2, 3.0), (0.5, 4.0), (1.0, 2.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Stage(0.8, (0.2, 1.5), (0.5, 4.0), (1.0, 2.0), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))


def degrade(hr: U8, how: How) -> Array:
    """LR by two rounds of blur, resize, noise and JPEG, then ringing and a last JPEG in either order."""
    draws = Draws("two-stage", VERSION, how.seed, how.image)
    size = (hr.shape[0] // how.scale, hr.shape[1] // how.scale)
    image = _round(hr, FIRST, hr.shape[:2], draws)
    image = compress(image, round(draws.uniform(30, 95)))
    image = _round(image, SECOND, size, draws)
    quality = round(draws.uniform(30, 95))
    if draws.uniform() < 0.5:
        return compress(_ringing(_resize(image, size, draws), draws), quality)
    return _ringing(_resize(compress(image, quality), size, draws), draws)


def _round(image: U8, stage: Stage, size: tuple[int, ...], draws: Draws) -> U8:
    """Blur, resize to a random multiple of ``size``, noise."""
    if draws.uniform() < stage.blur:
        image = filter_u8(image, _kernel(stage, draws))
    up, down, keep = stage.resize
    kind = draws.choice({"up": up, "down": down, "keep": keep})
    low, high = {"up": (1.0, stage.factor[1]), "down": (stage.factor[0], 1.0), "keep": (1.0, 1.0)}[kind]
    factor = draws.uniform(low, high)
    return _noise(_resize(image, (round(factor * size[0]), round(factor * size[1])), draws), stage, draws)


def _kernel(stage: Stage, draws: Draws) -> F64:
    size = 2 * int(draws.uniform(3, 11)) + 1
    if draws.uniform() < 0.1:
        return _sinc(size, draws.uniform(math.pi / 3 if size < 13 else math.pi / 5, math.pi))
    shape = draws.choice(_SHAPES)
    first, second, angle = draws.uniform(*stage.sigma), draws.uniform(*stage.sigma), draws.uniform(-math.pi, math.pi)
    second, angle = (second, angle) if shape.endswith("turned") else (first, 0.0)
    beta = draws.uniform(*(stage.general if shape.startswith("general") else stage.plateau))
    if shape in ("round", "turned"):
        return gaussian(size, first, second, angle)
    x, y = turned(size, angle)
    distance = (x / first) ** 2 + (y / second) ** 2
    return normalised(np.exp(-0.5 * distance**beta) if shape.startswith("general") else 1 / (distance**beta + 1))


def _sinc(size: int, cutoff: float) -> F64:
    """A circular low-pass filter, which rings: ``cutoff`` in radians a pixel."""
    from scipy.special import j1

    x, y = turned(size, 0.0)
    radius = np.hypot(x, y)
    middle = (size - 1) // 2
    radius[middle, middle] = 1.0
    kernel = cutoff * j1(cutoff * radius) / (2 * math.pi * radius)
    kernel[middle, middle] = cutoff**2 / (4 * math.pi)
    return normalised(kernel)


def _resize(image: U8, size: tuple[int, int], draws: Draws) -> U8:
    method = draws.choice(_METHODS)
    height, width = (max(1, side) for side in size)
    if image.shape[:2] == (height, width):
        return image
    resized: U8 = imresize(image, size=(height, width), method=method)
    return resized


def _noise(image: U8, stage: Stage, draws: Draws) -> U8:
    """Gaussian or Poisson noise, in four of ten images the same for all channels."""
    gray = image.ndim == 3 and draws.uniform() < 0.4
    poisson = draws.uniform() < 0.5
    strength = draws.uniform(*(stage.poisson if poisson else stage.gaussian))
    drawn = draws.normals(image.shape[:2] if gray else image.shape)
    seen = image.astype(np.float64)
    if gray:
        drawn, seen_by = drawn[..., None], seen.mean(axis=2, keepdims=True)
    else:
        seen_by = seen
    # A count of photons n has variance n: on the 0–255 scale, with 256 levels, that is the sample itself.
    return round_u8(seen + strength * drawn * (np.sqrt(seen_by) if poisson else 1.0))


def _ringing(image: U8, draws: Draws) -> U8:
    if draws.uniform() >= 0.8:
        return image
    return filter_u8(image, _sinc(2 * int(draws.uniform(3, 11)) + 1, draws.uniform(math.pi / 3, math.pi)))


DEGRADATIONS.register(
    Degradation(
        name="two-stage",
        apply=degrade,
        version=VERSION,
        summary="random blur, resize, noise and JPEG, twice, then ringing, as in Real-ESRGAN; drawn by the image's name",
        source="Wang et al., ICCV workshops 2021, arXiv:2107.10833",
        random=True,
    )
)
