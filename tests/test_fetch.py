"""Downloads, from a server on this machine that can misbehave: nothing wrong is ever kept."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import CliRunner

from srbench import download as downloads
from srbench.cli import main
from srbench.datasets import catalog
from srbench.datasets.entry import Archive, Dataset, File
from srbench.datasets.fetch import fetch
from srbench.datasets.verify import verify
from srbench.download import download
from srbench.errors import InputError, UnavailableError

IMAGES = {"HR/a.png": b"first" * 999, "HR/b.png": b"second" * 999, "LR_bicubic/X2/ax2.png": b"third" * 99}


@dataclass
class Server:
    """What is answered to which path, and what was asked for."""

    url: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, list[int]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            body = state.answers.get(self.path)
            queue = state.status.get(self.path)
            status = queue.pop(0) if queue else 200 if body is not None else 404
            body = body or b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body[: len(body) // 2] if self.path in state.cut else body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.url = f"http://127.0.0.1:{running.server_port}"
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SRBENCH_DATA", raising=False)
    return tmp_path / "data"


BARE = Dataset("tiny", "nobody", "Tiny", "test", 2, "none", "http://127.0.0.1", "draw them")


def tiny(server: Server) -> Dataset:
    server.answers |= {f"/{path}": content for path, content in IMAGES.items()}
    listing = tuple(
        File(path, len(content), hashlib.sha256(content).hexdigest(), f"{server.url}/{path}")
        for path, content in IMAGES.items()
    )
    return replace(BARE, listing=listing)


def zipped(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def in_zip(server: Server, content: bytes, known: bool = True) -> Dataset:
    """A set of two numbered images that comes in the archive ``/set.zip``."""
    server.answers["/set.zip"] = content
    sha256 = hashlib.sha256(content).hexdigest() if known else None
    archive = Archive(f"{server.url}/set.zip", len(content) if known else 0, sha256, "inner")
    return replace(BARE, numbered="%04d.png", archive=archive)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_are_fetched_verified_and_found(server: Server, root: Path) -> None:
    entry = tiny(server)
    assert fetch(entry, root) == root / "Tiny/HR"
    assert everything(root) == {f"Tiny/{path}": content for path, content in IMAGES.items()}
    assert verify(entry, root).status == "verified"


def test_only_what_is_missing_is_fetched(server: Server, root: Path) -> None:
    entry = tiny(server)
    fetch(entry, root)
    server.asked.clear()
    fetch(entry, root)
    assert server.asked == []
    (root / "Tiny/HR/b.png").unlink()
    fetch(entry, root, progress=True)
    assert server.asked == ["/HR/b.png"]
    assert everything(root) == {f"Tiny/{path}": content for path, content in IMAGES.items()}


def test_wrong_bytes_leave_nothing(server: Server, root: Path) -> None:
    entry = tiny(server)
    wrong = IMAGES["HR/b.png"][:-1] + b"?"
    server.answers["/HR/b.png"] = wrong
    expected, got = entry.files[1].sha256, hashlib.sha256(wrong).hexdigest()
    with pytest.raises(InputError, match=rf"/HR/b.png: expected sha256 {expected}, got {got}"):
        fetch(entry, root)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(("content", "got"), [(b"short", "got 5"), (b"x" * 9999, "got more")])
def test_wrong_size_leaves_nothing(server: Server, root: Path, content: bytes, got: str) -> None:
    entry = tiny(server)
    server.answers["/HR/b.png"] = content
    with pytest.raises(InputError, match=rf"/HR/b.png: .*expected 5994 bytes, {got}"):
        fetch(entry, root)
    assert list(root.iterdir()) == []


def test_cut_off_download_is_tried_again_and_leaves_nothing(server: Server, root: Path) -> None:
    entry = tiny(server)
    server.cut.add("/HR/a.png")
    with pytest.raises(InputError, match=r"/HR/a.png: the download was cut off: expected 4995 bytes, got 2497"):
        fetch(entry, root)
    assert server.asked == ["/HR/a.png"] * 3
    assert list(root.iterdir()) == []


def test_busy_server_is_asked_again(server: Server, root: Path) -> None:
    entry = tiny(server)
    server.status["/HR/a.png"] = [503, 429]
    fetch(entry, root)
    assert server.asked.count("/HR/a.png") == 3
    assert verify(entry, root).ok


def test_missing_source_gives_the_manual_way(server: Server, root: Path) -> None:
    entry = tiny(server)
    del server.answers["/HR/b.png"]
    with pytest.raises(UnavailableError, match=r"/HR/b.png answered 404 .*; by hand: draw them, .*Tiny/HR") as caught:
        fetch(entry, root)
    assert caught.value.status == "unavailable"
    assert server.asked.count("/HR/b.png") == 1, "a final answer is not asked for again"
    assert list(root.iterdir()) == []


def test_no_server_gives_the_manual_way(server: Server, root: Path) -> None:
    entry = tiny(server)
    dead = replace(entry.files[0], url="http://127.0.0.1:9/HR/a.png")
    with pytest.raises(UnavailableError, match=r"127.0.0.1:9/HR/a.png does not answer .*; by hand: draw them"):
        fetch(replace(entry, listing=(dead, *entry.files[1:])), root)
    assert list(root.iterdir()) == []


def test_other_images_of_the_user_are_kept(server: Server, root: Path) -> None:
    entry = tiny(server)
    (root / "Tiny/HR").mkdir(parents=True)
    (root / "Tiny/HR/a.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a.png: expected sha256 .*, got .*; move it away"):
        fetch(entry, root)
    assert everything(root) == {"Tiny/HR/a.png": b"mine"}
    archived = in_zip(server, zipped({"inner/0001.png": b"1", "inner/0002.png": b"2"}))
    (root / "Tiny/HR/0001.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"0001.png: another file is there already"):
        fetch(archived, root)
    assert everything(root) == {"Tiny/HR/a.png": b"mine", "Tiny/HR/0001.png": b"mine"}


def test_full_disk_stops_cleanly(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = tiny(server)
    written: list[int] = []

    def write(self: object, piece: bytes) -> None:
        written.append(len(piece))
        if sum(written) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(downloads._Sink, "write", write)
        patched.setattr(downloads._Sink, "check", lambda self, expected: expected)
        with pytest.raises(InputError, match=r"no space left on the disk for tiny"):
            fetch(entry, root)
    assert list(root.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_real_write_to_a_full_device_is_not_retried(server: Server, tmp_path: Path) -> None:
    entry = tiny(server)
    (tmp_path / "out").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        download(entry.files[0].url, tmp_path / "out", entry.files[0].size, entry.files[0].sha256)
    assert caught.value.errno == errno.ENOSPC
    assert len(server.asked) == 1
    assert not (tmp_path / "out").is_symlink()


# Patience


@pytest.mark.parametrize("limit", ["_STALL_S", "_TOTAL_S"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Each byte comes well within the time of an answer, so that only a limit of the whole ends it."""
    stop = Event()

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                while not stop.wait(0.05):
                    self.wfile.write(b"x" * (1 << 12))

        def log_message(self, *args: object) -> None:
            """Silent."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(downloads, limit, 0.5)
    monkeypatch.setattr(downloads, "_SLOWEST", 1e9)
    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match=r"is too slow: .* bytes came; given up"):
            download(f"http://127.0.0.1:{running.server_port}/x", tmp_path / "x", 0, None)
        assert time.monotonic() - begun < 10
        stop.set()
        running.shutdown()
        thread.join()
    assert list(tmp_path.iterdir()) == []


# Archives


def test_archive_is_unpacked_and_its_hashes_written_down(server: Server, root: Path) -> None:
    entry = in_zip(server, zipped({"inner/0001.png": b"1", "inner/0002.png": b"2", "readme.txt": b"hello"}))
    assert fetch(entry, root) == root / "Tiny/HR"
    assert sorted(everything(root)) == ["Tiny/HR/0001.png", "Tiny/HR/0002.png", "Tiny/SHA256SUMS"]
    found = verify(entry, root)
    assert (found.status, found.reference) == ("verified", "archive")
    (root / "Tiny/HR/0002.png").write_bytes(b"3")
    assert [path for path, *_ in verify(entry, root).different] == ["HR/0002.png"]
    server.asked.clear()
    fetch(entry, root)
    assert server.asked == []


@pytest.mark.parametrize("done", range(4))
def test_a_download_that_ends_between_two_files_is_made_whole_by_the_next(
    done: int, server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(BaseException):
        """As a kill, after which nothing is tidied."""

    entry = in_zip(server, zipped({"inner/0001.png": b"1", "inner/0002.png": b"2"}))
    replace, moved = Path.replace, 0

    def replacing(path: Path, place: Path) -> Path:
        nonlocal moved
        if root.joinpath("Tiny") in place.parents:
            if moved == done:
                raise EndedError
            moved += 1
        return replace(path, place)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replacing)
        with suppress(EndedError):
            fetch(entry, root)
    assert moved == min(done, 3)
    fetch(entry, root)
    assert sorted(everything(root)) == ["Tiny/HR/0001.png", "Tiny/HR/0002.png", "Tiny/SHA256SUMS"]
    assert verify(entry, root).status == "verified"


def test_archive_without_a_known_hash_is_unverified(
    server: Server, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = zipped({"inner/0001.png": b"1", "inner/0002.png": b"2"})
    entry = in_zip(server, content, known=False)
    fetch(entry, root)
    assert (
        f"tiny is unverified: no sha256 of {server.url}/set.zip is known; got {hashlib.sha256(content).hexdigest()}"
        in (caplog.text)
    )
    assert verify(entry, root).status == "unverified"
    assert len(verify(entry, root).digest) == 64


def test_archive_that_lacks_images(server: Server, root: Path) -> None:
    entry = in_zip(server, zipped({"inner/0001.png": b"1"}))
    with pytest.raises(InputError, match=r"set.zip: expected 2 images in inner, got 1, without 0002.png"):
        fetch(entry, root)
    assert list(root.iterdir()) == []


def test_what_a_killed_download_left_is_removed_though_the_set_is_there(server: Server, root: Path) -> None:
    entry = in_zip(server, zipped({"inner/0001.png": b"1", "inner/0002.png": b"2"}))
    fetch(entry, root)
    killed = subprocess.run(  # as one that was killed when the last file was in its place
        [
            sys.executable,
            "-c",
            "import sys; from srbench.files import staging_name; print(staging_name(sys.argv[1]))",
            "tiny",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    left = root / killed.stdout.strip()
    (left / "unpacked").mkdir(parents=True)
    fetch(entry, root)
    assert not left.exists()


def test_evil_archive_leaves_nothing(server: Server, root: Path) -> None:
    entry = in_zip(server, zipped({"inner/0001.png": b"1", "inner/0002.png": b"2", "../evil.png": b"evil"}))
    with pytest.raises(InputError, match=r"set.zip: entry '../evil.png' would leave the folder; nothing was unpacked"):
        fetch(entry, root)
    assert list(root.iterdir()) == []
    assert not list(root.parent.rglob("*evil*"))


# The command


def test_get_command(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = tiny(server)
    monkeypatch.setattr(catalog, "CATALOG", {"tiny": entry})
    done = CliRunner().invoke(main, ["data", "get", "tiny", "--data-root", str(root)])
    assert (done.exit_code, done.output) == (0, f"tiny: 2 images in {root}/Tiny/HR, verified, licence: none\n")
    (root / "Tiny/HR/b.png").unlink()
    server.answers["/HR/b.png"] = b"short"
    failed = CliRunner().invoke(main, ["data", "get", "tiny", "--data-root", str(root)])
    assert failed.exit_code == 1
    assert failed.stderr.startswith(f"Error: {server.url}/HR/b.png: cut off: expected 5994 bytes, got 5")
    assert failed.stderr.count("\n") == 1


@pytest.mark.skipif("SRBENCH_NETWORK" not in os.environ, reason="downloads only with SRBENCH_NETWORK=1")
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in catalog.CATALOG.items() if entry.downloadable])
def test_public_sources_still_have_the_sets(name: str, root: Path) -> None:
    fetch(name, root)
    assert verify(name, root).status == "verified"
