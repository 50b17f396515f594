"""Sets of clips: a folder of folders of frames, as Vid4 is handed round. What is measured are the frames, each with its clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from srbench.datasets import layouts, names
from srbench.datasets.entry import Dataset
from srbench.datasets.folders import hr_inside, is_lr_folder, refuse_twins, set_name
from srbench.datasets.image_set import ImageSet
from srbench.errors import InputError
from srbench.images import list_images

Clips = Mapping[str, tuple[Path, ...]]


def from_clips(folder: Path) -> ImageSet:
    """The frames of every clip of a folder, called ``walk/00000001``; hidden folders and those of LR images are left out.

    Args:
        folder: of folders of frames, which may lie in its folder HR, GT or the like; or of the frames of one clip.

    Raises:
        InputError: no such folder, no clips, two frames of one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of clips, each a folder of frames")
    top = _top(folder)
    found = clips_in(top) or _one(top)
    if not found:
        raise InputError(f"{folder}: no clips; expected folders of frames, such as {folder / 'walk' / '00000001.png'}")
    return as_set(set_name(top), found)


def as_set(name: str, clips: Clips, entry: Dataset | None = None) -> ImageSet:
    """The set of all frames of some clips, clip by clip."""
    titles = {path: f"{clip}/{names.stem(path)}" for clip, paths in clips.items() for path in paths}
    for paths in clips.values():
        refuse_twins(paths, dict(titles))
    return ImageSet(name, tuple(titles), entry, titles=titles)


def clips_in(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The clips in a folder: name → frames in natural order, which may lie in the clip's folder HR, GT or original."""
    found = {}
    for child in layouts.subfolders(folder):
        if not is_lr_folder(child.name) and (frames := _frames(hr_inside(child))):
            found[child.name] = frames
    return found


def matching(entry: Dataset, folder: Path) -> tuple[dict[str, tuple[Path, ...]], tuple[str, ...]]:
    """The clips of a set of the catalog that are whole, and what is missing of the others, a line each."""
    there = {name.lower(): (name, frames) for name, frames in clips_in(folder).items()}
    whole, missing = {}, []
    for clip, count in entry.clips.items():
        _, frames = there.get(clip.lower(), ("", ()))
        if len(frames) == count:
            whole[clip] = frames
        else:
            missing.append(f"{clip} ({len(frames)} of {count} frames)" if frames else clip)
    return whole, tuple(missing)


def clips_of(titles: Iterable[str]) -> dict[str, list[int]]:
    """Clip → places of its frames, of frames that are called as :func:`as_set` calls them.

    >>> clips_of(["walk/1", "walk/2", "city/1"])
    {'walk': [0, 1], 'city': [2]}
    """
    found: dict[str, list[int]] = {}
    for place, title in enumerate(titles):
        found.setdefault(title.rpartition("/")[0], []).append(place)
    return found


def without_ends(images: ImageSet, count: int) -> ImageSet:
    """The set without the first and last ``count`` frames of every clip; InputError where a clip would have none left."""
    kept: list[Path] = []
    for clip, places in clips_of(images.title(path) for path in images.paths).items():
        if len(places) <= 2 * count:
            raise InputError(
                f"{images.name}: {clip} has {len(places)} frames; without {count} at either end none is left"
            )
        kept += [images.paths[place] for place in places[count : len(places) - count]]
    return replace(images, paths=tuple(kept))


def _top(folder: Path) -> Path:
    """The folder itself, or its one folder of HR where the clips lie in that: ``Vid4/GT/walk``."""
    inner = [child for child in layouts.subfolders(folder) if layouts.is_hr_folder(child.name) and clips_in(child)]
    return inner[0] if len(inner) == 1 else folder


def _one(folder: Path) -> dict[str, tuple[Path, ...]]:
    frames = _frames(folder)
    return {folder.resolve().name or "clip": frames} if frames else {}


def _frames(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in list_images(folder) if path.is_file())
