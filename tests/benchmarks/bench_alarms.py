"""What the alarms cost: their share of an evaluation's processor time, at most 2 % with the default metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from srbench.datasets.local import find_dataset
from srbench.errors import UnavailableError
from srbench.evaluation import alarms, quality
from srbench.measure import DEFAULT_METRICS
from srbench.protocol import get_protocol
from srbench.subjects import resolve_one


@pytest.mark.parametrize("name", ["espcn_x4.tuned", "fsrcnn_x4.tuned"])
def test_share_of_the_alarms(benchmark: Any, name: str, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """The smallest networks, whose passes cost least, and the windows made anew for each."""
    try:
        images = find_dataset("set14", os.environ.get("SRBENCH_DATA"))
    except UnavailableError:
        images = find_dataset("sample")
    spent = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal spent
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent += time.process_time() - start

        return run

    monkeypatch.setattr(alarms.Watch, "look", timed(alarms.Watch.look))
    monkeypatch.setattr(quality, "middle", timed(quality.middle))
    subject = resolve_one(name)
    quality.measure_cell(subject, quality.Samples(images, 4, get_protocol("standard")), ["psnr"])  # warm
    spent = 0.0

    def evaluate() -> float:
        start = time.process_time()
        quality.measure_cell(subject, quality.Samples(images, 4, get_protocol("standard")), DEFAULT_METRICS)
        return time.process_time() - start

    whole = benchmark.pedantic(evaluate, rounds=1)
    share = spent / whole
    benchmark.extra_info.update(
        {"case": f"alarms, {name} on {images.name} ×4", "ours": f"{1e3 * spent / len(images):.2f} ms an image"}
    )
    benchmark.extra_info.update({"peer": f"all {whole:.1f} s", "ratio": round(share, 4), "target": "<= 0.02"})
    assert share <= 0.02
