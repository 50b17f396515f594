"""How a process of srbench uses memory and threads: two defaults of the C libraries that cost more than they bring here.

glibc gives blocks above 32 MB back to the system at once, and the next tensor faults every page anew. That was 41 % of a pass
of SRCNN over 640×480 on one core (773 ms, 435 without), a quarter of its training step, and 19 % of EDSR-baseline's pass.

GNU OpenMP's threads spin for milliseconds after each operation in case another follows. Where anything else runs, they keep the
processor from those that have work: with two busy cores a pass of FSRCNN over 320×180 took 454 ms, and 51 once they slept soon.

No bit of any result changes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock, get_ident
from typing import Any

LARGE = 2**24
"""Pixels of an image, 4096×4096: what takes more is worked on in parts and leaves no memory behind."""

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # of mallopt(3)
_MAPPINGS = 65536  # glibc's own bound of blocks that are mapped one by one
_PAD = (
    64 * 2**20
)  # asked for beyond each need: an aligned block fits where one of its size was freed only with some room
_LITTLE_PAD = 2 * 2**20  # where memory is short
_keeps: list[bool] = []  # whether malloc was set up here
_BLOCK = 2**22  # bytes of one that goes back where large ones shall
_within: list[int] = []  # threads that are within ``large_blocks_go_back``
_lock = Lock()
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_SPINS = 1000  # about 10 µs, a short operation's time


def set_up_process() -> None:
    """Set up all of it; before torch is imported, which takes the second over from the environment."""
    sleep_soon()
    keep_freed_memory()
    # Pillow warns of large images on its own; here a limit of our own refuses them in one line.
    warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit")


def sleep_soon() -> None:
    """Let OpenMP's threads sleep after a short wait, unless the environment says how long they shall wait."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = str(_SPINS)


def keep_freed_memory() -> bool:
    """Ask glibc's malloc to keep what is freed for the next tensor; whether it will.

    It does nothing on other systems, and where MALLOC_… variables have set malloc up already.
    """
    libc = _libc()
    if libc is None or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    never = -1
    settings = ((_TRIM_THRESHOLD, never), (_MMAP_MAX, 0), (_TOP_PAD, _PAD))
    _keeps.append(all(libc.mallopt(what, value) for what, value in settings))
    return _keeps[-1]


@contextlib.contextmanager
def large_blocks_go_back(pixels: int = LARGE + 1) -> Iterator[None]:
    """Within the block, what is freed of large images goes back to the system at once, and at its end whatever is free.

    Where images fill the memory, keeping what is freed for later would take as much again, as blocks of many sizes leave gaps.

    Args:
        pixels: of the image that is worked on; up to ``LARGE`` nothing changes.
    """
    libc = _libc()
    if libc is None or not _keeps or pixels <= LARGE:
        yield
        return
    with _lock:
        _within.append(get_ident())
        _map_large(libc)
        libc.malloc_trim(0)  # what is free on the heap would be taken before anything is mapped
    try:
        yield
    finally:
        with _lock:
            _within.remove(get_ident())
            libc.malloc_trim(0)
            if not _within:
                _map_nothing(libc, _PAD)


@contextlib.contextmanager
def blocks_are_kept() -> Iterator[None]:
    """Within the block, where large ones go back otherwise, what is freed serves the next one, as with small images.

    For work on equal parts one after another, whose tensors are all of a few sizes: a fresh page for each of them took as
    long as a network's arithmetic. What is free at the end goes back.
    """
    libc = _libc()
    if libc is None or not _within:
        yield
        return
    _map_nothing(libc, _LITTLE_PAD)
    try:
        yield
    finally:
        with _lock:
            if _within:
                _map_large(libc)
        libc.malloc_trim(0)


def _map_large(libc: Any) -> None:
    for what, value in ((_TOP_PAD, 0), (_MMAP_THRESHOLD, _BLOCK), (_MMAP_MAX, _MAPPINGS)):
        libc.mallopt(what, value)


def _map_nothing(libc: Any, pad: int) -> None:
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TOP_PAD, pad)


@cache
def _libc() -> Any:
    """The C library, where it has ``mallopt``; else None."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") else None


def free_memory() -> int:
    """Bytes of memory that this process may still take: of the machine, or of the container's limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, free)
