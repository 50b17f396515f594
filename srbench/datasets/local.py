"""Sets of images on this machine: by catalog name, or any folder. It holds paths, never images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from srbench.datasets.catalog import CATALOG, get_dataset
from srbench.datasets.entry import Dataset
from srbench.datasets.hashes import cache_root, digest_of, sha256_of
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import list_images


@dataclass(frozen=True)
class ImageSet:
    """The HR images of one set.

    Attributes:
        name: the catalog's name; ``dir-<folder>`` for a folder of the user's.
        paths: the HR files in natural order.
        entry: the catalog's entry; None for a folder of the user's.
    """

    name: str
    paths: tuple[Path, ...]
    entry: Dataset | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    @property
    def folder(self) -> Path:
        """The folder with the HR images."""
        return self.paths[0].parent

    def hashes(self) -> dict[str, str]:
        """File name → sha256 of each HR image; read once, then remembered by size and time of change."""
        return {path.name: value for path, value in sha256_of(self.paths).items()}

    @cached_property
    def digest(self) -> str:
        """One sha256 over the names and hashes of all images; their order does not matter."""
        return digest_of(self.hashes())

    @property
    def verifiable(self) -> bool:
        """Whether the catalog knows the sha256 of each image."""
        return self.entry is not None and self.entry.hashed

    def check(self) -> None:
        """Raise InputError if an image is not the one in the catalog; needs no network."""
        if self.entry is None:
            return
        expected = {file.name.lower(): file for file in self.entry.files}
        for name, got in self.hashes().items():
            file = expected.get(name.lower())
            if file is not None and file.sha256 != got:
                raise InputError(
                    f"{self.folder / name}: not the image of {self.name}: expected sha256 {file.sha256}, got {got}; "
                    f"to measure it all the same, give the folder's path in the place of {self.name}"
                )

    def lr_folder(self, scale: int) -> Path | None:
        """The folder of LR images that came with the set at this scale, or None.

        ``LR_bicubic/X4`` or ``LR/X4`` in the set's folder; ``DIV2K_valid_LR_bicubic/X4`` beside ``DIV2K_valid_HR``.
        """
        here = self.folder
        beside = [here] if here.name.lower() != "hr" else [here.parent]
        named = here.name[:-3] if here.name.lower().endswith("_hr") else here.name
        roots = [child for base in beside for child in _children(base, ("lr_bicubic", "lr"))]
        roots += _children(here.parent, (f"{named}_lr_bicubic".lower(),))
        for root in roots:
            for folder in _children(root, (f"x{scale}",)):
                return folder
        return None

    def lr_path(self, hr_path: Path, scale: int) -> Path:
        """The LR image of ``hr_path``: ``babyx4.png``, ``baby_x4.png`` or ``baby.png`` in ``lr_folder(scale)``.

        Raises:
            UnavailableError: no LR folder at this scale.
            InputError: the folder has no image of that name.
        """
        folder = self.lr_folder(scale)
        if folder is None:
            raise UnavailableError(
                "unavailable", f"{self.name} has no folder of LR images at x{scale} beside its HR images"
            )
        stem = hr_path.stem.lower()
        wanted = (f"{stem}x{scale}", f"{stem}_x{scale}", stem)
        found = {path.stem.lower(): path for path in list_images(folder)}
        for name in wanted:
            if name in found:
                return found[name]
        raise InputError(
            f"{folder}: no LR image of {hr_path.name}; expected {wanted[0]}{hr_path.suffix} or {hr_path.name}"
        )


@dataclass(frozen=True)
class Located:
    """Where a set of the catalog is, and how much of it.

    Attributes:
        folder: the HR folder; None if there is none.
        paths: the HR files found, in natural order.
        missing: names of HR files that are not there; empty if the catalog knows no names.
        expected: how many images there should be.
    """

    folder: Path | None
    paths: tuple[Path, ...]
    missing: tuple[str, ...]
    expected: int

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
        if len(found.paths) > len(best.paths):
            best = found
    return best


def find_dataset(spec: str | Path, data_root: Path | str | None = None) -> ImageSet:
    """A set by catalog name (in any case) or the path of a folder of images. Nothing is downloaded.

    A catalog name wins over a folder of that name in the current folder; write ``./set5`` for the folder.

    Raises:
        UnknownNameError: neither a name nor a folder.
        UnavailableError: a set that is not here, or not complete.
        InputError: a folder that cannot be read, has no images, or has two images with the same stem.
    """
    name = str(spec)
    if name.lower() in CATALOG and not isinstance(spec, Path):
        return _from_catalog(get_dataset(name), data_root)
    folder = Path(spec).expanduser()
    if folder.exists() or isinstance(spec, Path) or os.sep in name or name.startswith((".", "~")):
        return from_folder(folder)
    raise UnknownNameError("dataset", name, CATALOG, "the catalog, nor a folder of images")


def find_datasets(spec: str, data_root: Path | str | None = None) -> list[ImageSet]:
    """The sets of a specification such as ``"t91+bsds200"``; a folder whose name contains ``+`` is taken as one."""
    if Path(spec).expanduser().is_dir():
        return [find_dataset(spec, data_root)]
    parts = [part.strip() for part in spec.split("+") if part.strip()]
    if not parts:
        raise InputError(f"{spec!r} names no dataset; expected names or folders joined by '+'")
    return [find_dataset(part, data_root) for part in parts]


def from_folder(folder: Path) -> ImageSet:
    """The images directly in a folder, or in its subfolder ``HR`` if it has none itself; hidden files are ignored.

    Raises:
        InputError: no such folder, not readable, no images, or two images with the same stem.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of images")
    try:
        paths = _images(folder)
        if not paths:
            inner = _children(folder, ("hr",))
            paths = _images(inner[0]) if inner else []
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    if not paths:
        raise InputError(f"{folder}: no images; expected png, jpg, bmp, tif or webp files in it or in its folder HR")
    _refuse_twins(paths)
    # The name becomes part of a result's file name. A folder called HR says nothing, its parent does.
    own = folder.absolute() if folder.name not in ("", "..") else folder.resolve()
    label = own.parent.name if own.name.lower() == "hr" else own.name
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in label)
    return ImageSet(f"dir-{safe or 'root'}", tuple(paths))


