"""Which SR file belongs to which HR image, and which method made it: by name, as programs write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srbench.datasets import layouts, names
from srbench.datasets.image_set import ImageSet
from srbench.errors import InputError

_SCALE_WORD = re.compile(r"(?:^|[_\-. ])(?:SRF[_\-]?\d|x\d|\d+x)(?=$|[_\-. ])|^x\d(?=$|[_\-. ])", re.IGNORECASE)
_PLAIN = frozenset({"", "sr", "out", "hr", "result", "output", "pred"})


@dataclass(frozen=True)
class Matches:
    """SR files of one method and the HR images that they go with, and what has no partner.

    Attributes:
        method: what the files' names say that made them; the folder's name, or empty, where they say nothing.
        pairs: ``(name, SR file, HR file)`` in the order of the HR images.
        sr_only: names of SR files without a partner.
        hr_only: names of HR images without a partner.
    """

    method: str
    pairs: tuple[tuple[str, Path, Path], ...]
    sr_only: tuple[str, ...]
    hr_only: tuple[str, ...]


def methods(sr: Path, truth: ImageSet, scale: int) -> list[Matches]:
    """The methods whose images are in a folder.

    The folder has one method's images (``baby.png``, ``babyx4.png``, ``baby_x4_EDSR.png``), several methods' (``baby_EDSR.png``
    and ``baby_SwinIR.png``), or a folder of images a method (``EDSR/baby.png``, ``EDSR/Set5/x4/baby.png``).

    Args:
        sr: the folder of SR images.
        truth: the HR images.
        scale: the upscaling factor.

    Raises:
        InputError: no such folder, no image in it, or none is named like an HR image.
    """
    if not sr.is_dir():
        raise InputError(f"{sr}: no such folder; expected a folder of SR images")
    files = layouts.listed(sr)
    if files:
        return _in_one(sr, files, truth)
    found = []
    for folder in layouts.subfolders(sr):
        inside = _images_of(folder, truth, scale)
        if inside is None or not (files := layouts.listed(inside)):
            continue
        for one in _in_one(inside, files, truth, required=False):
            label = f"{folder.name} {one.method}" if one.method else folder.name
            found.append(Matches(label, one.pairs, one.sr_only, one.hr_only))
    if not found:
        raise InputError(f"{sr}: no images of {truth.name}; expected SR images in it, or a folder of them a method")
    return found


def _images_of(folder: Path, truth: ImageSet, scale: int) -> Path | None:
    """The folder of images in a method's folder: itself, or below folders called by the dataset and the scale."""
    own = {names.fold(truth.name), names.fold(truth.name.removeprefix("dir-")), names.fold(truth.folder.name)}
    while not layouts.listed(folder):
        inner = layouts.subfolders(folder)
        fitting = [
            child for child in inner if names.fold(child.name) in own or layouts.squeeze(child.name) == f"x{scale}"
        ]
        if len(fitting or inner) != 1:
            return None
        folder = (fitting or inner)[0]
    return folder


def _in_one(folder: Path, files: Iterable[Path], truth: ImageSet, required: bool = True) -> list[Matches]:
    """The methods of the image files in one folder, named by the ends of their names."""
    files = [path for path in files if names.parse(path).role != "lr"]
    found, alone = _by_ending(files, truth)
    if not found:
        if not required:
            return []
        first = [names.stem(path) for path in files[:3]]
        raise InputError(
            f"{folder}: no image is named like one of {truth.folder}: SR has {', '.join(first)}, "
            f"HR has {', '.join(sorted(truth.title(path) for path in truth)[:3])}"
        )
    made = [_matches(ending, group, truth) for ending, group in sorted(found.items())]
    most = max(len(one.pairs) for one in made)
    kept = [one for one in made if len(one.pairs) > 1 or len(one.pairs) == most]
    left = alone + [path.name for one in made if one not in kept for _, path, _ in one.pairs]
    return [Matches(one.method, one.pairs, (*one.sr_only, *sorted(left)), one.hr_only) for one in kept]


Group = dict[Path, list[Path]]  # HR file → SR files


def _by_ending(files: list[Path], truth: ImageSet) -> tuple[dict[str, Group], list[str]]:
    """SR files by the end of their names and by HR image, and the names of those that go with none."""
    found: dict[str, Group] = {}
    alone = []
    for path in files:
        hr, ending = _partner(path, truth)
        if hr is None:
            alone.append(path.name)
        elif path.resolve() != hr.resolve() or len(files) == len(truth):
            found.setdefault(ending, {}).setdefault(hr, []).append(path)
    one: Group = {}
    for group in found.values():
        for hr, paths in group.items():
            one.setdefault(hr, []).extend(paths)
    # Where every file has an end of its own, such as a number, an end is no method's name.
    own_ends = len(found) > 1 and all(len(group) == 1 for group in found.values())
    if own_ends and len(truth) > 1 and all(len(paths) == 1 for paths in one.values()):
        found = {"": one}
    return found, alone


def _matches(method: str, group: Group, truth: ImageSet) -> Matches:
    pairs, extra = [], []
    for hr in truth.paths:
        if hr in group:  # of baby.png and babyx4.png the shorter name
            first, *more = sorted(group[hr], key=lambda path: (len(path.name), path.name))
            pairs.append((truth.title(hr), first, hr))
            extra += [path.name for path in more]
    missing = tuple(hr.name for hr in truth.paths if hr not in group)
    return Matches(method, tuple(pairs), tuple(sorted(extra)), missing)


def _partner(path: Path, truth: ImageSet) -> tuple[Path | None, str]:
    """The HR image that a file's name begins with, the longest first, and the rest of the name without the scale."""
    own = names.key(path)
    best: tuple[int, Path] | None = None
    for hr in truth.paths:
        for base in {names.key(hr), names.parse(hr).key, names.fold(truth.title(hr))}:
            rest = own[len(base) :]
            begins = own.startswith(base) and (not rest or rest[0] in "_-. " or re.match(r"x\d(?![0-9])", rest))
            if begins and (best is None or len(base) > best[0]):
                best = (len(base), hr)
    if best is None:
        return None, ""
    ending = names.stem(path)[best[0] :]
    while (shorter := _SCALE_WORD.sub("", ending, count=1)) != ending:
        ending = shorter
    ending = ending.strip("_-. ")
    return best[1], "" if ending.lower() in _PLAIN else ending
