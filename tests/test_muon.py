"""Muon: orthogonal steps, the same as PyTorch's own for matrices, Adam's for vectors, and a state that goes on exactly."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from srbench.errors import SrbenchError
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.optim.adam import VectorAdam
from srbench.training.optim.descent import Descent
from srbench.training.optim.muon import Muon, orthogonal
from srbench.training.recipe.schema import Recipe
from srbench.zoo import load_checkpoint
from tests.builders import small_recipe, write_images


@given(st.integers(1, 3), st.integers(1, 24), st.integers(1, 40), st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e4]))
@settings(deadline=None, max_examples=40)
def test_singular_vectors_stay_and_singular_values_come_near_one(
    count: int, rows: int, columns: int, seed: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    square = min(rows, columns)
    values = 0.3 + 0.7 * torch.rand(count, square, generator=generator)
    left = torch.linalg.qr(torch.randn(count, rows, square, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(count, columns, square, generator=generator)).Q
    made = orthogonal(scale * left @ torch.diag_embed(values) @ right.mT)
    among = left.mT @ made @ right  # diagonal where the singular vectors are the same
    found = among.diagonal(dim1=1, dim2=2)
    assert 0.65 < float(found.min()) <= float(found.max()) < 1.25
    assert torch.allclose(among, torch.diag_embed(found), atol=1e-4)


def test_the_scale_of_gradients_changes_nothing_and_zero_gradients_stay_zero() -> None:
    matrices = torch.randn(2, 8, 27)
    assert torch.allclose(orthogonal(matrices), orthogonal(1e-5 * matrices), atol=1e-4)
    assert torch.equal(orthogonal(torch.zeros(1, 4, 9)), torch.zeros(1, 4, 9))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon of its own")
@pytest.mark.parametrize("shape", [(64, 576), (48, 20)])
def test_matrices_step_as_with_pytorchs_own(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    mine = nn.Parameter(torch.randn(shape))
    theirs = nn.Parameter(mine.detach().clone())
    own = Muon([mine], 1e-2, weight_decay=0.1)
    peer = torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    start = mine.detach().clone()
    for _ in range(6):
        mine.grad = torch.randn(shape)
        theirs.grad = mine.grad.clone()
        own.step()
        peer.step()
    moved = float((mine - start).detach().norm())
    assert float((mine - theirs).detach().norm()) < 0.01 * moved  # theirs iterates in bfloat16


def test_vectors_step_as_with_adam() -> None:
    torch.manual_seed(0)
    mine = nn.Parameter(torch.randn(7))
    theirs = nn.Parameter(mine.detach().clone())
    own, peer = VectorAdam([mine], 1e-2, (0.9, 0.999), 0.1), torch.optim.AdamW([theirs], 1e-2, weight_decay=0.1)
    for _ in range(6):
        mine.grad = torch.randn(7)
        theirs.grad = mine.grad.clone()
        own.step()
        peer.step()
    assert torch.allclose(mine, theirs, atol=1e-6)


def alone(parameters: Iterable[nn.Parameter], values: torch.Tensor) -> torch.Tensor:
    """The exchange of a run in one process."""
    return values


def network() -> nn.Sequential:
    torch.manual_seed(1)
    layers = [
        nn.Conv2d(1, 8, 3, padding=1),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ConvTranspose2d(8, 1, 4, 2, 1),
    ]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def test_layers_of_any_kind_learn_and_a_stored_state_goes_on_in_the_same_bits() -> None:
    whole = network()
    x, y = torch.rand(4, 1, 6, 6), torch.rand(4, 1, 12, 12)

    def learn(net: nn.Module, descent: Descent, steps: int) -> float:
        loss = torch.tensor(0.0)
        for _ in range(steps):
            loss = F.mse_loss(net(x), y)
            descent(loss, loss.detach()[None], 1e-2)
        return float(loss.detach())

    recipe = Recipe(optimiser="muon")
    first = Descent(whole, recipe, alone)
    assert [type(optimiser) for optimiser in first.optimisers] == [Muon, VectorAdam]
    early = learn(whole, first, 3)
    parts = copy.deepcopy(whole)
    second = Descent(parts, recipe, alone)
    second.load({key: value.clone() for key, value in first.tensors().items()})
    assert learn(whole, first, 20) == learn(parts, second, 20) < early
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_run_stopped_in_the_middle_ends_in_the_same_bits(tmp_path: Path, srbench_home: Path) -> None:
    images = write_images(tmp_path / "images")
    recipe = small_recipe(images, "espcn", batch=2, steps=6, val_every=3, log_every=1, optimiser="muon")

    def stop(self: object, step: int, facts: dict[str, object]) -> None:
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    whole = train("espcn", recipe, RunOptions(name="whole", progress=False, threads=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.watch.Watch.log", stop)
        with pytest.raises(SrbenchError, match="stopped at step 4 of 6"):
            train("espcn", recipe, RunOptions(name="parts", progress=False, threads=1))
    parts = train("espcn", recipe, RunOptions(name="parts", progress=False, threads=1, resume=True))
    states = [load_checkpoint(card.name).state_dict() for card in (whole, parts)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert whole.config["optimiser"] == "muon"
    adam = recipe.model_copy(update={"optimiser": "adam"})
    other = train("espcn", adam, RunOptions(name="adam", progress=False, threads=1))
    assert not torch.equal(
        load_checkpoint(other.name).state_dict()["network.conv1.weight"], states[0]["network.conv1.weight"]
    )
