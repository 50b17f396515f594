"""Training and validation images that show what a test image shows, whatever was done to them: left out, or named."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srbench.datasets.image_set import ImageSet
from srbench.datasets.overlaps import Overlap, known, of_test_sets, overlaps
from srbench.datasets.subimages import Cut, cut_of
from srbench.errors import InputError, counted


@dataclass(frozen=True)
class Guarded:
    """What a run may learn from.

    Attributes:
        train: the training images.
        val: the validation images.
        overlaps: that were found among them.
        allowed: whether these are used all the same.
        compared: what was compared and how long it took, one line.
        of_parts: what the manifests of parts say that these show, where that was allowed.
    """

    train: list[Path]
    val: list[Path]
    overlaps: tuple[Overlap, ...] = ()
    allowed: bool = False
    compared: str = ""
    of_parts: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """``<set>/<image>`` of the images, each once."""
        return list(dict.fromkeys(one.image for one in self.overlaps))

    @property
    def marks(self) -> list[str]:
        """What a card says of what was used all the same."""
        return [*self.of_parts, *(f"{one.image} is {one.shows}" for one in self.overlaps if self.allowed)]

    @property
    def left_out(self) -> list[str]:
        """What a card says of what was left out."""
        return [] if self.allowed else self.names

    def lines(self) -> list[str]:
        """What the user is told."""
        shown = [one.describe() for one in self.overlaps[:10]]
        more = [f"and {len(self.overlaps) - 10} more"] if len(self.overlaps) > 10 else []
        done = "trained on all the same (--allow-overlap)" if self.allowed else "left out"
        return [self.compared, *(f"{line}: {done}" for line in [*shown, *more])]


def guard(
    sets: Sequence[ImageSet], train: list[Path], val: list[Path], data_root: str | None = None, allow: bool = False
) -> Guarded:
    """Compare the images of a run with the catalog's test sets.

    Args:
        sets: that the images are of.
        train: the training images.
        val: the validation images.
        data_root: where sets of the catalog are looked for, whose prints the package has not.
        allow: use what overlaps all the same.

    Raises:
        InputError: nothing would be left.
    """
    begun, used = time.perf_counter(), {*train, *val}
    unique = {images.paths: images for images in sets}.values()
    parts = {images.paths: made for images in unique if (made := _parts(images, allow)) is not None}
    names = {path: f"{images.name}/{images.title(path)}" for images in unique for path in images.paths if path in used}
    wanted = set(names.values())
    mine = [one for images in unique if images.paths not in parts for one in known(images) if one.name in wanted]
    tests = of_test_sets(data_root)
    found = tuple(overlaps(mine, tests))
    marks = tuple(mark for made in parts.values() for mark in made.overlaps)
    said = f"{counted(len(mine), 'image')} compared with {counted(len(tests), 'test image')}"
    said += f" in {time.perf_counter() - begun:.1f} s"
    said += _said_of_parts(parts) + _said_of_unread(names, {one.name for one in mine}, parts)
    if allow or not found:
        return Guarded(train, val, found, allow, said, marks)
    gone = {one.image for one in found}
    kept = [[path for path in paths if names[path] not in gone] for paths in (train, val)]
    for paths, left, what in zip((train, val), kept, ("training", "validation"), strict=True):
        if paths and not left:
            raise InputError(
                f"each of the {len(paths)} {what} images shows what a test image shows, such as: {found[0].describe()}; "
                "expected other data, or --allow-overlap, which the card and each record say"
            )
    return Guarded(kept[0], kept[1], found, False, said)


def _said_of_parts(parts: Mapping[tuple[Path, ...], Cut]) -> str:
    return f"; {sum(map(len, parts))} parts were compared as whole images when they were cut" if parts else ""


def _said_of_unread(names: Mapping[Path, str], compared: set[str], parts: Iterable[tuple[Path, ...]]) -> str:
    """Which images have no print, so that nobody takes them for compared."""
    cut = {path for paths in parts for path in paths}
    unread = [path.name for path, name in names.items() if name not in compared and path not in cut]
    more = f" and {len(unread) - 10} more" if len(unread) > 10 else ""
    return f"; not compared, as they cannot be read: {', '.join(unread[:10])}{more}" if unread else ""


def _parts(images: ImageSet, allow: bool) -> Cut | None:
    """How a set of parts was cut, if its images were compared then: small parts of an image cannot be compared any more."""
    made = cut_of(images.folder)
    if made is None or not made.compared:
        return None
    if made.overlaps and not allow:
        raise InputError(
            f"{images.folder} was cut with --allow-overlap ({made.overlaps[0]}): expected parts cut without it, or the same here"
        )
    return made
