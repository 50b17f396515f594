"""An image file → its pixels, its rescaled copies and their LR images; several files at once in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.degradations import How, get_degradation
from srbench.errors import InputError
from srbench.images import as_rgb, crop_to_multiple, imresize, read_image

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
    """

    scale: int
    rescale: tuple[float, ...] = ()
    margin: int = 0
    degradation: str = "bicubic"


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
        image = as_rgb(read_image(path))
    except InputError as error:
        return Decoded(path.name, error=str(error))
    side = min(image.shape[:2])
    chosen = get_degradation(wanted.degradation)
    degrade = get_degradation("bicubic") if chosen.degradation.random else chosen
    copies = []
    for factor in (1.0, *wanted.rescale):
        if side * factor < crop:
            continue
        copy = image if factor == 1.0 else imresize(image, factor)
        hr = np.ascontiguousarray(crop_to_multiple(copy, wanted.scale))
        lr, around = degrade(hr, How(wanted.scale)), wanted.margin
        if around:
            lr = np.pad(lr, ((around, around), (around, around), (0, 0)), mode="symmetric")
        copies.append(Copy(side, factor, hr, lr))
    return Decoded(path.name, side, tuple(copies))
