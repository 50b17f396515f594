"""Damaged image files: the same pixels, a clear error, or, where a format carries no checksum, what Pillow itself decodes."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

from srbench.images import as_rgb, read_image, write_image
from tests.campaign import Fuzzer, damage


def prepare(folder: Path) -> dict[Path, np.ndarray]:
    """Small images of every format and kind that is read, with their pixels."""
    random_ = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(24), np.arange(32))[..., None] * np.array([4, 2, 1])
    colour = (smooth + random_.integers(0, 9, (24, 32, 3))).clip(0, 255).astype(np.uint8)
    sound = folder / "sound"
    for suffix in ("png", "bmp", "tif", "webp", "jpg"):
        write_image(sound / f"colour.{suffix}", colour)
        write_image(sound / f"gray.{suffix}", colour[..., 0])
    image = Image.fromarray(colour)
    image.quantize(16).save(sound / "palette.png")
    image.convert("RGBA").save(sound / "opaque.png")
    image.convert("1").save(sound / "bits.png")
    image.save(sound / "lzw.tif", compression="tiff_lzw")
    image.save(sound / "deflate.tif", compression="tiff_adobe_deflate")
    image.save(sound / "progressive.jpg", progressive=True)
    exif = image.getexif()
    exif[274] = 6
    image.save(sound / "turned.jpg", exif=exif)
    image.save(sound / "turned.png", exif=exif)
    image.save(sound / "lossy.webp", quality=80)
    return {path: read_image(path) for path in sorted(sound.iterdir())}


def attempt(prepared: object, random_: random.Random, folder: Path) -> None:
    """One damaged image."""
    assert isinstance(prepared, dict)
    path = random_.choice(list(prepared))
    content = damage(path.read_bytes(), random_)
    mutant = folder / f"mutant{path.suffix}"
    mutant.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF and TIFF data
        found = read_image(mutant)
        if content.startswith(b"\x89PNG"):
            expected = prepared[path]  # each chunk has a checksum: whatever is accepted is the image
        else:
            expected = by_pillow(mutant)
    assert found.dtype == np.uint8
    assert found.ndim in (2, 3)
    assert np.array_equal(as_rgb(found), as_rgb(expected)), f"{path.name}: other pixels, {found.shape} {expected.shape}"


def by_pillow(path: Path) -> np.ndarray:
    """What Pillow makes of a file that we accepted, without our way of opening it."""
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        gray = image.mode in ("1", "L", "LA")
        return np.asarray(image.convert("L" if gray else "RGB"))


FUZZER = Fuzzer("images", prepare, attempt)
