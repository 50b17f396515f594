"""`srbench speed`: whole runs over small images, what is stored and what fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from srbench.cli import main
from srbench.evaluation import speed, speed_rows
from srbench.evaluation.cost import subject_cost
from srbench.evaluation.memory import Fresh
from srbench.evaluation.speed import groups, holds, measure_group, run
from srbench.evaluation.speed_rows import Limits
from srbench.evaluation.variants import parse_ways
from srbench.inference import Inference
from srbench.speed_results import SpeedResult, read_speeds
from srbench.subjects import Subject, everything, resolve_timed
from tests.builders import store_checkpoint
from tests.test_speed_results import record

pytestmark = pytest.mark.usefixtures("one_thread", "srbench_home")

CPU = torch.device("cpu")
SIZE = (12, 16)
BRIEF = Limits(seconds=0.3, passes=3, largest_batch=2, fresh=False)
BASE = Inference()
WAYS = parse_ways(["eager", "fused", "fused+bf16+channels_last", "cuda_graph"], CPU)


def timed(name: str, scale: int) -> Subject:
    [subject] = resolve_timed([name], scale)
    return subject


@pytest.fixture
def checkpoint(srbench_home: Path) -> str:
    return store_checkpoint("fsrcnn_s", "test", 2, skip="bicubic")


def test_a_run_times_every_variant_and_stores_it(checkpoint: str, srbench_home: Path) -> None:
    said: list[str] = []
    subjects = [timed(checkpoint, 2), timed("bicubic", 2)]
    found = run(subjects, WAYS, CPU, BRIEF, SIZE, progress=said.append)
    assert read_speeds() == sorted(found, key=lambda r: r.name)
    one = found[0]
    assert (one.name, one.input, one.output, one.random_weights) == (checkpoint, SIZE, (24, 32), False)
    assert one.group == ["bicubic", checkpoint] or one.group == [checkpoint, "bicubic"]
    assert list(one.variants) == ["eager", "fused", "fused+bf16+channels_last", "cuda_graph"]
    assert one.variants["cuda_graph"].status == "unavailable"
    assert one.base.ratio == 1
    assert one.base.n == len(one.base.times_ms) == 3
    assert one.drift is not None
    assert one.cost["mult_adds"] == subject_cost(subjects[0], SIZE).mult_adds
    fused = one.variants["fused"]
    assert fused.ratio == pytest.approx(one.base.median_ms / fused.median_ms)  # type: ignore[operator]
    assert fused.psnr_change is not None
    assert abs(fused.psnr_change) < 1e-4
    assert 0 < (fused.max_difference or 0) < 0.01
    half = one.variants["fused+bf16+channels_last"]
    assert half.psnr_change is not None
    assert abs(half.psnr_change) < 0.5
    assert one.base.psnr_change == 0
    assert {"sample ×2, standard.v1"} == {one.psnr_set}
    assert one.variants[one.fastest].sweep or one.variants[one.fastest].sweep_end
    assert found[1].variants["fused"].reason == "an interpolator has no layers to change"


def test_random_weights_have_no_decibels() -> None:
    [found] = run([timed("fsrcnn_s", 3)], WAYS, CPU, BRIEF, SIZE)
    assert found.random_weights
    assert found.psnr_set == ""
    assert all(variant.psnr_change is None for variant in found.variants.values())
    assert found.variants["fused"].max_difference is not None


def test_what_is_stored_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [timed("fsrcnn_s", 2)]
    first = run(subjects, WAYS, CPU, BRIEF, SIZE)
    monkeypatch.setattr(speed, "measure_group", lambda *_: pytest.fail("measured again"))
    assert run(subjects, WAYS[:2], CPU, BRIEF, SIZE) == first
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        run(subjects, [*WAYS, Inference.parse("bf16")], CPU, BRIEF, SIZE)
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        run(subjects, WAYS, CPU, BRIEF, SIZE, overwrite=True)
    known = first[0]
    assert holds(known, subjects[0], WAYS, BRIEF)
    assert not holds(known, subjects[0], WAYS, replace(BRIEF, seconds=60))
    assert not holds(known.model_copy(update={"quick": True}), subjects[0], WAYS, BRIEF)
    assert not holds(known.model_copy(update={"torch": "1.0"}), subjects[0], WAYS, BRIEF)
    assert not holds(known.model_copy(update={"weights_sha256": "x"}), subjects[0], WAYS, BRIEF)


def test_a_network_under_two_names_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [timed(name, 4) for name in ("srgan", "srresnet")]
    measured: list[str] = []

    def fake(group: list[Subject], *_: Any) -> list[SpeedResult]:
        measured.extend(s.name for s in group)
        return [record(name=s.name, model=s.model, random_weights=True) for s in group]

    monkeypatch.setattr(speed, "measure_group", fake)
    found = run(subjects, [BASE], CPU, BRIEF)
    assert measured == ["srgan"]
    assert [r.name for r in found] == ["srgan", "srresnet"]
    assert found[1].same_as == "srgan"
    assert found[1].base == found[0].base


@pytest.mark.slow
def test_groups_hold_what_is_light_together() -> None:
    subjects = everything(4, untrained=True)
    found = [[s.name for s in group] for group in groups(subjects, None)]
    assert sorted(name for group in found for name in group) == sorted(s.name for s in subjects)
    assert found[-1] == ["drrn"]
    assert {"fsrcnn", "espcn", "srcnn", "bicubic"} <= set(found[0])


class Hungry(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")


def test_a_network_that_runs_out_of_memory_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srbench.upscaler.fuse", lambda module: Hungry())
    [found] = measure_group([timed("fsrcnn_s", 2)], WAYS, CPU, BRIEF, SIZE)
    assert found.base.ok
    assert found.variants["fused"].status == "oom"
    assert "9 GiB" in found.variants["fused"].reason


@pytest.mark.parametrize("name", ["fsrcnn_s", "srcnn", "edsr_baseline", "esrgan_s", "srresnet_s", "btsrn"])
def test_a_image_of_one_pixel_ends_in_numbers_or_reasons(name: str) -> None:
    ways = [BASE, Inference.parse("fused+channels_last")]
    [found] = measure_group([timed(name, 2)], ways, CPU, replace(BRIEF, passes=1, largest_batch=1), (1, 1))
    assert found.base.ok, found.base.reason


def test_a_image_that_a_network_refuses_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Kernel size can't be greater than actual input size")

    monkeypatch.setattr("srbench.models.espcn.ESPCN.forward", refuse)
    [found] = measure_group([timed("espcn", 2)], [BASE], CPU, BRIEF, (1, 1))
    assert found.base.status == "failed"
    assert "Kernel size" in found.base.reason


def test_one_slow_pass_is_enough_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes longer than a cell may is that of the fresh process; few variants are timed then."""
    monkeypatch.setattr(speed_rows, "in_fresh_process", lambda request, timeout: Fresh("ok", "", 7e4, 7e4, 123, 456))
    ways = parse_ways(["channels_last", "bf16+channels_last"], CPU)
    [found] = measure_group([timed("fsrcnn_s", 2)], ways, CPU, replace(BRIEF, fresh=True, seconds=60), SIZE)
    assert (found.base.n, found.base.median_ms, found.base.p10_ms, found.base.spread) == (1, 7e4, None, None)
    assert found.base.peak_memory_bytes == 123
    assert "longer than 60 s" in found.variants["channels_last"].reason
    assert found.variants["bf16+channels_last"].ok
    assert found.variants["bf16+channels_last"].max_difference is not None, "on a patch"