def _from_catalog(entry: Dataset, data_root: Path | str | None) -> ImageSet:
    roots = data_roots(data_root)
    found = locate(entry, roots)
    if found.complete:
        _refuse_twins(found.paths)
        return ImageSet(entry.name, found.paths, entry)
    way = f"run `srbench data get {entry.name}`" if entry.downloadable else by_hand(entry, roots[0])
    if found.paths:
        lacks = f", without {found.missing[0]}" if found.missing else ""
        reason = (
            f"{found.folder} has {len(found.paths)} of the {entry.count} images of {entry.name}{lacks}; "
            f"{way}, or give the folder's path to measure what is there"
        )
    else:
        reason = f"{entry.name} is not in {' or '.join(str(root) for root in roots)}; {way}"
    raise UnavailableError("unavailable", reason)


def _refuse_twins(paths: Iterable[Path]) -> None:
    stems: dict[str, Path] = {}
    for path in paths:
        other = stems.setdefault(path.stem.lower(), path)
        if other is not path:
            raise InputError(
                f"{path.parent}: {other.name} and {path.name} have one stem; results are kept by stem, so rename one"
            )


def by_hand(entry: Dataset, root: Path) -> str:
    """How to put a set where srbench finds it, in one line."""
    return f"by hand: {entry.manual}, and put the {entry.count} images into {root / entry.folder / 'HR'}"


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
                yield from _children(folder, ("hr",))
                yield folder


def _match(entry: Dataset, folder: Path) -> Located:
    there = {path.name.lower(): path for path in _images(folder)}
    wanted = {name.lower() for name in entry.names} or set(there)
    paths = tuple(path for name, path in there.items() if name in wanted)
    missing = tuple(name for name in entry.names if name.lower() not in there)
    return Located(folder, paths, missing, entry.count)


def _images(folder: Path) -> list[Path]:
    return [path for path in list_images(folder) if path.is_file()]


def _children(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Subfolders called by one of ``names`` in any case, in the order of ``names``."""
    try:
        found = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    except OSError:
        return []
    return [found[name] for name in names if name in found]
