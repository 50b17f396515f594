"""Downloads of the catalog's sets: into a temporary folder, verified, and only then moved into place."""

from __future__ import annotations

import errno
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from srbench.datasets.catalog import get_dataset
from srbench.datasets.entry import Archive, Dataset, File
from srbench.datasets.hashes import sha256
from srbench.datasets.local import Located, by_hand, data_roots, locate
from srbench.datasets.unpack import unpack
from srbench.datasets.verify import places, write_sums
from srbench.errors import InputError, SrbenchError, UnavailableError
from srbench.files import staging_folder
from srbench.images import list_images

_TIMEOUT_S = 30
_TRIES = 3
_PAUSE_S = 1.0
# Answers of a busy server, worth another try; any other answer is final.
_PASSING = frozenset({429, 500, 502, 503, 504})

_LOG = logging.getLogger(__name__)

Advance = Callable[[int], object]


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


def download(url: str, path: Path, size: int, expected: str | None, advance: Advance | None = None) -> str:
    """Download one file and return its sha256; a wrong or cut-off file is removed.

    Args:
        url: http or https.
        path: the file to write; the caller's temporary one.
        size: bytes expected; 0 if unknown.
        expected: sha256; None if unknown, and then anything is accepted.
        advance: called with the number of bytes in each piece.

    Raises:
        UnavailableError: the source does not answer or has no such file.
        InputError: wrong size or sha256.
    """
    import pooch
    import requests

    for attempt in range(1, _TRIES + 1):
        try:
            with path.open("wb") as file:
                sink = _Sink(file, url, size, advance)
                pooch.HTTPDownloader(timeout=_TIMEOUT_S, chunk_size=1 << 16)(url, sink, None)
            return sink.check(expected)
        except requests.RequestException as error:
            path.unlink(missing_ok=True)
            sink.forget()
            answer = error.response
            if attempt == _TRIES or (answer is not None and answer.status_code not in _PASSING):
                raise _fault(url, size, sink.size, error) from None
            time.sleep(_PAUSE_S * attempt)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    raise AssertionError("the last attempt returns or raises")


def _fault(url: str, size: int, got: int, error: Any) -> SrbenchError:
    if error.response is not None:
        return UnavailableError("unavailable", f"{url} answered {error.response.status_code} {error.response.reason}")
    # A piece that ends early is not passed on: only urllib3 knows how many bytes came.
    inner = [part for outer in error.args for part in (outer, *getattr(outer, "args", ()))]
    got = max([got, *(part.partial for part in inner if isinstance(getattr(part, "partial", None), int))])
    if got:
        return InputError(f"{url}: the download was cut off: expected {size or 'more'} bytes, got {got}; it is removed")
    return UnavailableError("unavailable", f"{url} does not answer ({type(error).__name__})")


class _Sink:
    """A file that counts and hashes what is written to it, and refuses more bytes than were announced."""

    def __init__(self, file: BinaryIO, url: str, limit: int, advance: Advance | None) -> None:
        self.file, self.url, self.limit, self.advance = file, url, limit, advance
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.limit and self.size > self.limit:
            raise InputError(f"{self.url}: expected {self.limit} bytes, got more")
        self.digest.update(piece)
        self.file.write(piece)
        if self.advance:
            self.advance(len(piece))

    def flush(self) -> None:
        """Pieces are flushed when the file is closed."""

    def forget(self) -> None:
        if self.advance:
            self.advance(-self.size)

    def check(self, expected: str | None) -> str:
        got = self.digest.hexdigest()
        if self.limit and self.size != self.limit:
            raise InputError(
                f"{self.url}: cut off: expected {self.limit} bytes, got {self.size}; the download is removed"
            )
        if expected is not None and got != expected:
            raise InputError(f"{self.url}: expected sha256 {expected}, got {got}; the download is removed")
        return got


def _lacking(entry: Dataset, found: Located, top: Path) -> list[tuple[File, Path]]:
    """The files of a set that are not there yet, and where they belong."""
    lacking = []
    for file, place in places(entry, found, found.folder or top / entry.folder / "HR"):
        if not place.exists():
            lacking.append((file, place))
        elif (got := sha256(place)) != file.sha256:
            raise InputError(
                f"{place}: expected sha256 {file.sha256}, got {got}; move it away, then get {entry.name} again"
            )
    return lacking


def _file_moves(
    entry: Dataset, lacking: list[tuple[File, Path]], staging: Path, top: Path, progress: bool
) -> list[tuple[Path, Path]]:
    moves = []
    with _bar(entry.name, sum(file.size for file, _ in lacking), progress) as advance:
        for number, (file, place) in enumerate(lacking):
            staged = staging / str(number)
            _download_for(entry, file.url, staged, file.size, file.sha256, advance, top)
            moves.append((staged, place))
    return moves


def _archive_moves(
    entry: Dataset, archive: Archive, staging: Path, top: Path, progress: bool
) -> list[tuple[Path, Path]]:
    zipped = staging / Path(archive.url).name
    with _bar(entry.name, archive.size, progress) as advance:
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
    moves = [(path, target / "HR" / path.name) for path in images]
    if archive.sha256 is not None:
        sums = write_sums(staging, archive, images)
        moves.append((sums, target / sums.name))
    return moves


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


@contextmanager
def _bar(label: str, total: int, shown: bool) -> Iterator[Advance]:
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total or None)
        yield lambda size: bar.advance(task, size)
