"""Decoded images on disk, memory-mapped: training sets that are larger than memory.

``SRBENCH_CACHE/training/<key>.bin`` holds the pixels of all images and copies one after another, ``<key>.json`` where each
lies and the sha256 of the whole. The key is a hash over the files' own hashes, the scale, the rescaled sizes and the
degradation, so that changed images get a new cache. Both files appear whole or not at all, and a cache that differs from its
sha256 is built anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from srbench.datasets.hashes import cache_root, sha256_of
from srbench.errors import InputError
from srbench.files import listed, replacing, write_text
from srbench.references import CACHE_MEMORY, bytes_of, cache_memory
from srbench.training.data.decode import U8, Copy, Decoded, Wanted, decode_all
from srbench.training.data.pairs import lr_facts

_VERSION = 1  # of the file's layout and of how its pixels are made


def default_memory() -> float:
    """The bound in bytes where none is given: ``SRBENCH_CACHE_MEMORY``, else a quarter of the machine's memory, 4 GiB where
    that is unknown.
    """
    if os.environ.get(CACHE_MEMORY):
        return cache_memory()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 4
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30


CACHE_DISK = "SRBENCH_CACHE_DISK"
_MOST_DISK = 32 * 2**30


def default_disk() -> float:
    """The bound in bytes of decoded images on disk: ``SRBENCH_CACHE_DISK`` in GiB, else half of what is free, at most 32 GiB.

    What the cache holds already counts as free, since it makes room for others. Raises InputError where the variable is no
    number.
    """
    if named := os.environ.get(CACHE_DISK):
        return bytes_of(named, CACHE_DISK)
    folder = cache_root() / "training"
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
    held = sum(_sizes(folder).values())
    return min(_MOST_DISK, (shutil.disk_usage(there).free + held) / 2)


def estimate(paths: Sequence[Path], scale: int, rescale: Sequence[float]) -> int:
    """Bytes that the decoded images and copies take, from the files' headers; unreadable files take none."""
    from PIL import Image

    pixels = 0
    for path in paths:
        with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(path) as file:
            pixels += file.width * file.height
    area = 1 + sum(factor**2 for factor in rescale)
    return int(3 * pixels * area * (1 + 1 / scale**2))


def cached(
    paths: Sequence[Path],
    wanted: Wanted,
    size: int,
    skip_bad: bool,
    advance: Callable[[], None] = lambda: None,
    disk: float = math.inf,
) -> list[Decoded]:
    """The files' images and copies, memory-mapped; built first where the cache has none or a damaged one.

    Args:
        paths: the HR files.
        wanted: what is made of each.
        size: bytes that it will take, about.
        skip_bad: build although some file cannot be read.
        advance: called after each file that is decoded for the cache.
        disk: bytes that all caches may take together; those used longest ago make room for a new one.

    Raises:
        InputError: a file that cannot be read; no room on the disk.
    """
    folder = cache_root() / "training"
    stem = key(paths, wanted)
    found = read(folder, stem, wanted)
    if found is None:
        make_room(folder, size, disk, spare=stem)
        found = build(folder, stem, paths, wanted, size, skip_bad, advance)
    return found


def make_room(folder: Path, size: float, disk: float, spare: str = "") -> None:
    """Remove the caches used longest ago until one of ``size`` bytes fits beside the others.

    A run that maps such a file goes on: the system keeps its bytes until then.

    Args:
        folder: of the caches.
        size: of the new one.
        disk: bytes for all of them.
        spare: the new one's name.
    """
    sizes = _sizes(folder)
    sizes.pop(folder / f"{spare}.bin", None)
    for path in sorted(sizes, key=_last_used):
        if sum(sizes.values()) + size <= disk:
            return
        with suppress(OSError):
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink()
            del sizes[path]


def _sizes(folder: Path) -> dict[Path, int]:
    """Bytes of each cache; another process may remove one meanwhile, and what it is still writing is no cache yet."""
    sizes = {}
    for path in listed(folder, "*.bin"):
        with suppress(OSError):
            sizes[path] = path.stat().st_size
    return sizes


