"""An image file → its pixels, its rescaled copies and their LR images; several files at once in threads."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.degradations import How, get_degradation
from srbench.errors import InputError
from srbench.images import crop_to_multiple, imresize
from srbench.training.data.pairs import read_pair, read_rgb

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Copy:
    """One size of one file: ``factor`` of the original, whose shorter side is ``side``; arrays as in ``TrainingImages``."""

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
    """What is made from every file.

    Attributes:
        scale: the upscaling factor.
        rescale: factors of additional copies.
        margin: LR pixels to mirror around each LR image.
        degradation: how LR is made; a random one is left to the sampler, and LR is bicubic here.
        lr: the LR file of each HR file, where LR is not made.
    """

    scale: int
    rescale: tuple[float, ...] = ()
    margin: int = 0
    degradation: str = "bicubic"
    lr: Mapping[Path, Path] = field(default_factory=dict)


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
    if wanted.lr:
        return _decode_pair(path, wanted, crop)
    try:
        image = read_rgb(path)
    except InputError as error:
        return Decoded(path.name, error=str(error))
    side = min(image.shape[:2])
    factors = (1.0, *wanted.rescale)
    return Decoded(path.name, side, tuple(_copy(image, one, wanted) for one in factors if side * one >= crop))


def decode_copy(path: Path, wanted: Wanted, factor: float) -> Copy:
    """One of the copies that :func:`decode` gives, byte for byte; raises InputError where the file cannot be read."""
    if wanted.lr:
        hr, lr = read_pair(path, wanted.lr[path], wanted.scale)
        return Copy(min(hr.shape[:2]), 1.0, hr, _with_margin(lr, wanted.margin))
    return _copy(read_rgb(path), factor, wanted)


def size_of_copy(size: tuple[int, int], factor: float, scale: int) -> tuple[int, int]:
    """Height and width of a copy's HR image.

    Args:
        size: height and width of the file's image.
        factor: of the copy.
        scale: that HR is cropped to a multiple of.
    """
    height, width = (side if factor == 1.0 else math.ceil(side * factor - 1e-9) for side in size)  # as imresize does
    return height // scale * scale, width // scale * scale


def _copy(image: U8, factor: float, wanted: Wanted) -> Copy:
    chosen = get_degradation(wanted.degradation)
    degrade = get_degradation("bicubic") if chosen.degradation.random else chosen
    copy = image if factor == 1.0 else imresize(image, factor)
    hr = np.ascontiguousarray(crop_to_multiple(copy, wanted.scale))
    return Copy(min(image.shape[:2]), factor, hr, _with_margin(degrade(hr, How(wanted.scale)), wanted.margin))


def _decode_pair(path: Path, wanted: Wanted, crop: int) -> Decoded:
    try:
        hr, lr = read_pair(path, wanted.lr[path], wanted.scale)
    except InputError as error:
        return Decoded(path.name, error=str(error))
    side = min(hr.shape[:2])
    copies = (Copy(side, 1.0, hr, _with_margin(lr, wanted.margin)),) if side >= crop else ()
    return Decoded(path.name, side, copies)


def _with_margin(lr: U8, around: int) -> U8:
    return np.pad(lr, ((around, around), (around, around), (0, 0)), mode="symmetric") if around else lr
