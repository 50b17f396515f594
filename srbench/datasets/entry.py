"""What a set of images consists of: its entry in the catalog, its files, and the archive that it comes in."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files as package_files
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import quote

from srbench.errors import InputError


def _check_inside(path: str) -> None:
    """Raise InputError for a path that may lead out of the folder that it is joined to, on any system."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or ":" in path or "\0" in path:
        raise InputError(f"{path!r} is no path inside a dataset's folder; expected one such as 'HR/baby.png'")


Split = Literal["test", "val", "train"]


@dataclass(frozen=True)
class File:
    """One file of a set.

    Attributes:
        path: inside the set's folder, with ``/``; HR images are in ``HR/``, anything that comes with them is elsewhere.
        size: bytes.
        sha256: of the whole file, in hexadecimal.
        url: where it is downloaded from; empty if it comes with another package.
        pixels: sha256 of the decoded image (``srbench.datasets.pixels``), the same for every lossless encoding; empty if
            unknown.
    """

    path: str
    size: int
    sha256: str
    url: str = ""
    pixels: str = ""

    def __post_init__(self) -> None:
        _check_inside(self.path)

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return PurePosixPath(self.path).name

    @property
    def hr(self) -> bool:
        """Whether it is an HR image rather than something that comes with them."""
        return "/" not in self.path or self.path.startswith("HR/")


@dataclass(frozen=True)
class Archive:
    """A zip file that holds a whole set.

    Attributes:
        url: where it is downloaded from.
        size: bytes; 0 if unknown.
        sha256: of the zip file; None if nobody has read the bytes yet, so that the set is unverified.
        inner: the folder inside the archive that becomes the set's ``HR`` folder.
    """

    url: str
    size: int
    sha256: str | None
    inner: str

    def __post_init__(self) -> None:
        _check_inside(self.inner)


@dataclass(frozen=True)
class Dataset:
    """What a caller needs to know about a set.

    Attributes:
        name: its usual name, in lower case.
        title: authors, venue and year.
        folder: the folder's name under the data root, as ``srbench data get`` makes it.
        split: what it is for; training on a test set makes its figures worthless.
        count: number of HR images.
        licence: of the images.
        homepage: the official page.
        manual: how to get it by hand, a phrase that begins with a verb.
        default_protocol: the preset under which its figures are usually published.
        numbered: a pattern such as ``"%04d.png"`` if the HR images' names are numbers, counted from ``first``.
        listed: whether its files are in ``<name>.tsv`` of this package.
        archive: the zip file that it comes in.
        aliases: other names that its folder may have under the data root.
        listing: its files, for a set without a ``.tsv``.
        clips: frames of each clip, by the name of its folder; empty for a set of images that have nothing to do with each other.
        leaks: images that show what an image of a test set shows (stem → which), and so are never trained on.
    """

    name: str
    title: str
    folder: str
    split: Split
    count: int
    licence: str
    homepage: str
    manual: str
    default_protocol: str = "standard"
    numbered: str = ""
    first: int = 1
    listed: bool = False
    archive: Archive | None = None
    aliases: tuple[str, ...] = ()
    listing: tuple[File, ...] = ()
    clips: Mapping[str, int] = field(default_factory=dict)
    leaks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.folder, *self.aliases):
            _check_inside(folder)

    @cached_property
    def files(self) -> tuple[File, ...]:
        """Every file of the set with its sha256; empty if nobody has read them yet."""
        return self.listing or (_read_listing(self.name) if self.listed else ())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """File names of the HR images; empty if they are unknown."""
        if self.numbered:
            return tuple(self.numbered % number for number in range(self.first, self.first + self.count))
        return tuple(file.name for file in self.files if file.hr)

    @property
    def hashed(self) -> bool:
        """Whether the sha256 of every image is known in advance."""
        return bool(self.files)

    @property
    def downloadable(self) -> bool:
        """Whether ``srbench data get`` has a source for it."""
        return self.archive is not None or any(file.url for file in self.files)


def _read_listing(name: str) -> tuple[File, ...]:
    text = package_files("srbench.datasets").joinpath(f"{name}.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return tuple(
        File(row["path"], int(row["size"]), row["sha256"], _raw_url(row), row.get("pixels") or "") for row in rows
    )


def _raw_url(row: Mapping[str, str]) -> str:
    if not row["repo"]:
        return ""
    return f"https://raw.githubusercontent.com/{row['repo']}/{row['commit']}/{quote(row['source'])}"
