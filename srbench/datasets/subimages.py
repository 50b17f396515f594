"""Large images cut into small files that overlap, so that a training run decodes what it needs and little else.

The way of BasicSR's ``extract_subimages.py`` (a window of 480 pixels every 240, the last one at the edge), with the LR images of
pairs cut at the same places.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from srbench.datasets import names
from srbench.datasets.hashes import digest_of, sha256_of
from srbench.errors import InputError
from srbench.files import listed
from srbench.images import as_rgb, write_image
from srbench.photos import read_rounded
from srbench.records import parse, read_json, unseal, write_json

U8 = npt.NDArray[np.uint8]
MANIFEST = "subimages.json"


class Cut(BaseModel):
    """How a folder of parts was cut, as its manifest holds it.

    Attributes:
        size: side of a part, in HR pixels.
        step: from one part to the next.
        scale: of the LR images that were cut, too; 0 for none.
        source: digest over the names and sha256 of the images.
        compared: whether the images were compared with test images before they were cut.
        overlaps: which of them show test images, where that was allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int
    step: int
    scale: int = 0
    source: str = ""
    compared: bool = False
    overlaps: list[str] = []


@dataclass(frozen=True)
class Parts:
    """What was written.

    Attributes:
        folder: of the HR parts.
        count: of HR parts.
        small: images of which one side is shorter than a part; they are one part as they are, or several along the other side.
        bytes: of all files.
    """

    folder: Path
    count: int
    small: tuple[str, ...]
    bytes: int


def starts(length: int, size: int, step: int, multiple: int = 1) -> list[int]:
    """Where parts of ``size`` pixels begin on a side: every ``step``, and one that ends at the edge.

    Args:
        length: of the side; shorter than ``size`` gives one part.
        size: of a part.
        step: from one to the next.
        multiple: that each beginning must be of, for LR images.

    >>> starts(1000, 480, 240)
    [0, 240, 480, 520]
    """
    if length <= size:
        return [0]
    found = list(range(0, length - size + 1, step))
    last = (length - size) // multiple * multiple
    return found if found[-1] >= last else [*found, last]


def cut(
    paths: Sequence[Path],
    out: Path,
    how: Cut,
    lr: Mapping[Path, Path] | None = None,
    advance: Callable[[], None] = lambda: None,
    misfit: Callable[[U8, U8, int], str] = lambda *_: "",
) -> Parts:
    """Write the parts of images as PNG into ``out/HR``, those of their LR images into ``out/LR_x<scale>``.

    A part that is there is kept: files appear whole or not at all, so that the same call goes on where it was stopped.

    Args:
        paths: the HR files.
        out: a folder of its own.
        how: size and step, multiples of ``scale`` where LR images are cut.
        lr: the LR file of each HR file.
        advance: called after each file.
        misfit: ``misfit(hr, lr, scale)`` says what is wrong with a pair, in words between the names of LR and HR; "" for nothing.

    Returns:
        what is there now.

    Raises:
        InputError: sizes that cannot be used, a folder that holds something else, an image that cannot be read, a pair of another
            scale or that does not fit, two files whose parts would have one name.
    """
    check(how)
    stems = _stems(paths)
    how = how.model_copy(update={"source": digest_of({path.name: value for path, value in sha256_of(paths).items()})})
    _claim(out, how)
    small: list[str] = []

    def work(path: Path) -> bool:
        return _cut_one(path, stems[path], out, how, (lr or {}).get(path), misfit)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "cutter") as threads:
        for path, short in zip(paths, threads.map(work, paths), strict=True):
            small += [path.name] if short else []
            advance()
    written = [path for path in listed(out, "**/*.png") if path.is_file()]
    count = sum(path.parent.name == "HR" for path in written)
    return Parts(out / "HR", count, tuple(small), sum(path.stat().st_size for path in written))


def check(how: Cut) -> None:
    """Raise InputError for sizes that cannot be used."""
    if not how.size >= 16:
        raise InputError(f"--size {how.size}: expected parts of at least 16 pixels")
    if not 1 <= how.step <= how.size:
        raise InputError(f"--step {how.step}: expected 1 to {how.size}, the size, so that no pixel is left out")
    for name, value in (("--size", how.size), ("--step", how.step)):
        if how.scale and value % how.scale:
            raise InputError(f"{name} {value}: expected a multiple of {how.scale}, the scale of the LR images")


def cut_of(hr_folder: Path) -> Cut | None:
    """How the parts in a folder ``HR`` were cut; None where they are none. InputError for a manifest that cannot be read."""
    path = hr_folder.parent / MANIFEST
    if hr_folder.name != "HR" or not path.is_file():
        return None
    return parse(Cut, unseal(read_json(path, "a manifest of parts"), path), str(path))


def _stems(paths: Sequence[Path]) -> dict[Path, str]:
    """The beginning of the names of each file's parts, each another."""
    found: dict[str, Path] = {}
    for path in paths:
        stem = names.stem(path)
        if (other := found.setdefault(stem, path)) != path:
            raise InputError(f"{path} and {other} would have parts of one name; expected other names")
    return {path: stem for stem, path in found.items()}


def _claim(out: Path, how: Cut) -> None:
    """Write the manifest, or go on under one that says the same."""
    path = out / MANIFEST
    if path.is_file():
        was = cut_of(out / "HR")
        if was is not None and was != how:
            said = f"{was.size} pixels every {was.step}" if was.source == how.source else "other images"
            raise InputError(f"{out} holds parts of {said}; expected another folder, or this one empty")
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no {MANIFEST}; expected a folder of its own")
    write_json(path, how.model_dump())


def _cut_one(path: Path, stem: str, out: Path, how: Cut, lr: Path | None, misfit: Callable[[U8, U8, int], str]) -> bool:
    """Write the parts of one image and its LR; whether a side of it is shorter than a part."""
    hr = read_rounded(path)
    small = None if lr is None else read_rounded(lr)
    if small is not None:
        height, width = small.shape[0] * how.scale, small.shape[1] * how.scale
        if height > hr.shape[0] or width > hr.shape[1] or max(hr.shape[0] - height, hr.shape[1] - width) >= 12:
            raise InputError(
                f"{lr}: LR is {small.shape[1]}×{small.shape[0]} and its HR {path.name} {hr.shape[1]}×{hr.shape[0]}, which is "
                f"not x{how.scale}"
            )
        hr = hr[:height, :width]
        if trouble := misfit(as_rgb(hr), as_rgb(small), how.scale):
            raise InputError(f"{lr} {trouble} {path.name}")
    multiple = how.scale or 1
    places = [
        (top, left)
        for top in starts(hr.shape[0], how.size, how.step, multiple)
        for left in starts(hr.shape[1], how.size, how.step, multiple)
    ]
    for number, (top, left) in enumerate(places, 1):
        name = f"{stem}_s{number:03d}.png"
        _write(out / "HR" / name, hr[top : top + how.size, left : left + how.size])
        if small is not None:
            side, y, x = how.size // multiple, top // multiple, left // multiple
            _write(out / f"LR_x{how.scale}" / name, small[y : y + side, x : x + side])
    return min(hr.shape[:2]) < how.size


def _write(path: Path, part: U8) -> None:
    if not path.is_file():
        write_image(path, np.ascontiguousarray(part))
