"""A server under load against the bare network: what coding and HTTP add, as images and as raw tensors.

Asserted is processor time, which a busy machine hardly changes; the clock where the machine is idle. The table of docs/serve.md
comes from ``python -m tests.serving.load``.
"""

from __future__ import annotations

import os
import statistics
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from tests.serving import serving
from tests.serving.load import Way, measure

TARGET = 0.15  # beyond a pass


@pytest.mark.parametrize("kind", ["KServe", "PNG"])
def test_what_a_server_adds(benchmark: Any, one_thread: None, kind: str) -> None:
    quiet = os.getloadavg()[0] < (os.cpu_count() or 1) - 1

    def ask() -> Way:
        with serving() as server:
            return next(way for way in measure(server, 32, 4, kind) if way.clients > 1)

    way = benchmark.pedantic(ask, rounds=1)
    processor = statistics.median(way.processor) - 1
    facts = {
        "case": f"serve, {way.name}",
        "ours": f"{way.overhead:+.0%} by the clock",
        "peer": f"{processor:+.0%} processor time",
    }
    benchmark.extra_info.update(facts | {"ratio": round(processor, 2), "target": f"<= {TARGET}"})
    assert (way.errors, way.other) == (0, 0)
    assert processor <= TARGET
    assert way.overhead <= TARGET or not quiet
