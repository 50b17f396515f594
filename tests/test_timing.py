"""Clocks, turns, sweeps and what is said of times, with a clock that a test can turn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.evaluation import timing
from srbench.evaluation.timing import CudaClock, TimedCell, clock_for, cpu_clock, describe_times, interleave, sweep, why


class FakeMachine:
    """A clock whose passes take what ``cost`` says, times a pace that changes as time goes by."""

    def __init__(self, pace: Callable[[float], float] = lambda _: 1.0) -> None:
        self.now, self.pace, self.pending = 0.0, pace, 0.0
        self.log: list[Any] = []

    def work(self, cost: float, name: object = None) -> Callable[[], None]:
        def run() -> None:
            self.log.append(name)
            self.pending = cost

        return run

    def clock(self, work: Callable[[], object]) -> float:
        work()
        taken = self.pending * self.pace(self.now)
        self.now += taken
        return taken


def cell(machine: FakeMachine, name: str, cost: float, warm: int = 0) -> TimedCell:
    return TimedCell((name, "eager"), machine.work(cost, name), warm)


def test_cells_take_turns() -> None:
    machine = FakeMachine()
    cells = [cell(machine, name, 0.1, warm=1) for name in "abc"]
    interleave(cells, machine.clock, seconds=60, passes=3)
    assert machine.log == list("abc") * 4, "one warm-up each, then three rounds"
    assert [len(c.times) for c in cells] == [3, 3, 3]


def test_the_same_network_twice_agrees_though_the_machine_slows_down() -> None:
    """Its pace halves during the run: measured one after the other the second would seem slower by a third."""
    machine = FakeMachine(lambda now: 1 + now / 10)
    first, second = cell(machine, "a", 0.2), cell(machine, "a again", 0.2)
    interleave([first, second], machine.clock, seconds=60, passes=20)
    ratio = np.median(first.times) / np.median(second.times)
    assert ratio == pytest.approx(1, abs=0.03)
    one_by_one = FakeMachine(lambda now: 1 + now / 10)
    alone = [cell(one_by_one, "a", 0.2), cell(one_by_one, "a again", 0.2)]
    for one in alone:
        interleave([one], one_by_one.clock, seconds=60, passes=20)
    assert np.median(alone[0].times) / np.median(alone[1].times) < 0.8


@settings(max_examples=50, deadline=None)
@given(cost=st.floats(0.01, 100), seconds=st.floats(0.5, 60), passes=st.integers(1, 40))
def test_a_cell_keeps_within_its_time_but_has_one_pass(cost: float, seconds: float, passes: int) -> None:
    machine = FakeMachine()
    one = cell(machine, "a", cost)
    interleave([one], machine.clock, seconds, passes)
    assert 1 <= len(one.times) <= passes
    assert len(one.times) == 1 or sum(one.times) <= seconds * (1 + 1e-9)
    assert len(one.times) == passes or sum(one.times) + cost > seconds * (1 - 1e-9)


def test_a_cell_that_fails_ends_with_its_reason_and_the_others_go_on() -> None:
    machine = FakeMachine()
    passes = iter(range(100))

    def breaks() -> None:
        machine.pending = 0.1
        if next(passes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    broken, whole = TimedCell(("b", "eager"), breaks, 0), cell(machine, "a", 0.1)
    interleave([broken, whole], machine.clock, 60, 5)
    assert (broken.status, len(broken.times)) == ("oom", 2)
    assert "20 GiB" in broken.reason
    assert (whole.status, len(whole.times)) == ("ok", 5)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("size mismatch\nand more"), "failed"),
    ],
    ids=str,
)
def test_errors_get_a_status_and_one_line(error: Exception, status: str) -> None:
    found, reason = why(error)
    assert found == status
    assert reason
    assert "\n" not in reason


def test_sweep_stops_at_the_knee() -> None:
    """A batch costs 1 s to start and 0.1 s an image up to eight at once, then as much an image as eight do."""
    machine = FakeMachine()

    def work(batch: int) -> Callable[[], None]:
        return machine.work(0.9 + 0.1 * batch if batch <= 8 else batch * 0.2125)

    steps, end = sweep(work, machine.clock, one_ms=1000, seconds=600, largest=64)
    assert [step.batch for step in steps] == [2, 4, 8, 16]
    assert end.startswith("knee: 16 at once")
    assert steps[2].images_per_s == pytest.approx(8 / 1.7)
    assert steps[2].n == 3


def test_sweep_goes_on_until_memory_ends() -> None:
    machine = FakeMachine()

    def work(batch: int) -> Callable[[], None]:
        if batch == 8:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.")
        return machine.work(1.0)

    steps, end = sweep(work, machine.clock, one_ms=1000, seconds=60, largest=64)
    assert [step.batch for step in steps] == [2, 4]
    assert end.startswith("oom: batch 8")


def test_sweep_asks_for_room_time_and_its_largest_batch() -> None:
    machine = FakeMachine()
    steps, end = sweep(
        lambda _: machine.work(1.0), machine.clock, 1000, 60, 64, lambda b: "9 GB are free" if b > 2 else ""
    )
    assert [step.batch for step in steps] == [2]
    assert end == "oom: 9 GB are free"
    steps, end = sweep(lambda b: machine.work(b * 0.5), machine.clock, 1000, 3.5, 64)
    assert end.startswith("time: ")
    steps, end = sweep(lambda _: machine.work(1.0), machine.clock, 1000, 600, 4)
    assert [step.batch for step in steps] == [2, 4]
    assert "4 is the largest" in end
    assert sweep(lambda _: machine.work(1.0), machine.clock, 1000, 1.0, 64) == (
        [],
        "time: a batch of 2 would go over 1 s",
    )


@settings(max_examples=100, deadline=None)
@given(times=st.lists(st.floats(1e-5, 1e2), min_size=1, max_size=40))
def test_what_is_said_of_times(times: list[float]) -> None:
    said = describe_times(times, limit=0.25)
    assert said["n"] == len(times)
    assert said["median_ms"] == pytest.approx(float(np.median(times)) * 1e3)
    assert said["images_per_s"] == pytest.approx(1e3 / said["median_ms"])
    if len(times) < 10:
        assert said["p10_ms"] is None
        assert said["p90_ms"] is None
    else:
        assert min(times) * 1e3 <= said["p10_ms"] * (1 + 1e-12)
        assert said["p10_ms"] <= said["median_ms"] * (1 + 1e-12) <= said["p90_ms"] * (1 + 1e-9)
    assert (said["spread"] is None) == (len(times) == 1)
    assert said["noisy"] == (said["spread"] is not None and said["spread"] > 0.25)


def test_spread_is_that_of_percentiles_from_ten_on() -> None:
    one_bad = [1.0] * 19 + [3.0]
    assert describe_times(one_bad, 0.25)["noisy"] is False
    assert describe_times(one_bad[-5:], 0.25)["noisy"] is True


def test_cpu_clock_counts_the_work() -> None:
    ticks: Iterator[float] = itertools.count(0.0, 0.5)
    original = timing.time.perf_counter
    timing.time.perf_counter = lambda: next(ticks)  # type: ignore[assignment]
    try:
        assert cpu_clock(lambda: None) == 0.5
    finally:
        timing.time.perf_counter = original
    assert clock_for(torch.device("cpu")) is cpu_clock


def test_cuda_clock_waits_for_earlier_work_and_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.name = "start" if "made start" not in log else "end"
            log.append(f"made {self.name}")

        def record(self) -> None:
            log.append(f"{self.name} recorded")

        def synchronize(self) -> None:
            log.append(f"waited for {self.name}")

        def elapsed_time(self, other: Event) -> float:
            assert (self.name, other.name) == ("start", "end")
            return 12.5

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append(f"waited for {device}"))
    clock = clock_for(torch.device("cuda:0"))
    assert isinstance(clock, CudaClock)
    assert clock(lambda: log.append("work")) == pytest.approx(0.0125)
    assert log[2:] == ["waited for cuda:0", "start recorded", "work", "end recorded", "waited for end"]
