"""What is set up for a whole process, hence measured in processes of their own: page faults, and what OpenMP was told."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from srbench import process
from srbench.process import keep_freed_memory, sleep_soon

FAULTS = """
import resource, sys, threading, torch
from srbench.process import keep_freed_memory
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


@pytest.mark.slow
@pytest.mark.skipif(process._libc() is None, reason="no glibc")
def test_the_next_tensor_takes_the_pages_of_the_last() -> None:
    kept, count = faults("keep")
    assert kept == "True"
    assert count < 30_000
    assert faults("leave")[1] > 3 * 20_000, "three times 100 MB are 76,800 pages of 4 KB"


@pytest.mark.slow
@pytest.mark.skipif(process._libc() is None, reason="no glibc")
def test_what_a_user_has_set_up_is_left() -> None:
    kept, count = faults("keep", MALLOC_TOP_PAD_="1048576")
    assert kept == "False"
    assert count > 3 * 20_000


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    process._libc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
    process._libc.cache_clear()


def openmp_was_told(**environment: str) -> str:
    """How long OpenMP waits in a command that has imported torch, as it says itself."""
    code = "from srbench.cli import main; main(['cost', 'espcn'], standalone_mode=False)"
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {key: value for key, value in os.environ.items() if key not in ours}
    asked = clean | {"OMP_DISPLAY_ENV": "verbose"} | environment
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=asked)
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if not found:
        pytest.skip("torch has another OpenMP than GNU's")
    return found[1]


@pytest.mark.slow
def test_threads_sleep_soon_unless_told_otherwise() -> None:
    assert openmp_was_told() == "1000"
    assert openmp_was_told(GOMP_SPINCOUNT="77") == "77"


def test_a_wait_policy_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    sleep_soon()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    sleep_soon()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"


LARGE_BLOCKS = """
import numpy as np
from srbench.process import LARGE, blocks_are_kept, keep_freed_memory, large_blocks_go_back
assert keep_freed_memory()
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024
np.ones(8 * 2**20)  # stays with the process: 64 MB
found = [rss()]
for pixels in (LARGE, LARGE + 1):
    with large_blocks_go_back(pixels):
        np.ones(8 * 2**20)
        small = [np.ones(2**15) for _ in range(200)]  # 256 KB each, 50 MB
        del small
    found.append(rss())
np.ones(8 * 2**20)
found.append(rss())
with large_blocks_go_back(LARGE + 1):
    with blocks_are_kept():
        np.ones(8 * 2**20)
        found.append(rss())
    found.append(rss())
found.append(rss())
print(*found)
"""


@pytest.mark.slow
@pytest.mark.skipif(process._libc() is None, reason="no glibc")
def test_what_a_large_image_took_goes_back() -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", LARGE_BLOCKS], capture_output=True, text=True, check=True, env=clean)
    kept, small, large, after, within, end, left = map(int, done.stdout.split())
    assert small >= kept, "an image that is not large leaves its memory to the next"
    assert large < kept - 50
    assert after > large + 50, "and what comes later is kept again"
    assert within > large + 50, "work on equal parts keeps what it freed for the next part"
    assert end < within - 50, "but not for what comes after them"
    assert left < kept - 50, "and leaves nothing behind, either"
