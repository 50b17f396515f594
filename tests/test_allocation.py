"""Freed memory is kept: measured by page faults, in processes of their own, as the setting holds for a whole process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from srbench import allocation
from srbench.allocation import keep_freed_memory

FAULTS = """
import resource, sys, threading, torch
from srbench.allocation import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def use():
    for _ in range(3):
        torch.ones(25 * 2**20)  # 100 MB
for _ in range(6):  # small things carve pieces out of the first blocks
    use()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
use()
here = faults() - before
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(kept, here)
"""


def faults(how: str, **environment: str) -> tuple[str, int]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, env=clean | environment
    )
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(allocation._libc() is None, reason="no glibc")
def test_the_next_tensor_takes_the_pages_of_the_last() -> None:
    kept, count = faults("keep")
    assert kept == "True"
    assert count < 30_000
    assert faults("leave")[1] > 3 * 20_000, "three times 100 MB are 76,800 pages of 4 KB"


@pytest.mark.skipif(allocation._libc() is None, reason="no glibc")
def test_what_a_user_has_set_up_is_left() -> None:
    kept, count = faults("keep", MALLOC_TOP_PAD_="1048576")
    assert kept == "False"
    assert count > 3 * 20_000


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    allocation._libc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
    allocation._libc.cache_clear()
