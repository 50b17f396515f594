"""The HR images of one set, and what goes with them. It holds paths, never images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.datasets import layouts, names
from srbench.datasets.entry import Dataset, File
from srbench.datasets.hashes import digest_of, sha256_of
from srbench.datasets.pixels import gray_plane, pixels_of
from srbench.errors import InputError, UnavailableError, counted
from srbench.images import read_image

LrFiles = Mapping[Path, Mapping[int | None, Path]]


@dataclass(frozen=True)
class LeftOut:
    """What a folder holds that is not measured.

    Attributes:
        dangling: links that lead nowhere.
        subfolders: folders inside it.
        other: suffix → number of files that are not images.
        lr: number of LR files of its own HR images.
        unpaired: images beside pairs that are neither HR nor LR.
        foreign: images that do not belong to the catalog's set.
    """

    dangling: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = ()
    other: Mapping[str, int] = field(default_factory=dict)
    lr: int = 0
    unpaired: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line of counts; empty if nothing was left out.

        >>> LeftOut(dangling=("a.png",), other={".txt": 2}).describe()
        '1 link that leads nowhere (a.png), 2 files that are no images (2 .txt)'
        """
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.other.items()))
        parts = [
            _counted(len(self.dangling), "link that leads nowhere", "links that lead nowhere", _some(self.dangling)),
            _counted(self.lr, "LR file of a pair", "LR files of pairs", ""),
            _counted(len(self.unpaired), "image beside the pairs", "images beside the pairs", _some(self.unpaired)),
            _counted(len(self.foreign), "image of no set", "images that are not of the set", _some(self.foreign)),
            _counted(sum(self.other.values()), "file that is no image", "files that are no images", kinds),
            _counted(len(self.subfolders), "subfolder", "subfolders", _some(self.subfolders)),
        ]
        return ", ".join(part for part in parts if part)


def _counted(count: int, one: str, many: str, which: str) -> str:
    return f"{count} {one if count == 1 else many}{f' ({which})' if which else ''}" if count else ""


def _some(found: tuple[str, ...]) -> str:
    return ", ".join(found[:3]) + (" …" if len(found) > 3 else "")


