"""The one atomic writer, and the sha256 of a file. A file appears whole or not at all, also after SIGKILL, on a full disk or with
several writers.

Content goes into a staging file in the same folder, which is flushed to the disk and renamed; then the folder is flushed.
A staging file's name says which process of which machine writes it, so that the next writer in the folder removes those that
a killed process left. Such names begin with a dot, and whoever lists a folder does it by :func:`listed`, which passes over them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_MARK = ".staging"
_STAGING = re.compile(rf"\..*\.(?P<machine>[0-9a-f]{{8}})-(?P<pid>\d+)-[0-9a-f]{{8}}{re.escape(_MARK)}(?:\.\w+)?")
_swept: set[tuple[int, str]] = set()


def sha256(path: Path | str) -> str:
    """sha256 of a file, in hexadecimal; however large it is, a piece of it is in memory at a time."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file in one step.

    Args:
        path: the file; its folder is made where it is not there.
        data: the whole content.

    Raises:
        OSError: with ``path`` as its file name, such as of a full disk; the old file stays as it was.
    """
    with replacing(path) as staging:
        staging.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Replace a text file in one step, as UTF-8 with ``\\n`` at the ends of lines; raises as :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A staging file to fill, which takes the place of ``path`` when the block ends without an exception.

    Args:
        path: the file to replace; its folder is made where it is not there.

    Yields:
        an empty file in the same folder with the same suffix. It may be written by name as often as wanted.

    Raises:
        OSError: with ``path`` as its file name; the old file stays as it was.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent)
        staging = _new_staging(path)
    except OSError as error:
        raise _named(error, path) from error
    try:
        yield staging
        _flush(staging)
        staging.chmod(0o644)
        staging.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        # An error about another file, or of no file such as a connection's, is not ours to name.
        if error.errno is None or error.filename not in (None, str(staging), staging):
            raise
        raise _named(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            staging.unlink(missing_ok=True)


def listed(folder: Path | str, pattern: str) -> list[Path]:
    """What a folder holds, without what is hidden: another process may be writing a staging file there, which is nobody else's to
    read, to count or to remove.

    Args:
        folder: where to look; a folder that is not there holds nothing.
        pattern: of :meth:`pathlib.Path.glob`.

    Returns:
        the paths, sorted.
    """
    folder = Path(folder)
    found = sorted(folder.glob(pattern))
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def sweep(folder: Path | str) -> list[Path]:
    """Remove the staging files and folders that dead processes of this machine left in ``folder``; returns what was removed."""
    import shutil

    removed = []
    for path in Path(folder).iterdir():
        found = _STAGING.fullmatch(path.name)
        if found is None or found["machine"] != _machine() or _alive(int(found["pid"])):
            continue
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return removed


def staging_name(name: str) -> str:
    """A hidden name for what will be called ``name``, which says who is writing it; :func:`sweep` knows it by that."""
    suffix = Path(name).suffix if re.fullmatch(r"\.\w+", Path(name).suffix) else ""
    start = os.fsencode(name)[:80].decode("utf-8", errors="ignore")  # disks count bytes, 255 at most
    return f".{start}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{_MARK}{suffix}"


@contextmanager
def staging_folder(parent: Path | str, name: str) -> Iterator[Path]:
    """A temporary folder in ``parent``, removed at the end of the block and, after SIGKILL, by the next one.

    Args:
        parent: where the content is to be moved to, so that moving is a rename; made where it is not there.
        name: what the content is, for people who find the folder.
    """
    import shutil

    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(parent)
    folder = parent / staging_name(name)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_staging(path: Path) -> Path:
    staging = path.parent / staging_name(path.name)
    with staging.open("xb"):
        return staging


def _named(error: OSError, path: Path) -> OSError:
    number = error.errno or 0
    return OSError(number, error.strerror or os.strerror(number), str(path))


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename last through a power cut; some file systems and Windows cannot, and then nothing is lost but that."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep_once(folder: Path) -> None:
    """Look once a process and folder: a listing before every write of thousands would be dear."""
    key = (os.getpid(), str(folder.absolute()))
    if key not in _swept:
        _swept.add(key)
        with contextlib.suppress(OSError):
            sweep(folder)


@cache
def _machine() -> str:
    """Name this machine and its space of process ids: containers of one host name may number their processes alike."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _alive(pid: int) -> bool:
    if os.name == "nt":  # os.kill(pid, 0) would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
