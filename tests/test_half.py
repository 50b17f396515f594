"""Weights in half precision where validation images lose nothing, and as they are where they do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from srbench.cli import main
from srbench.models import get_model
from srbench.training.loop import half
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.recipe.schema import Recipe
from srbench.upscaler import for_model
from srbench.zoo import find_checkpoint, load_checkpoint
from tests.builders import small_recipe, write_images


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    folder = write_images(tmp_path / "images")
    return small_recipe(folder, steps=4, val_every=2, log_every=2)


def stored(home: Path) -> set[torch.dtype]:
    weights = load_file(home / "zoo" / "fsrcnn_s" / "x4.tuned.safetensors")
    return {tensor.dtype for tensor in weights.values()}


def test_a_run_stores_half_precision_and_says_what_it_changed(recipe: Recipe, srbench_home: Path) -> None:
    card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    assert card.weights == "float16"
    assert card.half_change is not None
    assert abs(card.half_change) < half.LIMIT_DB
    assert sum(card.val_each) / 2 == pytest.approx(max(p["val_psnr"] for p in card.curve), abs=half.LIMIT_DB)
    written = find_checkpoint(card.name)
    assert (written.weights, written.half_change) == (card.weights, card.half_change)
    assert stored(srbench_home) == {torch.float16}
    assert {tensor.dtype for tensor in load_checkpoint(card.name).state_dict().values()} == {torch.float32}


def test_weights_that_half_precision_would_change_stay(
    recipe: Recipe, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(half, "LIMIT_DB", 0.0)
        card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    assert card.weights == "float32"
    assert stored(srbench_home) == {torch.float32}

    before = load_checkpoint(card.name).state_dict()
    found = CliRunner().invoke(main, ["halve", "--all"])
    assert found.exit_code == 0, found.output
    assert "fsrcnn_s_x4.tuned" in found.output
    assert "float16" in found.output
    now = find_checkpoint(card.name)
    assert (now.weights, now.half_change, now.curve) == ("float16", card.half_change, card.curve)
    assert now.sha256 != card.sha256
    for key, tensor in load_checkpoint(card.name).state_dict().items():
        assert torch.equal(tensor, before[key].half().float()), key
    assert card.name not in CliRunner().invoke(main, ["halve", "--all"]).output  # nothing is left to do


def test_weights_beyond_half_precisions_range_stay(recipe: Recipe, srbench_home: Path) -> None:
    assert srbench_home.is_dir()
    card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    network = load_checkpoint(card.name)
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    weights["unused.bias"] = torch.tensor([1e6])
    network.register_module("unused", torch.nn.Linear(1, 1))
    weights["unused.weight"] = torch.zeros(1, 1)

    class Same:
        def each(self, _upscaler: object) -> list[float]:
            return [30.0, 31.0]

    kept, said = half.halved(weights, for_model(get_model(card.model), network, 4), card, Same())  # type: ignore[arg-type]
    assert said.weights == "float32"
    assert kept["unused.bias"].item() == 1e6


def test_halve_wants_checkpoints_or_all(srbench_home: Path) -> None:
    assert srbench_home.is_dir()
    assert "name CHECKPOINTS, or give --all" in CliRunner().invoke(main, ["halve"]).output
    assert "checkpoint 'fsrcnn_x4.comon'" in CliRunner().invoke(main, ["halve", "fsrcnn_x4.comon"]).output
