"""One file from the network: counted, hashed, and given up when the server is silent, too slow or wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

from srbench.errors import InputError, SrbenchError, UnavailableError

Advance = Callable[[int], object]

_TRIES = 3
_PAUSE_S = 1.0
# Answers of a busy server, worth another try; any other answer is final.
_PASSING = frozenset({429, 500, 502, 503, 504})
_PIECE = 1 << 16
_STALL_S = 120.0  # for one piece: below half a kilobyte a second nobody waits for a set
_TOTAL_S = 600.0  # and for the whole, beside what its bytes may take
_SLOWEST = 50_000.0  # bytes a second


def download(
    url: str, path: Path, size: int, expected: str | None, advance: Advance | None = None, timeout: float = 30.0
) -> str:
    """Download one file and return its sha256; a wrong or cut-off file is removed.

    Args:
        url: http or https.
        path: the file to write; the caller's temporary one.
        size: bytes expected; 0 if unknown.
        expected: sha256, or its first digits; None if unknown, and then anything is accepted.
        advance: called with the number of bytes in each piece.
        timeout: seconds without an answer.

    Raises:
        UnavailableError: the source does not answer, has no such file, or takes too long (no piece within two minutes, or ten
            minutes and 20 s a megabyte for the whole).
        InputError: wrong size or sha256.
    """
    import requests

    for attempt in range(1, _TRIES + 1):
        try:
            with path.open("wb") as file:
                sink = _Sink(file, url, size, advance)
                _transfer(url, sink, timeout)
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


def _transfer(url: str, sink: _Sink, timeout: float) -> None:
    """Let pooch fill the sink, in a thread: a server that sends a byte now and then holds the one that reads for days."""
    import pooch

    raised: list[BaseException] = []

    def work() -> None:
        try:
            pooch.HTTPDownloader(timeout=timeout, chunk_size=_PIECE)(url, sink, None)
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=work, name="download", daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
            if sink.late() and thread.is_alive():
                raise UnavailableError("unavailable", f"{url} is too slow: {sink.size:,} bytes came; given up")
    finally:
        sink.closed = thread.is_alive()
    if raised:
        raise raised[0]


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
        self.closed = False
        self.digest = hashlib.sha256()
        self._begun = self._last = time.monotonic()

    def write(self, piece: bytes) -> None:
        if self.closed:
            raise InputError(f"{self.url}: given up")
        self._last = time.monotonic()
        self.size += len(piece)
        if self.limit and self.size > self.limit:
            raise InputError(f"{self.url}: expected {self.limit} bytes, got more")
        self.digest.update(piece)
        self.file.write(piece)
        if self.advance:
            self.advance(len(piece))

    def flush(self) -> None:
        """Pieces are flushed when the file is closed."""

    def late(self) -> bool:
        """Whether the last piece, or the whole, takes longer than anybody waits."""
        now = time.monotonic()
        return now - self._last > _STALL_S or now - self._begun > _TOTAL_S + max(self.size, self.limit) / _SLOWEST

    def forget(self) -> None:
        if self.advance:
            self.advance(-self.size)

    def check(self, expected: str | None) -> str:
        got = self.digest.hexdigest()
        if self.limit and self.size != self.limit:
            raise InputError(
                f"{self.url}: cut off: expected {self.limit} bytes, got {self.size}; the download is removed"
            )
        if expected is not None and not got.startswith(expected):
            raise InputError(f"{self.url}: expected sha256 {expected}, got {got}; the download is removed")
        return got


@contextmanager
def progress_bar(label: str, total: int, shown: bool) -> Iterator[Advance]:
    """A bar of bytes on standard error, advanced by calling what is yielded; ``total`` is 0 where it is not known."""
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total or None)
        yield lambda size: bar.advance(task, size)
