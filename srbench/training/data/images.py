"""Training images, decoded once: in memory, or past a bound memory-mapped from a cache on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srbench.degradations import get_degradation
from srbench.errors import InputError
from srbench.training.data.cache import cached, estimate
from srbench.training.data.decode import U8, Decoded, Wanted, decode_all

MARGIN = 3  # LR pixels around a crop that its bicubic upscaling reads: 2, and one to spare


@dataclass(frozen=True)
class TrainingImages:
    """Decoded images and their rescaled copies.

    Attributes:
        hr: uint8 ``(H, W, 3)``, H and W multiples of the scale.
        lr: uint8 ``(H/scale + 2·margin, W/scale + 2·margin, 3)``, MATLAB bicubic, mirrored into the margin.
        scale: the scale.
        margin: LR pixels around each LR image.
        too_small: files that are smaller than a crop and were left out.
        bad: files that cannot be read and were left out.
        degradation: that a sampler applies to HR crops, since it is random; else empty, and ``lr`` is what it says.
    """

    hr: Sequence[U8]
    lr: Sequence[U8]
    scale: int
    margin: int
    too_small: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    degradation: str = ""


def load_images(  # noqa: PLR0913  (a keyword a choice)
    paths: Sequence[Path],
    scale: int,
    patch: int,
    rescale: Sequence[float] = (),
    margin: int = 0,
    skip_bad: bool = False,
    advance: Callable[[], None] = lambda: None,
    memory: float = math.inf,
    degradation: str = "bicubic",
    lr: Mapping[Path, Path] | None = None,
) -> TrainingImages:
    """Read images, add bicubic copies at the ``rescale`` sizes and make every LR; gray images become RGB.

    An image or copy smaller than ``patch`` LR pixels is left out. What would take more than ``memory`` bytes lies in a
    cache on disk instead, which is built at the first use and keyed by the files' hashes.

    Args:
        paths: the HR files.
        scale: the scale.
        patch: side of an LR crop.
        rescale: factors below 1.
        margin: LR pixels to mirror around each LR image.
        skip_bad: leave out files that cannot be read instead of raising.
        advance: called after each file.
        memory: the bound in bytes.
        degradation: how LR is made.
        lr: the LR file of each HR file, where it is not made.

    Raises:
        InputError: a file that cannot be read; no image as large as a crop; no room for the cache.
    """
    crop = patch * scale
    drawn = get_degradation(degradation).degradation.random
    size = estimate(paths, scale, rescale) if memory < math.inf else 0
    if size > memory:
        margin = MARGIN  # one cache for networks with and without an upscaled input before them
    wanted = Wanted(scale, tuple(rescale), margin, "bicubic" if drawn else degradation, lr or {})
    if size > memory:
        found: Iterable[Decoded] = cached(paths, wanted, size, skip_bad, advance)
    else:
        found = decode_all(paths, wanted, crop, advance)
    hrs: list[U8] = []
    lrs: list[U8] = []
    small: list[str] = []
    bad: list[str] = []
    for file in found:
        if file.error:
            if not skip_bad:
                raise InputError(f"{file.error}; --skip-bad leaves such images out")
            bad.append(file.name)
            continue
        if file.side < crop:
            small.append(file.name)
        hrs += [copy.hr for copy in file.copies if copy.holds(crop)]
        lrs += [copy.lr for copy in file.copies if copy.holds(crop)]
    if not hrs:
        raise InputError(
            f"none of the {len(paths)} training images holds a crop of {crop}×{crop} pixels "
            f"(patch {patch} at x{scale}); expected a smaller patch or larger images"
        )
    return TrainingImages(hrs, lrs, scale, margin, tuple(small), tuple(bad), degradation if drawn else "")


def upscaling_margin(pre_upsampled: bool) -> int:
    """The margin that :func:`load_images` must leave for a network's sampler."""
    return MARGIN if pre_upsampled else 0
