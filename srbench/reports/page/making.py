"""SR images for the page: upscaled by the zoo's checkpoints, stored in a folder with an index. Needs torch.

What a committed page shows is a crop of each ``sample`` image, without loss; a page for local use has whole images of any set.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from srbench.files import write_bytes
from srbench.images import U8, as_rgb
from srbench.reports.page.images import HR, LR, StoredFile, StoredImage, write_index

CROP = (256, 192)
"""Width and height of a stored crop in HR pixels; multiples of every scale from 2 to 4 and of 8."""


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
        """uint8 ``(H, W, 3)`` by checkpoint."""


@dataclass(frozen=True)
class Wanted:
    """What to store.

    Attributes:
        dataset: name. scale: upscaling factor. weights: sha256 by checkpoint, "" for an interpolator. whole: no crop.
        quality: of lossy WebP, None for no loss.
    """

    dataset: str
    scale: int
    weights: Mapping[str, str]
    whole: bool = False
    quality: int | None = None


def store_images(
    folder: Path, wanted: Wanted, images: Iterable[Versions], say: Callable[[str], None] | None = None
) -> list[StoredImage]:
    """Write every version of every image below ``folder``, and the index, which then names these alone.

    Args:
        folder: where; files that the new index does not name are removed.
        wanted: what to store.
        images: upscaled by every checkpoint of ``wanted``.
        say: is told each image's name.
    """
    stored = []
    for image in images:
        if say:
            say(image.image)
        stored.append(_store(folder, wanted, image))
    write_index(folder, stored)
    kept = {folder / file.file for image in stored for file in image.files.values()}
    for path in folder.glob("*/*/*.webp"):
        if path not in kept:
            path.unlink()
    return stored


def _store(folder: Path, wanted: Wanted, image: Versions) -> StoredImage:
    height, width = image.hr.shape[:2]
    box = None if wanted.whole else telling_crop(image, wanted.scale)
    versions = {LR: image.lr, HR: image.hr, **image.sr}
    files = {}
    for name, pixels in versions.items():
        part = pixels if box is None else _cut(pixels, box, wanted.scale if name == LR else 1)
        content = encode(part, None if name in (LR, HR) else wanted.quality)
        file = f"{wanted.dataset}_x{wanted.scale}/{image.image}/{name.replace('@', '_')}.webp"
        write_bytes(folder / file, content)
        files[name] = StoredFile(file, hashlib.sha256(content).hexdigest(), wanted.weights.get(name, ""))
    lossy = "" if wanted.quality is None else f"WebP at quality {wanted.quality}"
    return StoredImage(wanted.dataset, wanted.scale, image.image, (width, height), box, lossy, files)


def telling_crop(image: Versions, scale: int, size: tuple[int, int] = CROP) -> tuple[int, int, int, int]:
    """The window of ``size`` where the SR images lie furthest apart: x, y, width and height, multiples of the scale.

    Apart is, for each pixel, the greatest minus the smallest mean of R, G and B; a window counts its mean.
    """
    height, width = image.hr.shape[:2]
    w, h = (min(wanted, has) // scale * scale for wanted, has in zip(size, (width, height), strict=True))
    stack = np.stack([sr.astype(np.float32).mean(axis=2) for sr in image.sr.values()] or [image.hr.mean(axis=2)])
    apart = stack.max(axis=0) - stack.min(axis=0)
    sums = np.pad(apart.astype(np.float64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    grid = inside[::scale, ::scale]
    y, x = np.unravel_index(int(grid.argmax()), grid.shape)
    return int(x) * scale, int(y) * scale, w, h


def encode(image: U8, quality: int | None = None) -> bytes:
    """WebP of an RGB image, without loss unless a quality is given."""
    from PIL import Image

    buffer = io.BytesIO()
    opened = Image.fromarray(np.ascontiguousarray(as_rgb(image)))
    if quality is None:
        opened.save(buffer, format="WEBP", lossless=True, quality=100, method=6, exact=True)
    else:
        opened.save(buffer, format="WEBP", quality=quality, method=6)
    return buffer.getvalue()


def _cut(image: U8, box: tuple[int, int, int, int], shrink: int) -> U8:
    x, y, w, h = (value // shrink for value in box)
    return image[y : y + h, x : x + w]
