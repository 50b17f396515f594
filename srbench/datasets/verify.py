"""Whether a set on disk is the one in the catalog: its count, and the sha256 of each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srbench.datasets import names
from srbench.datasets.catalog import get_dataset
from srbench.datasets.entry import Archive, Dataset, File
from srbench.datasets.hashes import digest_of
from srbench.datasets.local import Located, data_roots, locate
from srbench.datasets.pixels import same_image
from srbench.files import sha256, write_text
from srbench.images import list_images

State = Literal["present", "unverified", "incomplete", "absent"]

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Verification:
    """What was found on disk.

    Attributes:
        name: the set's.
        folder: that of its HR images; None if it is not there.
        expected: number of HR images that the catalog names.
        found: number of images in the folder.
        missing: paths that are not there.
        extra: images in the HR folder that do not belong to the set.
        different: path, expected sha256, sha256 got.
        reference: where the expected hashes come from: ``catalog``, ``archive`` (written when a verified archive was
            unpacked), or ``none``.
        digest: one sha256 over the names and hashes of the HR images.
        recoded: files that are encoded otherwise than the catalog's and hold the same pixels.
    """

    name: str
    folder: Path | None
    expected: int
    found: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    different: tuple[tuple[str, str, str], ...]
    reference: Literal["catalog", "archive", "none"]
    digest: str
    recoded: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["verified", "unverified", "wrong", "absent"]:
        """``unverified``: the count holds, but nobody has written down what the hashes should be."""
        if self.folder is None:
            return "absent"
        if self.missing or self.extra or self.different or self.found != self.expected:
            return "wrong"
        return "verified" if self.reference != "none" else "unverified"

    @property
    def ok(self) -> bool:
        """Whether everything that can be checked is right."""
        return self.status in ("verified", "unverified")


def verify(dataset: str | Dataset, root: Path | str | None = None) -> Verification:
    """Read every file of a set again, bypassing the cache of hashes, and compare.

    Raises:
        UnknownNameError: no such set. (A set that is absent or incomplete is a finding, not an error.)
    """
    entry = get_dataset(dataset) if isinstance(dataset, str) else dataset
    found = locate(entry, data_roots(root))
    if found.folder is None:
        return Verification(entry.name, None, entry.count, 0, found.missing, (), (), "none", "")
    hashes = {path: sha256(path) for path in found.paths}
    sums = _read_sums(entry, found.folder)
    expected = [(file, place) for file, place in places(entry, found, found.folder) if _belongs(place, found)]
    expected += sums
    missing = [file.path for file, place in expected if not place.is_file()]
    got = [(file, place, hashes.get(place) or sha256(place)) for file, place in expected if place.is_file()]
    other = [(file, place, value) for file, place, value in got if value != file.sha256]
    recoded = [(file, place) for file, place, value in other if same_image(file, place, value)]
    # The sample lies among the other images of scikit-image.
    there = [] if entry.name == "sample" else list_images(found.folder)
    return Verification(
        name=entry.name,
        folder=found.folder,
        expected=entry.count,
        found=len(found.paths),
        missing=tuple(missing) or found.missing,
        extra=tuple(path.name for path in there if path not in hashes),
        different=tuple(
            (file.path, file.sha256, value) for file, place, value in other if (file, place) not in recoded
        ),
        recoded=tuple(place.name for _, place in recoded),
        reference="catalog" if entry.files else "archive" if sums else "none",
        digest=digest_of({_name(path, found.folder): value for path, value in hashes.items()}),
    )


def _name(path: Path, folder: Path) -> str:
    """A frame with its clip, another image by its name."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def state(entry: Dataset, found: Located) -> State:
    """What can be said without reading an image; ``unverified`` where no sha256 is known to compare with."""
    if found.folder is None or not found.paths:
        return "absent"
    if not found.complete:
        return "incomplete"
    return "present" if entry.files or _read_sums(entry, found.folder) else "unverified"


def places(entry: Dataset, found: Located, hr_folder: Path) -> Iterator[tuple[File, Path]]:
    """Where each file of the catalog is or belongs, given the set's HR folder, which may be the set's folder itself."""
    there = {names.key(path): path for path in found.paths}
    top = hr_folder.parent if hr_folder.name.lower() == "hr" else hr_folder
    for file in entry.files:
        if file.hr:
            yield file, there.get(names.key(file.name), hr_folder / file.name)
        else:
            yield file, top / file.path


def _belongs(place: Path, found: Located) -> bool:
    """LR images are asked for only where their folder is: the HR images are a whole set without them."""
    return place.parent == found.folder or place.parent.is_dir()


def write_sums(folder: Path, archive: Archive, images: Iterable[Path]) -> Path:
    """Write down the hashes of what a verified archive held, as ``sha256sum`` would, with the archive's own hash on top."""
    path = folder / SUMS
    lines = [f"# {archive.sha256}  {Path(archive.url).name}", *(f"{sha256(p)}  HR/{p.name}" for p in images)]
    write_text(path, "\n".join(lines) + "\n")
    return path


def _read_sums(entry: Dataset, hr_folder: Path) -> list[tuple[File, Path]]:
    """The files of ``SHA256SUMS`` where it was written for the catalog's archive; else nothing."""
    if entry.archive is None or entry.archive.sha256 is None or hr_folder.name != "HR":
        return []
    top = hr_folder.parent
    try:
        first, *lines = (top / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    if not first.startswith(f"# {entry.archive.sha256} "):
        return []
    rows = [line.split("  ", 1) for line in lines if "  " in line]
    return [(File(path, 0, value), top / path) for value, path in rows]
