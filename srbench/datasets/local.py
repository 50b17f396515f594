"""Sets of images on this machine: by catalog name, or any folder. It holds paths, never images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from srbench.datasets import clips, names
from srbench.datasets.catalog import CATALOG, get_dataset
from srbench.datasets.entry import Dataset, File
from srbench.datasets.folders import from_folder, pair_up
from srbench.datasets.hashes import cache_root
from srbench.datasets.image_set import ImageSet, LeftOut
from srbench.datasets.pixels import pixels_of
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import list_images, natural_order

__all__ = [
    "ImageSet", "LeftOut", "Located", "by_hand", "data_roots", "find_dataset", "find_datasets", "from_folder", "locate",
]  # fmt: skip


@dataclass(frozen=True)
class Located:
    """Where a set of the catalog is, and how much of it.

    Attributes:
        folder: the HR folder; None if there is none.
        paths: the HR files found, in natural order.
        missing: names of HR files that are not there; empty if the catalog knows no names.
        expected: how many images there should be.
        others: images in the folder with other names than the set's.
    """

    folder: Path | None
    paths: tuple[Path, ...]
    missing: tuple[str, ...]
    expected: int
    others: tuple[Path, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every image is there and nothing else."""
        return len(self.paths) == self.expected


def data_roots(data_root: Path | str | None = None) -> list[Path]:
    """The folders to search for sets: the given one, or ``SRBENCH_DATA``; then the download cache."""
    named = data_root or os.environ.get("SRBENCH_DATA")
    cache = cache_root() / "datasets"
    return [Path(named).expanduser(), cache] if named else [cache]


def locate(entry: Dataset, roots: Iterable[Path]) -> Located:
    """The most complete copy of a set under the data roots; never raises for a set that is not there."""
    best = Located(None, (), entry.names, entry.count)
    for folder in _sample_folders(entry) or _candidates(entry, roots):
        found = _match(entry, folder)
        if found.complete:
            return found
        # A folder with enough images under other names is worth mentioning.
        renamed = best.folder is None and len(found.others) >= entry.count
        if len(found.paths) > len(best.paths) or renamed:
            best = found
    return best


def find_dataset(
    spec: str | Path,
    data_root: Path | str | None = None,
    *,
    recursive: bool = False,
    lr_folder: Path | str | None = None,
) -> ImageSet:
    """A set by catalog name (in any case) or the path of a folder of images. Nothing is downloaded.

    A catalog name wins over a folder of that name in the current folder; write ``./set5`` for the folder.

    Args:
        spec: the name or folder.
        data_root: the folder that sets of the catalog are looked for in first.
        recursive: take the images of a folder's subfolders as well.
        lr_folder: the folder of its LR images, instead of the one beside the HR images.

    Raises:
        UnknownNameError: neither a name nor a folder.
        UnavailableError: a set that is not here, or not complete.
        InputError: a folder that cannot be read, has no images, or has two images with the same stem.
    """
    found = _find(spec, data_root, recursive)
    if lr_folder is None:
        return found
    chosen = Path(lr_folder).expanduser()
    if not chosen.is_dir():
        raise InputError(f"{chosen}: no such folder; expected a folder of LR images")
    return replace(found, lr_root=chosen)


def _find(spec: str | Path, data_root: Path | str | None, recursive: bool) -> ImageSet:
    name = str(spec)
    if name.lower() in CATALOG and not isinstance(spec, Path):
        return _from_catalog(get_dataset(name), data_root)
    folder = Path(spec).expanduser()
    if folder.exists() or isinstance(spec, Path) or os.sep in name or name.startswith((".", "~")):
        return from_folder(folder, recursive)
    raise UnknownNameError("dataset", name, CATALOG, "the catalog, nor a folder of images")


def find_datasets(spec: str, data_root: Path | str | None = None) -> list[ImageSet]:
    """The sets of a specification such as ``"t91+bsds200"``; a folder whose name contains ``+`` is taken as one."""
    if Path(spec).expanduser().is_dir():
        return [find_dataset(spec, data_root)]
    parts = [part.strip() for part in spec.split("+") if part.strip()]
    if not parts:
        raise InputError(f"{spec!r} names no dataset; expected names or folders joined by '+'")
    return [find_dataset(part, data_root) for part in parts]


