"""Clocks, interleaved measuring, batch sweeps, and what is said of the times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from srbench.errors import UnavailableError
from srbench.speed_results import Batch
from srbench.upscaler import is_oom

KNEE = 0.05  # a doubled batch must bring at least this much more throughput for the sweep to go on
LEAST_FOR_PERCENTILES = 10

Work = Callable[[], object]


class Stopwatch(Protocol):
    """Seconds that one call takes, all of its work included."""

    def __call__(self, work: Work) -> float: ...


def cpu_clock(work: Work) -> float:
    """By perf_counter."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class CudaClock:
    """By events on the current stream, after all earlier work is done."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, work: Work) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(self.device)
        start.record()
        work()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def clock_for(device: torch.device) -> Stopwatch:
    """The clock of a device."""
    return CudaClock(device) if device.type == "cuda" else cpu_clock


def why(error: BaseException) -> tuple[str, str]:
    """Status and one-line reason of whatever a pass raised."""
    if isinstance(error, UnavailableError):
        return error.status, error.reason
    text = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    if is_oom(error):
        return "oom", f"out of memory: {text[:200]}"
    return "failed", f"{type(error).__name__}: {text[:200]}"


@dataclass
class TimedCell:
    """One thing whose passes are interleaved with those of others.

    Attributes:
        key: what it is.
        work: one pass.
        warm: passes before the clock counts.
        times: seconds of every counted pass.
        status: ``"ok"``, or why there are no more passes.
        reason: the same in words.
    """

    key: tuple[str, str]
    work: Work
    warm: int = 1
    times: list[float] = field(default_factory=list)
    status: str = "ok"
    reason: str = ""

    def done(self, seconds: float, passes: int) -> bool:
        """Whether it has enough passes, or one more would go over its time."""
        spent = sum(self.times)
        over = bool(self.times) and spent + spent / len(self.times) > seconds
        return self.status != "ok" or over or len(self.times) >= passes


def interleave(
    cells: Sequence[TimedCell],
    clock: Stopwatch,
    seconds: float,
    passes: int,
    progress: Callable[[], Any] = lambda: None,
) -> None:
    """Time cells round-robin, one pass each a round, so that a change of the machine's pace meets all of them alike.

    A cell ends after ``passes``, or before the pass that would go over ``seconds``, but never without one. A cell that raises
    ends with its status; the others go on.
    """
    for cell in cells:
        for _ in range(cell.warm):
            _try(cell, clock)
    while waiting := [cell for cell in cells if not cell.done(seconds, passes)]:
        for cell in waiting:
            if (taken := _try(cell, clock)) is not None:
                cell.times.append(taken)
        progress()


def _try(cell: TimedCell, clock: Stopwatch) -> float | None:
    if cell.status != "ok":
        return None
    try:
        return clock(cell.work)
    except Exception as error:  # a variant that fails must not end the others
        cell.status, cell.reason = why(error)
        return None


def sweep(
    work_of: Callable[[int], Work],
    clock: Stopwatch,
    one_ms: float,
    seconds: float,
    largest: int,
    room: Callable[[int], str] = lambda _: "",
) -> tuple[list[Batch], str]:
    """Throughput at batches of 2, 4, 8 … until a larger batch gains less than 5 %, or no longer fits.

    Args:
        work_of: makes one pass over a given number of images.
        clock: times a pass.
        one_ms: time of one image.
        seconds: limit of the whole sweep.
        largest: the largest batch.
        room: says why a batch will not fit in memory; empty if it may.

    Returns:
        The batches that were timed, with three passes each if time allows, and why there are no more.
    """
    steps = [Batch(batch=1, n=1, median_ms=one_ms, images_per_s=1e3 / one_ms)]
    spent, batch = 0.0, 2
    while batch <= largest:
        expected = steps[-1].median_ms / 1e3 * 2
        if spent + expected > seconds:
            return steps[1:], f"time: a batch of {batch} would go over {seconds:g} s"
        if no_room := room(batch):
            return steps[1:], f"oom: {no_room}"
        times: list[float] = []
        try:
            work = work_of(batch)
            if expected < seconds / 10:
                clock(work)  # warm-up
            while len(times) < 3 and (not times or spent + times[-1] <= seconds):
                times.append(clock(work))
                spent += times[-1]
        except Exception as error:
            status, reason = why(error)
            return steps[1:], f"{status}: batch {batch}: {reason}"
        middle = float(np.median(times))
        steps.append(Batch(batch=batch, n=len(times), median_ms=middle * 1e3, images_per_s=batch / middle))
        if steps[-1].images_per_s < steps[-2].images_per_s * (1 + KNEE):
            return steps[1:], f"knee: {batch} at once are less than {KNEE:.0%} faster an image than {batch // 2}"
        batch *= 2
    return steps[1:], f"batch {largest} is the largest that was asked for"


def describe_times(times: Sequence[float], limit: float) -> dict[str, Any]:
    """Fields of a VariantSpeed from seconds: percentiles from ten passes on, spread from two on."""
    ms = np.asarray(times, dtype=np.float64) * 1e3
    median = float(np.median(ms))
    low, high = (float(value) for value in np.percentile(ms, (10, 90)))
    enough = len(ms) >= LEAST_FOR_PERCENTILES
    spread = (high - low if enough else float(np.ptp(ms))) / median if len(ms) > 1 else None
    return {
        "n": len(ms),
        "times_ms": [float(value) for value in ms],
        "median_ms": median,
        "p10_ms": low if enough else None,
        "p90_ms": high if enough else None,
        "spread": spread,
        "noisy": spread is not None and spread > limit,
        "images_per_s": 1e3 / median,
    }