def _last_used(pixels: Path) -> float:
    """When a cache was last read, or written where another process has not written its index yet."""
    for path in (pixels.with_suffix(".json"), pixels):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def key(paths: Sequence[Path], wanted: Wanted) -> str:
    """The name of a cache: everything that decides its bytes."""
    hashes = sha256_of(paths)
    facts = [_VERSION, wanted.scale, wanted.rescale, wanted.margin, [[path.name, hashes[path]] for path in paths]]
    if wanted.degradation != "bicubic":  # a cache from before there was a choice is still one of bicubic
        facts.append(wanted.degradation)
    if wanted.lr:
        facts.append(["lr", *lr_facts({path: wanted.lr[path] for path in paths})])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def build(
    folder: Path,
    stem: str,
    paths: Sequence[Path],
    wanted: Wanted,
    size: int,
    skip_bad: bool,
    advance: Callable[[], None],
) -> list[Decoded]:
    """Decode every file into a new cache and return it, mapped before it has its name: another process may need its room at once.

    Raises InputError as :func:`cached`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    advice = "raise --cache-memory, or point SRBENCH_CACHE to a larger disk; a lower --cache-disk decodes what is drawn"
    if (free := shutil.disk_usage(folder).free) < size:
        raise InputError(f"the decoded images take {gib(size)} and {folder} has {gib(free)} left; {advice}")
    try:
        with replacing(folder / f"{stem}.bin") as staging, staging.open("wb") as file:
            index = _write_pixels(file, decode_all(paths, wanted, wanted.scale, advance), skip_bad)
            file.flush()
            with staging.open("rb") as written:
                found = _unpack(_mapped(written), index["files"], wanted)
        write_text(folder / f"{stem}.json", json.dumps(index))
        return found
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{folder} became full while the decoded images were written; {advice}") from None


def _write_pixels(file: BinaryIO, found: Iterable[Decoded], skip_bad: bool) -> dict[str, Any]:
    """Write the pixels of all images and copies one after another; the index of the file."""
    digest, entries = hashlib.sha256(), []
    for decoded in found:
        if decoded.error and not skip_bad:
            raise InputError(f"{decoded.error}; --skip-bad leaves such images out")
        copies = [[copy.factor, *copy.hr.shape[:2]] for copy in decoded.copies]
        entries.append({"name": decoded.name, "side": decoded.side, "error": decoded.error, "copies": copies})
        for array in (part for copy in decoded.copies for part in (copy.hr, copy.lr)):
            file.write(array.data)
            digest.update(array.data)
    return {"sha256": digest.hexdigest(), "files": entries}


def read(folder: Path, stem: str, wanted: Wanted) -> list[Decoded] | None:
    """What a cache holds, or None where it is not there, cut off or damaged, or another process removes it meanwhile.

    The sha256 of all pixels is compared, and remembered by the file's size and time of change.
    """
    pixels = folder / f"{stem}.bin"
    try:
        index = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
        with pixels.open("rb") as file:
            mapped = _mapped(file)
            same = sha256_of([pixels])[pixels] == index["sha256"]
            if not (same and os.path.samestat(pixels.stat(), os.fstat(file.fileno()))):
                return None
        with suppress(OSError):
            os.utime(folder / f"{stem}.json")  # who was used last is removed last
        return _unpack(mapped, index["files"], wanted)
    except (OSError, InputError, ValueError, KeyError, TypeError):
        return None


def _mapped(file: BinaryIO) -> U8:
    """A file's bytes, mapped; those of an empty one, which no system maps."""
    return np.asarray(np.memmap(file, np.uint8, "r")) if os.fstat(file.fileno()).st_size else np.zeros(0, np.uint8)


def _unpack(mapped: U8, files: list[dict[str, Any]], wanted: Wanted) -> list[Decoded]:
    start = 0

    def take(height: int, width: int) -> U8:
        nonlocal start
        end = start + 3 * height * width
        array = mapped[start:end].reshape(height, width, 3)  # ValueError where the file is cut off
        start = end
        return array

    found = []
    for entry in files:
        copies = []
        for factor, height, width in entry["copies"]:
            hr = take(height, width)
            lr = take(height // wanted.scale + 2 * wanted.margin, width // wanted.scale + 2 * wanted.margin)
            copies.append(Copy(entry["side"], factor, hr, lr))
        found.append(Decoded(entry["name"], entry["side"], tuple(copies), entry["error"]))
    return found


def gib(size: float) -> str:
    """Bytes for people, in GiB."""
    return f"{size / 2**30:.1f} GiB"
