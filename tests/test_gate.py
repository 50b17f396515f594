"""The gate for adversarially trained checkpoints, and the lattice that runs show while they go."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from srbench.cli import main
from srbench.inference import Inference
from srbench.models import get_model
from srbench.training.after.gate import GateLine, is_open, judge, verdict
from srbench.training.loop.validation import Validation
from srbench.training.losses.collapse import CollapseFacts, CollapseWatch, crop_health
from srbench.training.recipe.tables import Adversarial
from srbench.upscaler import for_model
from tests.builders import store_parent, write_images

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("metric", "parent", "child", "expected"),
    [
        ("lattice", -0.2, 2.0, "passed"),
        ("lattice", -0.2, 2.1, "failed"),
        ("lattice", 3.0, 2.5, "passed"),
        ("lpips", 0.2, 0.19, "passed"),
        ("dists", 0.2, 0.2, "failed"),
        ("lr-psnr", 50.0, 30.0, "stated"),
        ("dists", math.nan, 0.1, "not measured"),
    ],
)
def test_what_is_asked_of_a_child(metric: str, parent: float, child: float, expected: str) -> None:
    assert verdict(metric, parent, child) == expected


def test_a_judge_that_was_not_asked_keeps_the_gate_shut() -> None:
    fine = GateLine("set5", "lpips", 0.2, 0.1, "passed")
    stated = GateLine("set5", "lr-psnr", 50.0, 40.0, "stated")
    assert is_open([fine, stated])
    assert not is_open([fine, GateLine("set5", "dists", math.nan, math.nan, "not measured")])
    assert not is_open([fine, GateLine("set5", "lattice", 0.0, 9.0, "failed")])


class _Printing(torch.nn.Module):
    """Nearest neighbour, and on it the grid of a pixel shuffle whose phases differ."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1,), height))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = torch.nn.functional.interpolate(x, scale_factor=4, mode="bicubic")
        large[..., ::4, ::4] += self.weight
        return large


def test_a_lattice_fails(tmp_path: Path) -> None:
    images = Validation(sorted(write_images(tmp_path, 2, (96, 96)).iterdir()), 4)
    clean, printed = (
        for_model(get_model("srresnet_s"), _Printing(height).eval(), 4, "rgb", Inference(torch.device("cpu")))
        for height in (0.0, 0.1)
    )
    lines = {line.metric: line for line in judge("validation", images, clean, printed)}
    assert lines["lattice"].verdict == "failed"
    assert lines["lattice"].child > 10 > lines["lattice"].parent
    assert {line.verdict for line in judge("set5", None, clean, printed)} == {"not measured"}


def test_a_checkpoint_without_a_parent_is_refused(srbench_home: Path) -> None:
    name = store_parent("srresnet_s", skip="bicubic", blocks=1, features=8)
    found = CliRunner().invoke(main, ["gate", name])
    assert found.exit_code == 1
    assert "started from no other checkpoint" in found.stderr


def test_health_lines_show_the_lattice_and_a_lasting_one_is_named() -> None:
    hr = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    lr = torch.rand(2, 3, 24, 24)
    printed = hr.clone()
    printed[..., ::4, ::4] += 0.5
    assert crop_health(hr, lr, hr, 4)["lattice"] == pytest.approx(0.0, abs=1e-6)
    high = crop_health(printed.clamp(0, 1), lr, hr, 4)
    assert high["lattice"] > 5
    assert "lattice" not in crop_health(hr[..., :32, :32], lr[..., :8, :8], hr[..., :32, :32], 4)
    watch = CollapseWatch(Adversarial())
    line = {"d_real": 0.7, "d_fake": 0.4, "g_grad": 0.1, "lr_psnr": 40.0, "contrast": 0.9, "lattice": high["lattice"]}
    assert [bool(watch.look(step, line)) for step in range(4)] == [False] * 4
    watch = CollapseWatch(Adversarial(), CollapseFacts.model_validate_json(watch.facts.model_dump_json()))
    assert "prints its upsampler's lattice" in watch.look(5, line)
