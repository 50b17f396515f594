"""Crops of images: where networks differ most, and a crop as people write it. Used by the page and by figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError

U8 = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]


class Versions(Protocol):
    """One image of a set, upscaled, as ``evaluation.upscaled`` makes it."""

    @property
    def image(self) -> str:
        """Its name."""

    @property
    def hr(self) -> U8:
        """uint8 ``(H, W, 3)``."""

    @property
    def lr(self) -> U8:
        """uint8 ``(H/scale, W/scale, 3)``."""

    @property
    def sr(self) -> Mapping[str, U8]:
        """uint8 ``(H, W, 3)`` by the name asked for."""


def telling_crop(images: Sequence[U8], size: tuple[int, int], step: int = 1) -> Box:
    """The window in which some images of one scene lie furthest apart: x, y, width and height.

    Apart is, for each pixel, the greatest minus the smallest mean of R, G and B; a window counts its mean.

    Args:
        images: uint8 ``(H, W, 3)``, all of one size; of a single one, the window of most contrast is taken.
        size: width and height; cut to the image, and to multiples of ``step``.
        step: x, y, width and height are multiples of it, the scale, so that LR has the same crop.
    """
    gray = np.stack([image.astype(np.float64).mean(axis=2) for image in images])
    apart = gray.max(axis=0) - gray.min(axis=0) if len(gray) > 1 else np.abs(gray[0] - gray[0].mean())
    height, width = apart.shape
    w, h = (min(wanted, has) // step * step for wanted, has in zip(size, (width, height), strict=True))
    sums = np.pad(apart.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    grid = inside[::step, ::step]
    y, x = np.unravel_index(int(grid.argmax()), grid.shape)
    return int(x) * step, int(y) * step, w, h


def read_crop(text: str, width: int, height: int, image: str = "the image") -> Box | None:
    """``x,y,w,h`` in HR pixels; None for ``auto``.

    Args:
        text: as typed.
        width: that of the image.
        height: that of the image.
        image: its name, for the message.

    Raises:
        InputError: not four whole numbers, or not inside the image.

    >>> read_crop("8,16,48,32", 512, 512)
    (8, 16, 48, 32)
    """
    if text.strip().lower() == "auto":
        return None
    parts = text.split(",")
    try:
        x, y, w, h = (int(part) for part in parts)
    except ValueError:
        raise InputError(f"crop {text!r}: expected x,y,w,h in HR pixels, such as 120,80,64,48, or auto") from None
    if w < 1 or h < 1 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise InputError(
            f"crop {text}: x {x} to {x + w}, y {y} to {y + h} does not lie inside {image}, which is {width}×{height}"
        )
    return x, y, w, h


def cut(image: U8, box: Box, shrink: int = 1) -> U8:
    """The part of an image inside a box; ``shrink`` is the scale where the image is LR."""
    x, y, w, h = box
    x0, y0, x1, y1 = x // shrink, y // shrink, -(-(x + w) // shrink), -(-(y + h) // shrink)
    return image[y0:y1, x0:x1]
