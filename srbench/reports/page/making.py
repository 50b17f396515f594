"""SR images for the page: upscaled by the zoo's checkpoints, stored in a folder with an index. Needs torch.

What a committed page shows is a crop of each ``sample`` image, without loss; a page for local use has whole images of any set.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srbench.errors import InputError, UnknownNameError
from srbench.files import listed, write_bytes
from srbench.images import U8, as_rgb
from srbench.reports.crops import Versions, cut, telling_crop
from srbench.reports.page.images import HR, LR, StoredFile, StoredImage, write_index
from srbench.reports.tables.overview import REFERENCE, shown_checkpoints
from srbench.reports.tables.rows import Table
from srbench.zoo import Card

CROP = (256, 192)
"""Width and height of a stored crop in HR pixels; multiples of every scale from 2 to 4 and of 8."""


@dataclass(frozen=True)
class Wanted:
    """What to store.

    Attributes:
        dataset: name.
        scale: upscaling factor.
        weights: sha256 by checkpoint, "" for an interpolator.
        whole: no crop.
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
    for path in listed(folder, "*/*/*.webp"):
        if path not in kept:
            path.unlink()
    return stored


def _store(folder: Path, wanted: Wanted, image: Versions) -> StoredImage:
    height, width = image.hr.shape[:2]
    box = None if wanted.whole else telling_crop(list(image.sr.values()), CROP, wanted.scale)
    versions = {LR: image.lr, HR: image.hr, **image.sr}
    files = {}
    for name, pixels in versions.items():
        part = pixels if box is None else cut(pixels, box, wanted.scale if name == LR else 1)
        content = encode(part, None if name in (LR, HR) else wanted.quality)
        file = f"{wanted.dataset}_x{wanted.scale}/{image.image}/{name.replace('@', '_')}.webp"
        write_bytes(folder / file, content)
        files[name] = StoredFile(file, hashlib.sha256(content).hexdigest(), wanted.weights.get(name, ""))
    lossy = "" if wanted.quality is None else f"WebP at quality {wanted.quality}"
    return StoredImage(wanted.dataset, wanted.scale, image.image, (width, height), box, lossy, files)


def encode(image: U8, quality: int | None = None) -> bytes:
    """WebP of an RGB image, without loss unless a quality is given."""
    from PIL import Image

    buffer = io.BytesIO()
    opened = Image.fromarray(np.ascontiguousarray(as_rgb(image)))
    if quality is None:
        opened.save(
            buffer, format="WEBP", lossless=True, quality=75, method=4, exact=True
        )  # more effort: 5 % less, 60 times as long
    else:
        opened.save(buffer, format="WEBP", quality=quality, method=6)
    return buffer.getvalue()


def best_checkpoints(
    tables: Sequence[Table], cards: Iterable[Card], dataset: str, scale: int, names: Sequence[str] = ()
) -> dict[str, str]:
    """Names and weights (sha256) to upscale with: bicubic, then those that the tables call the best of each architecture.

    Args:
        tables: with the scores that say which is best.
        cards: of the zoo.
        dataset: name.
        scale: upscaling factor.
        names: checkpoints in the place of the best ones.

    Raises:
        InputError: no record says which is best.
        UnknownNameError: a name that the zoo has not.
    """
    known = {card.name: card.sha256 for card in cards if scale in card.scales}
    if not names:
        fitting = [t for t in tables if t.scale == scale and t.protocol_name == "standard" and t.rows]
        if all(table.dataset != dataset for table in fitting):
            raise InputError(f"results/ has nothing of {dataset} ×{scale}: srbench eval --all --datasets {dataset}")
        names = shown_checkpoints(fitting, dataset)
    for name in names:
        if name not in known:
            raise UnknownNameError("checkpoint", name, known, f"the zoo at x{scale}")
    return {REFERENCE: "", **{name: known[name] for name in names}}