def test_the_command_prints_json_and_stores(srbench_home: Path) -> None:
    asked = [
        "speed",
        "fsrcnn_s",
        "--scale",
        "2",
        "--input",
        "12x16",
        "--variants",
        "eager,bf16",
        "--quick",
        "--seconds",
    ]
    done = CliRunner().invoke(main, [*asked, "0.2", "--device", "cpu", "--json"])
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert row["quick"]
    assert set(row["variants"]) == {"eager", "bf16"}
    assert list((srbench_home / "results" / "speed").glob("*/fsrcnn_s_x2@12x16.json"))
    shown = CliRunner().invoke(main, [*asked, "0.2", "--device", "cpu"])
    assert "random weights: no dB" in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fsrcn"], 1, "Did you mean 'fsrcnn'"),
        (["fsrcnn", "--device", "cuda:7"], 1, "no device 'cuda:7'"),
        (["fsrcnn", "--device", "tpu"], 1, "tpu"),
        (["fsrcnn", "--max-batch", "0"], 2, "0 is not in the range"),
        (["fsrcnn", "--variants", "bf61"], 1, "Did you mean 'bf16'"),
        (["fsrcnn", "--input", "0x5"], 1, "5×0"),
        (["edsr", "--scale", "8"], 1, "x8"),
        ([], 2, "nothing to time"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(arguments: list[str], code: int, words: str) -> None:
    done = CliRunner().invoke(main, ["speed", *arguments])
    assert done.exit_code == code
    assert words in done.output
