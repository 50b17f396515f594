"""Training pictures, decoded once: in memory, or past a bound memory-mapped from a cache on disk."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.images import as_rgb, crop_to_multiple, imresize, read_image

U8 = npt.NDArray[np.uint8]
MARGIN = 3  # LR pixels around a crop that its bicubic enlargement reads: 2, and one to spare


@dataclass(frozen=True)
class TrainingPictures:
    """Decoded pictures and their rescaled copies.

    Attributes:
        hr: uint8 ``(H, W, 3)``, H and W multiples of the scale.
        lr: uint8 ``(H/scale + 2·margin, W/scale + 2·margin, 3)``, MATLAB bicubic, mirrored into the margin.
        scale: the enlargement.
        margin: LR pixels around each LR picture.
        too_small: files that are smaller than a crop and were left out.
        bad: files that cannot be read and were left out.
    """

    hr: Sequence[U8]
    lr: Sequence[U8]
    scale: int
    margin: int
    too_small: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Copy:
    """One size of one file: ``factor`` of the original, whose shorter side is ``side``; arrays as in TrainingPictures."""

    side: int
    factor: float
    hr: U8
    lr: U8

    def holds(self, crop: int) -> bool:
        """Whether a crop of ``crop`` HR pixels fits."""
        return self.side * self.factor >= crop


@dataclass(frozen=True)
class Decoded:
    """A file and its copies; ``error`` says why there are none."""

    name: str
    side: int = 0
    copies: tuple[Copy, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is made of every file.

    Attributes:
        scale: the enlargement. rescale: factors of additional copies. margin: LR pixels to mirror around each LR picture.
    """

    scale: int
    rescale: tuple[float, ...] = ()
    margin: int = 0


def load_pictures(
    paths: Sequence[Path],
    scale: int,
    patch: int,
    rescale: Sequence[float] = (),
    margin: int = 0,
    skip_bad: bool = False,
    advance: Callable[[], None] = lambda: None,
    memory: float = math.inf,
) -> TrainingPictures:
    """Read pictures, add bicubic copies at the ``rescale`` sizes and make every LR; gray pictures become RGB.

    A picture or copy smaller than ``patch`` LR pixels is left out. What would take more than ``memory`` bytes lies in a
    cache on disk instead, which is built at the first use and keyed by the files' hashes.

    Args:
        paths: the HR files.
        scale: the enlargement.
        patch: side of an LR crop.
        rescale: factors below 1.
        margin: LR pixels to mirror around each LR picture.
        skip_bad: leave out files that cannot be read instead of raising.
        advance: called after each file.
        memory: the bound in bytes.

    Raises:
        InputError: a file that cannot be read; no picture as large as a crop; no room for the cache.
    """
    from srbench.training.cache import cached, estimate

    crop = patch * scale
    size = estimate(paths, scale, rescale) if memory < math.inf else 0
    if size > memory:
        margin = MARGIN  # one cache for networks with and without an enlargement before them
        found: Iterable[Decoded] = cached(paths, Wanted(scale, tuple(rescale), margin), size, skip_bad, advance)
    else:
        found = decode_all(paths, Wanted(scale, tuple(rescale), margin), crop, advance)
    hrs: list[U8] = []
    lrs: list[U8] = []
    small: list[str] = []
    bad: list[str] = []
    for file in found:
        if file.error:
            if not skip_bad:
                raise InputError(f"{file.error}; --skip-bad leaves such pictures out")
            bad.append(file.name)
            continue
        if file.side < crop:
            small.append(file.name)
        hrs += [copy.hr for copy in file.copies if copy.holds(crop)]
        lrs += [copy.lr for copy in file.copies if copy.holds(crop)]
    if not hrs:
        raise InputError(
            f"none of the {len(paths)} training pictures holds a crop of {crop}×{crop} pixels "
            f"(patch {patch} at x{scale}); expected a smaller patch or larger pictures"
        )
    return TrainingPictures(hrs, lrs, scale, margin, tuple(small), tuple(bad))


def decode_all(
    paths: Sequence[Path], wanted: Wanted, crop: int, advance: Callable[[], None] = lambda: None
) -> Iterator[Decoded]:
    """Every file in order, with its copies that hold a crop of ``crop`` HR pixels; a few files ahead in threads."""
    workers = min(8, os.cpu_count() or 1)
    waiting: deque[Future[Decoded]] = deque()
    with ThreadPoolExecutor(workers, "decoder") as threads:
        try:
            for path in paths:
                waiting.append(threads.submit(decode, path, wanted, crop))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
                    advance()
            while waiting:
                yield waiting.popleft().result()
                advance()
        finally:
            for future in waiting:
                future.cancel()


def decode(path: Path, wanted: Wanted, crop: int) -> Decoded:
    """One file and its copies that hold a crop of ``crop`` HR pixels."""
    try:
        picture = as_rgb(read_image(path))
    except InputError as error:
        return Decoded(path.name, error=str(error))
    side = min(picture.shape[:2])
    copies = []
    for factor in (1.0, *wanted.rescale):
        if side * factor < crop:
            continue
        copy = picture if factor == 1.0 else imresize(picture, factor)
        hr = np.ascontiguousarray(crop_to_multiple(copy, wanted.scale))
        lr, around = imresize(hr, 1 / wanted.scale), wanted.margin
        if around:
            lr = np.pad(lr, ((around, around), (around, around), (0, 0)), mode="symmetric")
        copies.append(Copy(side, factor, hr, lr))
    return Decoded(path.name, side, tuple(copies))


def enlarge_margin(pre_upsampled: bool) -> int:
    """The margin that :func:`load_pictures` must leave for a network's sampler."""
    return MARGIN if pre_upsampled else 0