def _from_catalog(entry: Dataset, data_root: Path | str | None) -> ImageSet:
    roots = data_roots(data_root)
    found = locate(entry, roots)
    files: dict[Path, File] = {}
    if not found.complete and len(found.others) >= len(found.missing):
        files = _by_pixels(entry, found)
    if entry.clips and found.complete and found.folder is not None:
        return clips.as_set(entry.name, clips.matching(entry, found.folder)[0], entry)
    if found.complete or len(found.paths) + len(files) == entry.count:
        return _whole(entry, found, files)
    way = f"run `srbench data get {entry.name}`" if entry.downloadable else by_hand(entry, roots[0])
    if found.paths:
        lacks = f", without {found.missing[0]}" if found.missing else ""
        reason = (
            f"{found.folder} has {len(found.paths)} of the {entry.count} images of {entry.name}{lacks}; "
            f"{way}, or give the folder's path to measure what is there"
        )
    elif found.folder is not None:
        what = "their pixels are not all the set's" if _pixels_known(entry) else "nobody has written down their pixels"
        reason = (
            f"{found.folder}: {len(found.others)} found under other names than those of {entry.name} "
            f"({found.others[0].name} …; expected {entry.names[0]} …), and {what}; rename them, {way}, "
            "or give the folder's path to measure what is there"
        )
    else:
        reason = f"{entry.name} is not in {' or '.join(str(root) for root in roots)}; {way}"
    raise UnavailableError("unavailable", reason)


def _whole(entry: Dataset, found: Located, files: dict[Path, File]) -> ImageSet:
    """A set that is all there; ``files`` says which of the catalog's a file under another name is."""
    paths = sorted((*found.paths, *files), key=lambda p: natural_order(files[p].name if p in files else p))
    # The sample lies among the other images of scikit-image.
    foreign = [] if entry.name == "sample" else [path.name for path in found.others if path not in files]
    paired = pair_up(_images(found.folder)) if found.folder is not None and not entry.names else None
    return ImageSet(
        entry.name,
        tuple(paths),
        entry,
        files=files,
        titles=paired.titles if paired else {},
        lr=paired.lr if paired else {},
        left_out=LeftOut(foreign=tuple(foreign)),
    )


def _by_pixels(entry: Dataset, found: Located) -> dict[Path, File]:
    """Files under other names that are the missing images of a set, known by their pixels."""
    missing = {names.key(name) for name in found.missing}
    wanted = {file.pixels: file for file in entry.files if file.hr and names.key(file.name) in missing and file.pixels}
    if not wanted:
        return {}
    known: dict[str, Path] = {}
    for path, value in pixels_of(found.others).items():
        if value in wanted:
            known.setdefault(value, path)
    return {path: wanted[value] for value, path in known.items()}


def _pixels_known(entry: Dataset) -> bool:
    return any(file.pixels for file in entry.files)


def by_hand(entry: Dataset, root: Path) -> str:
    """How to put a set where srbench finds it, in one line."""
    what = f"folders {', '.join(entry.clips)}" if entry.clips else f"{entry.count} images"
    return f"by hand: {entry.manual}, and put the {what} into {root / entry.folder / 'HR'}"


def _sample_folders(entry: Dataset) -> list[Path]:
    if entry.name != "sample":
        return []
    # find_spec of a top-level package does not import it: scikit-image takes a second to load.
    spec = find_spec("skimage")
    return [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []


def _candidates(entry: Dataset, roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        for place in (entry.folder, entry.name, *entry.aliases):
            folders = [root]
            for part in place.split("/"):
                folders = [child for folder in folders for child in _children(folder, (part.lower(),))]
            for folder in folders:
                yield from _children(folder, ("hr", "gt", "original"))
                yield folder


def _match(entry: Dataset, folder: Path) -> Located:
    if entry.clips:
        whole, missing = clips.matching(entry, folder)
        frames = tuple(path for paths in whole.values() for path in paths)
        return Located(folder if frames else None, frames, missing, entry.count)
    images = _images(folder)
    if not entry.names:  # any names: pairs of HR and LR in one folder, as SelfExSR has them, are half as many images
        return Located(folder, pair_up(images).hr if images else (), (), entry.count)
    exact = {path.name.lower(): path for path in images}
    by_stem = {names.key(path): path for path in reversed(images)}
    found = {name: exact.get(name.lower()) or by_stem.get(names.key(name)) for name in entry.names}
    chosen = {path for path in found.values() if path is not None}
    paths = tuple(path for path in images if path in chosen)
    others = tuple(path for path in images if path not in chosen)
    return Located(folder, paths, tuple(name for name, path in found.items() if path is None), entry.count, others)


def _images(folder: Path) -> list[Path]:
    return [path for path in list_images(folder) if path.is_file()]


def _children(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Subfolders called by one of ``names`` in any case, in the order of ``names``."""
    try:
        found = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    except OSError:
        return []
    return [found[name] for name in names if name in found]
