"""The bicubic reductions of other libraries, which many scripts take for MATLAB's: OpenCV's and Pillow's.

OpenCV's has no antialiasing and another kernel (a = −0.75), so that its ×4 LR holds aliasing; Pillow's differs from MATLAB's by
its edges and by rounding.
"""

from __future__ import annotations

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import F64, round_u8


def opencv(hr: U8, how: How) -> Array:
    """LR as ``cv2.resize(hr, None, fx=1/s, fy=1/s, interpolation=cv2.INTER_CUBIC)`` makes it, but for single samples by 1."""
    image = hr.astype(np.float64)
    for axis in (0, 1):
        weights, index = _taps(image.shape[axis], how.scale)
        image = _along(image, axis, weights, index)
    return round_u8(image)


def _taps(length: int, scale: int) -> tuple[F64, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Keys' kernel with a = −0.75 at the input's own width, in multiples of 2⁻¹¹ as OpenCV has them; edges replicated."""
    a = -0.75
    centre = (np.arange(length // scale) + 0.5) * scale - 0.5
    first = np.floor(centre)
    t = centre - first
    near, far = t + 1, 2 - t
    weights = np.stack(
        [
            ((a * near - 5 * a) * near + 8 * a) * near - 4 * a,
            ((a + 2) * t - (a + 3)) * t * t + 1,
            ((a + 2) * (1 - t) - (a + 3)) * (1 - t) ** 2 + 1,
            ((a * far - 5 * a) * far + 8 * a) * far - 4 * a,
        ],
        axis=1,
    )
    index = np.clip(first[:, None].astype(np.int64) + np.arange(-1, 3), 0, length - 1)
    return np.round(weights * 2048) / 2048, index


def _along(image: F64, axis: int, weights: F64, index: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> F64:
    moved = np.moveaxis(image, axis, 0)
    taps = moved[index]  # (out, 4, …)
    summed: F64 = np.einsum("ok,ok...->o...", weights, taps)
    return np.moveaxis(summed, 0, axis)


def pillow(hr: U8, how: How) -> Array:
    """LR by Pillow's own ``Image.resize`` with ``BICUBIC``."""
    from PIL import Image

    size = (hr.shape[1] // how.scale, hr.shape[0] // how.scale)
    return np.array(Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)


DEGRADATIONS.register(
    Degradation(
        name="opencv-bicubic",
        apply=opencv,
        version=1,
        summary="OpenCV's INTER_CUBIC: no antialiasing (not MATLAB's bicubic, though often taken for it)",
        source="OpenCV, imgproc/resize",
    )
)
DEGRADATIONS.register(
    Degradation(
        name="pillow-bicubic",
        apply=pillow,
        version=1,
        summary="Pillow's BICUBIC (not MATLAB's bicubic, though often taken for it)",
        source="Pillow, Image.resize",
    )
)