@dataclass(frozen=True)
class ImageSet:
    """The HR images of one set.

    Attributes:
        name: the catalog's name; ``dir-<folder>`` for a folder of the user's.
        paths: the HR files in natural order.
        entry: the catalog's entry; None for a folder of the user's.
        files: the catalog's file for each path that has another name.
        titles: what an image is called in results, if that is not the file's stem.
        lr: LR files in the same folder, by HR file and by the scale that their names state (None for none).
        lr_root: the folder of LR images that the user named.
        left_out: what else is there.
    """

    name: str
    paths: tuple[Path, ...]
    entry: Dataset | None = None
    files: Mapping[Path, File] = field(default_factory=dict, compare=False)
    titles: Mapping[Path, str] = field(default_factory=dict, compare=False)
    lr: LrFiles = field(default_factory=dict, compare=False)
    lr_root: Path | None = None
    left_out: LeftOut = field(default_factory=LeftOut, compare=False)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    @property
    def folder(self) -> Path:
        """The folder with the HR images."""
        return self.paths[0].parent

    @property
    def place(self) -> str:
        """A short hash of where the set is, which tells two folders of one name apart and shows no path."""
        top = os.path.commonpath([str(path.parent.resolve()) for path in self.paths])
        return hashlib.sha256(os.fsencode(top)).hexdigest()[:8]

    def title(self, path: Path) -> str:
        """What the image of a file is called in results: the catalog's stem, or the file's own."""
        if path in self.titles:
            return self.titles[path]
        return names.stem(self.files[path].name) if path in self.files else names.stem(path)

    def read(self, path: Path) -> npt.NDArray[np.uint8]:
        """An image of the set as the catalog means it: uint8 ``(H, W, 3)``, or ``(H, W)`` if it is gray.

        A gray image of the catalog that was stored again with three equal channels is gray.
        """
        image = read_image(path)
        if image.ndim == 2 or path not in self._recoded:
            return image
        plane = gray_plane(image)
        return image if plane is None else plane

    def remarks(self) -> list[str]:
        """What a reader of its numbers should know: what was left out, and names that say LR although HR is expected."""
        found = []
        if said := self.left_out.describe():
            more = "; --recursive reads subfolders" if self.left_out.subfolders and self.entry is None else ""
            found.append(f"{self.name}: {counted(len(self), 'HR image')}; left out: {said}{more}")
        if self.entry is None and all(names.parse(path).role == "lr" for path in self.paths):
            found.append(
                f"{self.name}: every name says LR, such as {self.paths[0].name}; they are measured as HR images"
            )
        scales = {named.scale if not named.role else None for named in map(names.parse, self.paths)}
        if self.entry is None and len(scales) == 1 and (scale := scales.pop()) is not None:
            found.append(
                f"{self.name}: every name says x{scale}, as those of LR images do; they are measured as HR images"
            )
        return found

    def hashes(self) -> dict[str, str]:
        """File name → sha256 of each HR image; read once, then remembered by size and time of change.

        A catalog image in another encoding is listed under the catalog's name and sha256: it is the same image.
        """
        found = {}
        for path, value in sha256_of(self.paths).items():
            file = self._recoded.get(path)
            found[file.name if file else self._name(path)] = file.sha256 if file else value
        return found

    def _name(self, path: Path) -> str:
        title = self.titles.get(path, "")
        return f"{title}{path.suffix}" if "/" in title else path.name

    @cached_property
    def _recoded(self) -> dict[Path, File]:
        """Files that differ from the catalog's but contain the same image."""
        expected = self._expected
        got = sha256_of(expected)
        differing = [path for path, file in expected.items() if file.pixels and got[path] != file.sha256]
        pixels = pixels_of(differing)
        return {path: expected[path] for path in differing if pixels[path] == expected[path].pixels}

    @property
    def _expected(self) -> dict[Path, File]:
        """The catalog's file for each path that has one."""
        if self.entry is None:
            return {}
        by_name = {names.key(file.name): file for file in self.entry.files if file.hr}
        found = {path: self.files.get(path) or by_name.get(names.key(path)) for path in self.paths}
        return {path: file for path, file in found.items() if file is not None}

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
        expected = self._expected
        got = sha256_of(expected)
        for path, file in expected.items():
            if got[path] != file.sha256 and path not in self._recoded:
                raise InputError(
                    f"{path}: not the image of {self.name}: expected sha256 {file.sha256}, got {got[path]}"
                    f"{', and other pixels' if file.pixels else ''}; "
                    f"to measure it all the same, give the folder's path in the place of {self.name}"
                )

    def lr_folder(self, scale: int, beside: Path | None = None) -> Path | None:
        """The folder of LR images that belongs to the set at this scale, or None; see ``layouts.LAYOUTS``.

        Args:
            scale: the upscaling factor.
            beside: the folder of HR images, if the set has several.

        Raises:
            InputError: two folders could be it.
        """
        if self.lr_root is not None:
            inner = [
                f for f in layouts.subfolders(self.lr_root) if layouts.squeeze(f.name) in (f"x{scale}", f"{scale}")
            ]
            return self.lr_root if layouts.listed(self.lr_root) or not inner else inner[0]
        if any(self._has_pair(path, scale) for path in self.lr):
            return self.folder
        found = layouts.lr_folders(beside or self.folder, scale)
        if len(found) > 1:
            both = " and ".join(str(folder) for folder in found)
            raise InputError(
                f"{self.name}: {both} could each hold its LR images at x{scale}; choose one by --lr-folder"
            )
        return found[0] if found else None

    def has_lr(self, scale: int) -> bool:
        """Whether LR images at this scale lie beside the set, in one folder or in several."""
        try:
            return self.lr_folder(scale) is not None
        except InputError:
            return True

    def lr_path(self, hr_path: Path, scale: int) -> Path:
        """The LR image of ``hr_path``: ``babyx4.png``, ``baby_LRBI_x4.png``, ``baby.png`` … in ``lr_folder(scale)``.

        Raises:
            UnavailableError: no LR folder at this scale.
            InputError: the folder has no image of that name, or two.
        """
        key = (hr_path.parent, scale)
        if key not in self._lr_folders:
            self._lr_folders[key] = self.lr_folder(scale, hr_path.parent)
        folder = self._lr_folders[key]
        if folder is None:
            raise UnavailableError(
                "unavailable",
                f"{self.name} has no folder of LR images at x{scale} beside HR; `srbench eval --lr-folder` names another",
            )
        if self.lr_root is None and self.lr:
            pair = self.lr.get(hr_path, {})
            return layouts.choose(hr_path, [path for s, path in pair.items() if s in (scale, None)], scale, folder)
        title = self.title(hr_path)
        if self.lr_root is not None and (folder / Path(title).parent).is_dir():  # the subfolders of --recursive
            folder = folder / Path(title).parent
        there = layouts.index(folder, scale)
        found = layouts.lookup(there, hr_path) or there.get(names.fold(Path(title).name), ())
        return layouts.choose(hr_path, found, scale, folder)

    def _has_pair(self, path: Path, scale: int) -> bool:
        """Whether an HR file has an LR file at this scale beside it, by its name or, if that has no scale, by its size."""
        beside = self.lr[path]
        return scale in beside or (None in beside and layouts.fits(path, beside[None], scale) is not False)

    @cached_property
    def _lr_folders(self) -> dict[tuple[Path, int], Path | None]:
        return {}
