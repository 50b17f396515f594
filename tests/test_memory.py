"""First call and peak memory of a pass in a fresh process, killed ones and GPUs included."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import torch

from srbench.evaluation.memory import Fresh, in_fresh_process, measure_here, peak_bytes
from srbench.subjects import Request

pytestmark = pytest.mark.usefixtures("one_thread", "srbench_home")

CPU = torch.device("cpu")


def test_a_fresh_process_tells_first_call_and_memory() -> None:
    ballast = torch.ones(400 * 2**18)  # 400 MB here must not be seen there
    subject = Request("fsrcnn_s", 2, untrained=True)
    asked: dict[str, Any] = {"subject": subject, "variant": "fused", "device": "cpu", "threads": 1}
    small, large = (in_fresh_process({**asked, "size": size}, 120) for size in ((16, 16), (512, 512)))
    assert small.status == large.status == "ok", small.reason
    assert small.first_call_ms is not None
    assert small.first_call_ms > 0
    assert small.peak_memory_bytes is not None
    assert large.peak_memory_bytes is not None
    assert small.peak_memory_bytes < 200e6 < ballast.nbytes
    # Eight feature maps of 32 floats a pixel are 33 MB each; some live at once.
    assert large.peak_memory_bytes - small.peak_memory_bytes > 33e6


def killed() -> Fresh:
    os.kill(os.getpid(), signal.SIGKILL)
    return Fresh()


def broken() -> Fresh:
    raise SystemExit(3)


def hanging() -> Fresh:
    time.sleep(60)
    return Fresh()


def home() -> Fresh:
    return Fresh("ok", os.environ["SRBENCH_HOME"])


def test_a_fresh_process_that_is_killed_ends_or_hangs_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_fresh_process({}, 60, killed).status == "oom"
    assert in_fresh_process({}, 60, broken) == Fresh("failed", "its process ended with exit code 3")
    assert in_fresh_process({}, 0.1, hanging) == Fresh("failed", "no pass was finished within 0.1 s")
    monkeypatch.setenv("SRBENCH_HOME", "/elsewhere")
    assert in_fresh_process({}, 60, home).reason == "/elsewhere", "not that of when its server began"


def test_memory_is_measured_here_as_there() -> None:
    found = measure_here(Request("espcn", 2, untrained=True), (8, 8), "bf16", "cpu", 1)
    assert found.status == "ok"
    assert found.pass_ms is not None
    assert found.process_memory_bytes == pytest.approx(peak_bytes(), rel=0.2)
    assert measure_here(Request("espcn", 8, untrained=True), (8, 8), "bf16", "cpu", 1).status == "unsupported_scale"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_memory_is_the_allocators_peak() -> None:
    small, large = (
        measure_here(Request("espcn", 2, untrained=True), size, "eager", "cuda:0", 1) for size in ((64, 64), (512, 512))
    )
    assert small.peak_memory_bytes is not None, small.reason
    assert large.peak_memory_bytes is not None, large.reason
    # Its first layer makes 64 feature maps of floats an LR pixel.
    assert large.peak_memory_bytes - small.peak_memory_bytes > 64 * 4 * (512**2 - 64**2)
