"""Initial weights: the model's own, or PyTorch's with a last layer near zero under a skip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from srbench.errors import InputError
from srbench.models import create_model, get_model
from srbench.training.loop.initial import draw_weights
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import load_recipe
from srbench.zoo import load_checkpoint
from tests.builders import small_recipe, write_images


def drawn(model: str, **changes: str) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """A network after ``draw_weights``, and its weights before that."""
    recipe = load_recipe("tuned", model, changes)
    skip = {"skip": "bicubic"} if recipe.skip == "bicubic" and not get_model(model).has_skip else {}
    torch.manual_seed(3)
    network = create_model(model, 4, **skip)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    draw_weights(network, get_model(model), recipe)
    return network, before


def test_the_model_draws_by_default() -> None:
    network, before = drawn("espcn")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("model", ["espcn", "vdsr", "srresnet_s"])
def test_pytorch_draws_every_layer_and_the_last_one_starts_near_zero(model: str) -> None:
    network, before = drawn(model, init="pytorch")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    weights = network.state_dict()
    for key in before:
        if key.endswith("weight") and weights[key].dim() == 4:
            assert not torch.equal(before[key], weights[key])
    first = convolutions[0].weight.detach()
    bound = first[0].numel() ** -0.5  # nn.Conv2d draws uniformly within one over the root of its inputs
    assert 0.9 * bound < float(first.abs().max()) <= bound
    assert float(convolutions[-1].weight.detach().std()) <= 0.0011


def test_without_a_skip_the_last_layer_is_pytorchs_too() -> None:
    network, _ = drawn("espcn", init="pytorch", skip="none")
    last = [m for m in network.modules() if isinstance(m, nn.Conv2d)][-1].weight.detach()
    assert float(last.abs().max()) > 0.9 * last[0].numel() ** -0.5


@pytest.mark.parametrize("model", ["espcn", "srresnet_s", "msrresnet", "edsr_baseline"])
def test_icnr_starts_every_phase_alike_and_changes_nothing_else(model: str) -> None:
    network, before = drawn(model, init="icnr", skip="none")
    weights = network.state_dict()
    changed = {key for key in weights if not torch.equal(before[key], weights[key])}
    shuffled = {"espcn": 1, "srresnet_s": 2, "msrresnet": 2, "edsr_baseline": 2}[model]
    assert len({key.rpartition(".")[0] for key in changed}) == shuffled
    factor = 4 if shuffled == 1 else 2
    for key in changed:
        groups = weights[key].unflatten(0, (-1, factor**2))
        assert torch.equal(groups, groups[:, :1].expand_as(groups)), key
    network.eval()
    with torch.no_grad():
        made = network(torch.rand(1, 1 if model == "espcn" else 3, 12, 12, generator=torch.Generator().manual_seed(0)))
    if model == "espcn":  # nothing follows the shuffle: each input pixel is a block of equal ones
        torch.testing.assert_close(made, made[..., ::4, ::4].repeat_interleave(4, -1).repeat_interleave(4, -2))


def test_icnr_needs_a_pixel_shuffle() -> None:
    with pytest.raises(InputError, match="vdsr has no convolution before a pixel shuffle"):
        drawn("vdsr", init="icnr")


def test_a_run_starts_from_what_its_recipe_draws(tmp_path: Path, srbench_home: Path) -> None:
    images = write_images(tmp_path / "images")
    sums = {}
    for init in ("model", "pytorch"):
        recipe = small_recipe(images, "espcn", batch=2, steps=1, val_every=1, lr=1e-12, ema=0.0, init=init)
        card = train("espcn", recipe, RunOptions(name=init, progress=False, threads=1))
        sums[init] = float(load_checkpoint(card.name).state_dict()["network.conv1.weight"].sum((1, 2, 3)).abs().max())
    assert sums["model"] < 0.01  # ESPCN's own first kernels have no mean
    assert sums["pytorch"] > 0.1
