"""Training images: decoded once, in memory or past a bound in a cache on disk; past that, too, decoded when they are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from srbench.degradations import get_degradation
from srbench.errors import InputError
from srbench.references import size_of
from srbench.training.data.cache import cached, estimate, gib
from srbench.training.data.decode import U8, Decoded, Wanted, decode_all
from srbench.training.data.stream import Drawn, Looked, Part, Stream, copies_of, look_through

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
        kept: where the images are, for people; empty in memory.
    """

    hr: Sequence[U8]
    lr: Sequence[U8]
    scale: int
    margin: int
    too_small: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    degradation: str = ""
    kept: str = ""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each HR image; none is decoded for it."""
        if isinstance(self.hr, Part):
            return [one.size for one in self.hr.drawn]
        return [(hr.shape[0], hr.shape[1]) for hr in self.hr]

    @property
    def size(self) -> int:
        """Bytes of memory that they may take; what is mapped from the disk takes none for good."""
        if isinstance(self.hr, Part):
            return int(self.hr.stream.memory)
        return 0 if self.kept else size_of([self.hr, self.lr])

    def pairs(self, chosen: Sequence[int]) -> Iterator[tuple[U8, U8]]:
        """LR and HR images by their numbers, one pair after another."""
        if isinstance(self.hr, Part):
            for copy in self.hr.stream.in_turn(self.hr.of(chosen).drawn):
                yield copy.lr, copy.hr
            return
        for index in chosen:
            yield self.lr[index], self.hr[index]

    def of(self, chosen: Sequence[int]) -> TrainingImages:
        """Some of the images, by their numbers."""
        if isinstance(self.hr, Part) and isinstance(self.lr, Part):
            return replace(self, hr=self.hr.of(chosen), lr=self.lr.of(chosen))
        return replace(self, hr=[self.hr[index] for index in chosen], lr=[self.lr[index] for index in chosen])


def load_images(  # noqa: PLR0913  (a keyword a choice)
    paths: Sequence[Path],
    scale: int,
    patch: int,
    rescale: Sequence[float] = (),
    margin: int = 0,
    skip_bad: bool = False,
    advance: Callable[[], None] = lambda: None,
    memory: float = math.inf,
    disk: float = math.inf,
    degradation: str = "bicubic",
    lr: Mapping[Path, Path] | None = None,
) -> TrainingImages:
    """Read images, add bicubic copies at the ``rescale`` sizes and make every LR; gray images become RGB.

    An image or copy smaller than ``patch`` LR pixels is left out. What would take more than ``memory`` bytes lies in a
    cache on disk instead, which is built at the first use and keyed by the files' hashes; what would take more than ``disk``
    bytes there is decoded when it is drawn. The crops are the same bytes wherever the images are.

    Args:
        paths: the HR files.
        scale: the scale.
        patch: side of an LR crop.
        rescale: factors below 1.
        margin: LR pixels to mirror around each LR image.
        skip_bad: leave out files that cannot be read instead of raising.
        advance: called after each file.
        memory: the bound of decoded images in memory, in bytes.
        disk: that of decoded images on disk; older caches there make room first.
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
    if size > max(memory, disk):
        made = _streamed(paths, wanted, crop, skip_bad, advance, memory)
    elif size > memory:
        made = _collected(cached(paths, wanted, size, skip_bad, advance, disk), wanted, crop, skip_bad)
    else:
        made = _collected(decode_all(paths, wanted, crop, advance), wanted, crop, skip_bad)
    if not made.hr:
        bad = f" ({len(made.bad)} cannot be read)" if made.bad else ""
        raise InputError(
            f"none of the {len(paths)} training images holds a crop of {crop}×{crop} pixels "
            f"(patch {patch} at x{scale}){bad}; expected a smaller patch or larger images"
        )
    kept = "" if size <= memory else _where(size, memory, disk)
    return replace(made, degradation=degradation if drawn else "", kept=kept)


def _collected(found: Iterable[Decoded], wanted: Wanted, crop: int, skip_bad: bool) -> TrainingImages:
    hrs: list[U8] = []
    lrs: list[U8] = []
    left = _Left(crop, skip_bad)
    for file in found:
        if not left.takes(file):
            continue
        hrs += [copy.hr for copy in file.copies if copy.holds(crop)]
        lrs += [copy.lr for copy in file.copies if copy.holds(crop)]
    return TrainingImages(hrs, lrs, wanted.scale, wanted.margin, tuple(left.small), tuple(left.bad))


def _streamed(
    paths: Sequence[Path], wanted: Wanted, crop: int, skip_bad: bool, advance: Callable[[], None], memory: float
) -> TrainingImages:
    drawn: list[Drawn] = []
    left = _Left(crop, skip_bad)
    for path, looked in zip(paths, look_through(paths, wanted, advance), strict=True):
        if left.takes(looked):
            drawn += copies_of(path, looked, wanted, crop)
    stream = Stream(wanted, memory)
    hr, lr = Part(stream, drawn, "hr"), Part(stream, drawn, "lr")
    return TrainingImages(hr, lr, wanted.scale, wanted.margin, tuple(left.small), tuple(left.bad))


@dataclass
class _Left:
    """What is left out: the names of files whose images are smaller than a crop, and of those that cannot be read."""

    crop: int
    skip_bad: bool
    small: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def takes(self, file: Decoded | Looked) -> bool:
        """Whether a file could be read; InputError where that is asked of all. A small one may have copies of other sizes."""
        if file.error:
            if not self.skip_bad:
                raise InputError(f"{file.error}; --skip-bad leaves such images out")
            self.bad.append(file.name)
            return False
        if file.side < self.crop:
            self.small.append(file.name)
        return True


def _where(size: float, memory: float, disk: float) -> str:
    taken = f"decoded images would take {gib(size)}, more than {gib(memory)} of memory (--cache-memory)"
    if size <= disk:
        return f"{taken}: they are in a cache on disk"
    return (
        f"{taken} and {gib(disk)} of disk (--cache-disk): they are decoded again when they are drawn; "
        "`srbench data subimages` cuts them into files that are decoded sooner"
    )


def upscaling_margin(pre_upsampled: bool) -> int:
    """The margin that :func:`load_images` must leave for a network's sampler."""
    return MARGIN if pre_upsampled else 0
