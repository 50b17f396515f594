"""Downloads of the catalog's sets: into a temporary folder, verified, and only then moved into place."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable
from pathlib import Path

from srbench.datasets.catalog import get_dataset
from srbench.datasets.entry import Archive, Dataset, File
from srbench.datasets.local import Located, by_hand, data_roots, locate
from srbench.datasets.pixels import same_image
from srbench.datasets.unpack import unpack
from srbench.datasets.verify import places, write_sums
from srbench.download import Advance, download, progress_bar
from srbench.errors import InputError, UnavailableError
from srbench.files import sha256, staging_folder, sweep
from srbench.images import list_images

_LOG = logging.getLogger(__name__)


def fetch(dataset: str | Dataset, root: Path | str | None = None, progress: bool = False) -> Path:
    """Download what a set lacks and return the folder of its HR images.

    Args:
        dataset: a catalog name, or an entry of your own.
        root: the data root to put it under; by default ``SRBENCH_DATA``, else the download cache.
        progress: draw a bar on standard error.

    Raises:
        UnavailableError: no source is known or none answers; the message says how to get it by hand.
        InputError: a download that is cut off or not what the catalog says (expected and got), an archive with an entry
            that would leave its folder, a full disk, or a different image already in that place. Nothing is kept.
    """
    entry = get_dataset(dataset) if isinstance(dataset, str) else dataset
    top = data_roots(root)[0]
    if top.is_dir():
        sweep(top)  # one that was killed after its last file leaves nothing to do but this
    found = locate(entry, [top])
    if not entry.downloadable:
        if found.folder is not None and found.complete:
            return found.folder
        raise UnavailableError("unavailable", f"{entry.name} has no verified download; {by_hand(entry, top)}")
    lacking = _lacking(entry, found, top)
    if found.folder is not None and found.complete and not lacking:
        return found.folder
    try:
        with staging_folder(top, entry.name) as staging:
            if entry.archive is not None:
                moves = _archive_moves(entry, entry.archive, staging, top, progress)
            else:
                moves = _file_moves(entry, lacking, staging, top, progress)
            _install(moves)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{top}: no space left on the disk for {entry.name}; what was downloaded is removed"
            ) from None
        raise
    return locate(entry, [top]).folder or top / entry.folder / "HR"


def _lacking(entry: Dataset, found: Located, top: Path) -> list[tuple[File, Path]]:
    """The files of a set that are not there yet, and where they belong."""
    lacking = []
    for file, place in places(entry, found, found.folder or top / entry.folder / "HR"):
        if not place.exists():
            lacking.append((file, place))
        elif not same_image(file, place, got := sha256(place)):
            raise InputError(
                f"{place}: expected sha256 {file.sha256}, got {got}; move it away, then get {entry.name} again"
            )
    return lacking


def _file_moves(
    entry: Dataset, lacking: list[tuple[File, Path]], staging: Path, top: Path, progress: bool
) -> list[tuple[Path, Path]]:
    moves = []
    with progress_bar(entry.name, sum(file.size for file, _ in lacking), progress) as advance:
        for number, (file, place) in enumerate(lacking):
            staged = staging / str(number)
            _download_for(entry, file.url, staged, file.size, file.sha256, advance, top)
            moves.append((staged, place))
    return moves


def _archive_moves(
    entry: Dataset, archive: Archive, staging: Path, top: Path, progress: bool
) -> list[tuple[Path, Path]]:
    zipped = staging / Path(archive.url).name
    with progress_bar(entry.name, archive.size, progress) as advance:
        got = _download_for(entry, archive.url, zipped, archive.size, archive.sha256, advance, top)
    if archive.sha256 is None:
        _LOG.warning("%s is unverified: no sha256 of %s is known; got %s", entry.name, archive.url, got)
    unpacked = staging / "unpacked"
    unpack(zipped, unpacked)
    zipped.unlink()
    inner = unpacked / archive.inner
    images = list_images(inner) if inner.is_dir() else []
    missing = [name for name in entry.names if not (inner / name).is_file()]
    if missing or len(images) != entry.count:
        example = f", without {missing[0]}" if missing else ""
        raise InputError(f"{archive.url}: expected {entry.count} images in {archive.inner}, got {len(images)}{example}")
    target = top / entry.folder
    moves = []
    if archive.sha256 is not None:
        # Before the images: with the last of them the set is whole, and nothing more is asked for.
        sums = write_sums(staging, archive, images)
        moves.append((sums, target / sums.name))
    return moves + [(path, target / "HR" / path.name) for path in images]


def _download_for(
    entry: Dataset, url: str, path: Path, size: int, expected: str | None, advance: Advance, top: Path
) -> str:
    try:
        return download(url, path, size, expected, advance)
    except UnavailableError as error:
        raise UnavailableError("unavailable", f"{error.reason}; {by_hand(entry, top)}") from None


def _install(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move files to their places; no file of the user's that differs is overwritten."""
    moves = list(moves)
    for staged, place in moves:
        if place.exists() and sha256(place) != sha256(staged):
            raise InputError(f"{place}: another file is there already; move it away first. Nothing was changed")
    for staged, place in moves:
        place.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(place)
