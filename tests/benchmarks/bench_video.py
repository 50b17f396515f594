"""Clips against the bare loop of the network on frames that lie decoded in memory: reading, encoding and joining are extra.

They happen in threads of their own, so the wall clock shows them only where no second core is free. What the thread of the
network spends is asserted on any machine, the wall clock where the machine is idle.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import srbench
from tests.benchmarks.conftest import record
from tests.test_video import make_clip

pytest.importorskip("av", reason="needs the extra video")

from srbench.video import VideoOptions, upscale_video
from srbench.video.sources import VideoFile

TARGET = 0.9
FRAMES = 24


def alternate(
    sides: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each side in each round, by the wall clock and of this thread's processor time; the first does not count."""
    wall: dict[str, list[float]] = {who: [] for who in sides}
    own: dict[str, list[float]] = {who: [] for who in sides}
    for counted in (False, *[True] * rounds):
        for who, side in sides.items():
            began, before = time.perf_counter(), time.thread_time()
            side()
            if counted:
                own[who].append(time.thread_time() - before)
                wall[who].append(time.perf_counter() - began)
    return wall, own


def idle() -> bool:
    """Whether a second core is free for what is not the network."""
    return os.getloadavg()[0] < (os.cpu_count() or 1) - 1


@pytest.mark.parametrize("name", ["fsrcnn_x4.tuned", "edsr_baseline_x4.tuned"])
def test_a_clip_against_the_bare_loop(benchmark: Any, tmp_path: Path, one_thread: None, name: str) -> None:
    large = name.startswith("fsrcnn")
    source = make_clip(tmp_path / "in.mp4", FRAMES if large else 6, (180, 320) if large else (72, 96))
    upscaler, file = srbench.load(name), VideoFile(source)
    clip, quiet = file.look(VideoOptions()), idle()
    with file.opened() as opened:
        frames = [file.pixels(raw, clip) for raw in opened]

    def bare() -> None:
        for frame in frames:
            assert isinstance(upscaler(frame), np.ndarray)

    sides = {"srbench": lambda: upscale_video(upscaler, source, tmp_path / "out.mp4"), "bare loop": bare}
    wall, own = benchmark.pedantic(alternate, (sides, 5), rounds=1)
    busy = statistics.median(theirs / ours for ours, theirs in zip(own["srbench"], own["bare loop"], strict=True))
    where = f"{frames[0].shape[1]}×{frames[0].shape[0]}, {len(frames)} frames"
    ratio = record(benchmark, f"clip, {name}, {where} (thread of the network {busy:.2f})", wall, TARGET)
    assert busy >= TARGET, "the network's thread does what others should"
    assert ratio >= TARGET or not quiet
