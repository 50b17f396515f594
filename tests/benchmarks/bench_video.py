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
FRAMES = 120  # five seconds, so that the first frame and the encoder's last ones weigh what they do in a clip


CLOCKS = (time.perf_counter, time.thread_time, time.process_time)
Seconds = dict[str, list[float]]


def alternate(sides: dict[str, Callable[[], object]], rounds: int) -> tuple[Seconds, Seconds, Seconds]:
    """Seconds of each side in each round: wall clock, processor time of this thread and of all; the first does not count."""
    wall, own, every = ({who: list[float]() for who in sides} for _ in CLOCKS)
    for counted in (False, *[True] * rounds):
        for who, side in sides.items():
            began = [clock() for clock in CLOCKS]
            side()
            if counted:
                for found, clock, start in zip((wall, own, every), CLOCKS, began, strict=True):
                    found[who].append(clock() - start)
    return wall, own, every


def idle() -> bool:
    """Whether a second core is free for what is not the network."""
    return os.getloadavg()[0] < (os.cpu_count() or 1) - 1


@pytest.mark.parametrize(
    ("name", "preset"), [("fsrcnn_x4.tuned", ""), ("fsrcnn_x4.tuned", "superfast"), ("edsr_baseline_x4.tuned", "")]
)
def test_a_clip_against_the_bare_loop(
    benchmark: Any, tmp_path: Path, one_thread: None, name: str, preset: str
) -> None:  # fmt: skip
    large = name.startswith("fsrcnn")
    source = make_clip(tmp_path / "in.mp4", FRAMES if large else 6, (180, 320) if large else (72, 96))
    upscaler, file = srbench.load(name), VideoFile(source)
    clip, quiet = file.look(VideoOptions()), idle()
    with file.opened() as opened:
        frames = [file.pixels(raw, clip) for raw in opened]

    def bare() -> None:
        for frame in frames:
            assert isinstance(upscaler(frame), np.ndarray)

    options = VideoOptions(preset=preset)
    sides = {"srbench": lambda: upscale_video(upscaler, source, tmp_path / "out.mp4", options), "bare loop": bare}
    wall, own, every = benchmark.pedantic(alternate, (sides, 3 if large else 5), rounds=1)
    busy = statistics.median(theirs / ours for ours, theirs in zip(own["srbench"], own["bare loop"], strict=True))
    spent = {who: f"{statistics.median(seconds) * 1e3 / len(frames):.0f}" for who, seconds in every.items()}
    where = f"{frames[0].shape[1]}×{frames[0].shape[0]}, {len(frames)} frames"
    said = f"thread of the network {busy:.2f}, processor {spent['srbench']} ms a frame, bare loop {spent['bare loop']}"
    said += f", {(tmp_path / 'out.mp4').stat().st_size / 1e3:.0f} kB"
    ratio = record(benchmark, f"clip, {name} {preset or 'default'}, {where} ({said})", wall, TARGET)
    assert busy >= TARGET, "the network's thread does what others should"
    assert ratio >= TARGET or not quiet
