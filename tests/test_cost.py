"""Counts that papers print, counts by hand, and what no model may get wrong."""

from __future__ import annotations

import csv
import functools
import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from srbench.cli import main
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.evaluation.cost import cost, subject_cost
from srbench.models import MODELS, Model, create_model
from srbench.subjects import resolve
from srbench.zoo import find_checkpoint, verify
from tests.builders import store_checkpoint

counted = functools.cache(cost)
CASES = [pytest.param(model, scale, id=f"{model.name}-x{scale}") for model in MODELS for scale in model.scales]
PRINTED = [
    ("srcnn", {2: 52.7, 3: 52.7, 4: 52.7}),
    ("fsrcnn", {2: 6.0, 3: 5.0, 4: 4.6}),
    ("vdsr", {2: 612.6, 3: 612.6, 4: 612.6}),
    ("drrn", {2: 6796.9, 3: 6796.9, 4: 6796.9}),
    ("btsrn", {2: 207.7, 3: 176.2, 4: 165.2}),
]


@pytest.mark.parametrize(("name", "figures"), PRINTED)
def test_printed_mult_adds(name: str, figures: dict[int, float]) -> None:
    """As CARN's and ASSLN's tables print them; 207.62 stands there as 207.7."""
    for scale, printed in figures.items():
        found = counted(name, scale).paper_mult_adds
        assert found is not None
        assert found / 1e9 == pytest.approx(printed, abs=0.1), f"{name} x{scale}"


def test_every_published_count_of_a_model_of_ours_is_met() -> None:
    text = (files("srbench") / "reports" / "tables" / "published.tsv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines(), delimiter="\t") if row["metric"] == "mult-adds"]
    mine = [row for row in rows if row["model"] in MODELS]
    assert len(mine) >= 15
    for row in mine:
        found = counted(row["model"], int(row["scale"])).paper_mult_adds
        assert found is not None
        assert found / 1e9 == pytest.approx(float(row["value"].removesuffix("G")), abs=0.1), row


@pytest.mark.parametrize(("model", "scale"), CASES)
def test_counts_hang_together(model: Model, scale: int) -> None:
    found = counted(model.name, scale)
    assert found.parameters == model.parameters[scale]
    assert found.flops == 2 * found.mult_adds
    assert found.output == (found.input[0] * scale, found.input[1] * scale)
    assert 0 <= found.output[1] - 1280 < scale
    if model.interpolator:
        assert found.paper_mult_adds is None
        return
    assert found.weight_bytes >= 4 * found.parameters
    assert found.activations > 0
    assert found.mult_adds > 0


def test_a_transposed_convolution_is_counted_truly_and_as_in_papers() -> None:
    """FSRCNN ×4: 7,928 weights in convolutions, 4,536 in the transposed convolution, whose input has two more pixels a side."""
    found = cost("fsrcnn", 4)
    assert found.mult_adds == 180 * 320 * 7_928 + 184 * 324 * 4_536
    assert found.paper_mult_adds == 180 * 320 * 7_928 + 720 * 1280 * 4_536
    assert found.activations == 180 * 320 * (56 + 12 + 4 * 12 + 56) + 720 * 1280


def test_size_is_followed_and_leaves_the_convention() -> None:
    small, large = cost("srcnn", 2, (10, 20)), cost("srcnn", 2, (20, 20))
    assert small.mult_adds == 20 * 40 * 57_184
    assert large.mult_adds == 2 * small.mult_adds
    assert small.paper_mult_adds is None
    assert cost("esrgan_s", 2, (5, 5)).mult_adds == cost("esrgan_s", 2, (6, 6)).mult_adds, "padded to its multiple"


def test_a_bicubic_skip_adds_its_taps() -> None:
    plain, skipped = cost("espcn", 4), cost("espcn", 4, options={"skip": "bicubic"})
    # Two passes of four taps; the kernel's zero at distance 2 is never met at ×4, whose phases are odd eighths.
    assert skipped.mult_adds - plain.mult_adds == 4 * (720 * 320 + 720 * 1280)
    assert skipped.parameters == plain.parameters
    assert cost("bicubic", 4).mult_adds == 3 * 4 * (720 * 320 + 720 * 1280)


def test_counts_agree_with_a_real_run() -> None:
    """The same counter over a computation on the CPU."""
    from torch.utils.flop_counter import FlopCounterMode

    network = create_model("edsr_baseline", 3, blocks=2, features=16).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.rand(1, 3, 8, 9))
    assert counter.get_total_flops() == cost("edsr_baseline", 3, (8, 9), {"blocks": 2, "features": 16}).flops


def test_receptive_field_is_reached_and_not_passed() -> None:
    """A changed pixel moves the output within the radius and nowhere else."""
    network = create_model("srcnn", 2)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.1)
    x = torch.rand(1, 1, 31, 31)
    changed = x.clone()
    changed[..., 15, 15] += 1
    moved = (network(changed) - network(x)).abs()[0, 0] > 0
    side = cost("srcnn", 2).receptive_field
    assert int(moved.any(0).sum()) == int(moved.any(1).sum()) == side


def test_checkpoint_has_its_own_options_and_file(srbench_home: Path) -> None:
    name = store_checkpoint("espcn", "test", 3, channels="rgb", skip="bicubic")
    card = find_checkpoint(name)
    found = subject_cost(resolve("espcn_x3.test")[0])
    assert (found.name, found.scale, found.parameters) == (name, 3, card.parameters)
    assert found.weight_bytes == verify(card).stat().st_size


def test_errors_name_the_value() -> None:
    with pytest.raises(UnknownNameError, match="fsrcn"):
        cost("fsrcn", 4)
    with pytest.raises(UnavailableError, match="x7"):
        cost("edsr", 7)
    with pytest.raises(InputError, match="0×5"):
        cost("edsr", 4, (5, 0))


@pytest.mark.slow
def test_command_counts_every_model_unless_told_otherwise() -> None:
    rows = json.loads(CliRunner().invoke(main, ["cost", "--json"]).output)
    assert {row["name"] for row in rows} == {model.name for model in MODELS if 4 in model.scales}


def test_command_prints_both_counts() -> None:
    done = CliRunner().invoke(main, ["cost", "fsrcnn", "--scale", "4"])
    assert done.exit_code == 0
    assert "0.73 G" in done.output
    assert "4.6 G" in done.output
    bad = CliRunner().invoke(main, ["cost", "fsrcnn", "--input", "5"])
    assert bad.exit_code != 0
    assert "'5'" in bad.output
