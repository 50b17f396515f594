"""sha256 of image files and of their pixels; those of large sets are remembered by path, size, inode and times of change.

A set of a few files is read anew every time: that takes milliseconds, and bits that rot on a disk change no time.

One small JSON a folder, replaced whole: several processes may write it at once, and the worst that can happen is that a
hash is computed twice. Where the cache cannot be written, hashes are simply computed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from srbench.errors import InputError
from srbench.files import sha256, write_text

_FEW = 500  # files, and bytes, of a folder whose hashes are not remembered
_FEW_BYTES = 256 * 2**20
# A file changed twice within one tick of the file system's clock keeps its time: so young a file is not remembered.
_SETTLED_NS = 2_000_000_000


def cache_root() -> Path:
    """The user cache of srbench: ``SRBENCH_CACHE``, or the operating system's place for it (it need not exist)."""
    if named := os.environ.get("SRBENCH_CACHE"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("srbench"))


def digest_of(hashes: Mapping[str, str]) -> str:
    """One sha256 over file names and their hashes, whatever their order."""
    lines = sorted(f"{value}  {name}\n" for name, value in hashes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_of(paths: Iterable[Path]) -> dict[Path, str]:
    """sha256 of each file; of many or large ones from the cache, where size, inode and times of change are as they were."""
    return remembered(paths, "hashes", sha256)


def remembered(paths: Iterable[Path], kind: str, compute: Callable[[Path], str]) -> dict[Path, str]:
    """A text computed from each file's content; for many or large files from the cache, while their size and times are the same.

    Args:
        paths: the files.
        kind: names the folder of the cache, one for each way of computing.
        compute: makes the text of a file.
    """
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    return {
        path: value
        for folder, files in folders.items()
        for path, value in _of_folder(folder, files, kind, compute).items()
    }


def _of_folder(folder: Path, files: list[Path], kind: str, compute: Callable[[Path], str]) -> dict[Path, str]:
    facts = {path: _regular(path) for path in files}
    if len(files) < _FEW and sum(fact.st_size for fact in facts.values()) < _FEW_BYTES:
        return {path: compute(path) for path in files}
    # Resolved here, because a relative path names other files from another working folder.
    key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    memory = cache_root() / kind / f"{key}.json"
    known = _read(memory)
    found: dict[Path, str] = {}
    fresh: dict[str, list[int | str]] = {}
    for path, fact in facts.items():
        # A tool that puts the time of change back changes the inode's own time (ctime) by that.
        key_of_file = [fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns, fact.st_ino]
        entry = known.get(path.name)
        if isinstance(entry, list) and entry[:-1] == key_of_file:
            found[path] = str(entry[-1])
            continue
        found[path] = compute(path)
        if time.time_ns() - max(fact.st_mtime_ns, fact.st_ctime_ns) > _SETTLED_NS:
            fresh[path.name] = [*key_of_file, found[path]]
    if fresh:
        with suppress(OSError):
            write_text(memory, json.dumps(known | fresh))
    return found


def _regular(path: Path) -> os.stat_result:
    """What the disk says of a file; InputError for a dead link, and for a pipe or a device, which would be waited for."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a regular file")
    return found


def _read(memory: Path) -> dict[str, object]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
