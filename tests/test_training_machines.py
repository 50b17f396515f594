"""How a run fits a machine: batches in parts, float16 with a scaled loss, and who else is told of its log."""

from __future__ import annotations

import csv
import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from srbench.cli import main
from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.training.loop.adversarial import AdversarialStep, Surroundings
from srbench.training.loop.options import RunOptions
from srbench.training.loop.step import Generator, SupervisedStep
from srbench.training.loop.trainer import train
from srbench.training.loop.watch import Watch
from srbench.training.losses.adversarial import Noise
from srbench.training.optim.descent import Descent
from srbench.training.optim.norms import still_norms
from srbench.training.recipe.schema import Recipe
from tests.builders import small_recipe, store_parent, write_images
from tests.test_gan import alone

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SGD = {"optimiser": "sgd", "lr": 1e-2}  # Adam makes steps of one size of gradients that are nothing but rounding
TABLE = {"discriminator": "convolutional", "norm": "none", "label_noise": 0.1, "lr": 1e-3}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 48, 3, padding=1), nn.PixelShuffle(4))


def crops(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, 4, 4, generator=generator), torch.rand(count, 3, 16, 16, generator=generator)


@pytest.mark.parametrize("kind", ["", "standard", "wgan-gp"])
def test_a_batch_in_parts_is_a_batch_but_for_the_order_of_sums(kind: str, tmp_path: Path) -> None:
    found, logs = [], []
    for accumulate in (1, 4):
        values: dict[str, Any] = {"batch": 16, "patch": 4, "accumulate": accumulate, "loss": {"l1": 1.0}, **SGD}
        if kind:
            values |= {
                "loss": {"l1": 1.0, "adversarial": 0.01},
                "keep": "last",
                "adversarial": {"kind": kind, **TABLE, **SGD},
            }
        recipe = Recipe.model_validate(values)
        learner = network()
        generator = Generator(learner, learner, recipe, alone)
        torch.manual_seed(5)
        step = AdversarialStep(generator, {}, Surroundings("rgb", CPU, tmp_path)) if kind else SupervisedStep(generator)
        for number in range(3):
            batch = step(number, *crops(16))
        assert batch.values is not None
        assert batch.sr.shape == (16, 3, 16, 16)
        found.append([*learner.parameters(), *(step.discriminator.parameters() if kind else [])])
        logs.append([*batch.values.tolist(), *(step.collect().values() if kind else [])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)
    np.testing.assert_allclose(*logs, rtol=2e-3, atol=1e-5)


def test_the_parts_of_a_slice_draw_the_noise_of_the_slice() -> None:
    whole = Noise(3, rank=1, world=2).draw(7, 0, torch.zeros(8, 1))
    parts = [Noise(3, rank=1, world=2).part(index, 4).draw(7, 0, torch.zeros(2, 1)) for index in range(4)]
    assert torch.equal(torch.cat(parts), whole)


def test_statistics_stand_still_while_asked_to() -> None:
    norm = nn.BatchNorm2d(3)
    before = norm.running_mean.clone()
    with still_norms(norm):
        norm(torch.rand(2, 3, 4, 4))
    assert torch.equal(norm.running_mean, before)
    norm(torch.rand(2, 3, 4, 4))
    assert not torch.equal(norm.running_mean, before)


def test_parts_that_are_not_equal_are_refused(
    images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="a batch of 4 cannot be cut into accumulate = 3 equal parts"):
        small_recipe(images, accumulate=3)
    monkeypatch.setattr("srbench.training.loop.distributed.Processes.average", lambda self, p, v: v)
    recipe = small_recipe(images, accumulate=4)

    def two(self: object, device: str = "auto") -> None:
        self.__dict__.update(rank=0, world=2, device=CPU)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.distributed.Processes.__init__", two)
        patch.setattr("srbench.training.loop.distributed.Processes.agree", lambda self, value: value)
        with pytest.raises(InputError, match="cut into 8 equal parts: 2 processes times accumulate = 4"):
            train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))


def test_a_gradient_that_float16_cannot_hold_leaves_its_step_out() -> None:
    layer = nn.Linear(2, 1)
    keys = Recipe.model_validate({"optimiser": "adam", "lr": 0.1, "grad_clip": 1.0})
    descent = Descent(layer, keys, alone, measure_norm=True, precision="fp16")
    before, scale = layer.weight.detach().clone(), descent.scaler.scale
    values = descent(layer(torch.full((1, 2), 1e38)).sum() * 1e38, torch.zeros(1), 0.1)
    assert torch.equal(layer.weight, before)
    assert values.isfinite().all()
    assert scale is not None
    assert descent.scaler.scale == scale / 2
    descent(layer(torch.ones(1, 2)).sum(), torch.zeros(1), 0.1)
    assert not torch.equal(layer.weight, before)
    assert layer.weight.isfinite().all()


@pytest.mark.parametrize("optimiser", ["adam", "muon", "sgd", "rmsprop"])
def test_a_scaled_loss_takes_the_step_of_one_that_is_not(optimiser: str) -> None:
    made = []
    for precision in ("fp32", "fp16"):
        learner = network()
        keys = Recipe.model_validate({"optimiser": optimiser, "lr": 0.01})
        descent = Descent(learner, keys, alone, precision=precision)
        lr, hr = crops(4)
        for _ in range(3):
            descent((learner(lr) - hr).square().mean(), torch.zeros(1), 0.01)
        made.append(list(learner.parameters()))
    for one, other in zip(*made, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def _stopped_at(step: int) -> Any:
    def stop(self: object, done: int, facts: dict[str, object]) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return stop


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_stopped_run_in_parts_goes_on_to_the_same_bits(precision: str, images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(images, precision=precision, accumulate=2, optimiser="muon")
    train("fsrcnn_s", recipe, RunOptions(name="whole", progress=False, threads=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.watch.Watch.log", _stopped_at(9))
        with pytest.raises(SrbenchError, match="stopped at step 9"):
            train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False, threads=1))
    card = train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False, threads=1, resume=True))
    assert card.precision == precision
    first, second = (
        load_file(srbench_home / "runs" / f"fsrcnn_s_x4.{name}" / "state.safetensors") for name in ("whole", "parts")
    )
    assert first.keys() == second.keys()
    assert ("optimiser/scaler.scale" in first) == (precision == "fp16")
    assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_an_adversarial_run_in_parts_and_float16_goes_on_to_the_same_bits(images: Path, srbench_home: Path) -> None:
    store_parent("srresnet_s", skip="bicubic", blocks=1, features=8)
    values = {
        "data": str(images), "val": 2, "patch": 4, "batch": 4, "accumulate": 2, "steps": 8, "val_every": 4, "log_every": 1,
        "precision": "fp16", "init_from": "srresnet_s_x4.tuned", "options": {"blocks": 1, "features": 8},
        "loss": {"mse": 1.0, "adversarial": 1e-3}, "adversarial": {**TABLE, "n_critic": 2}, "keep": "last",
        "skip": "bicubic",
    }  # fmt: skip
    recipe = Recipe.model_validate(values)
    train("srgan_s", recipe, RunOptions(name="whole", progress=False, threads=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.watch.Watch.log", _stopped_at(5))
        with pytest.raises(SrbenchError, match="stopped at step 5"):
            train("srgan_s", recipe, RunOptions(name="parts", progress=False, threads=1))
    train("srgan_s", recipe, RunOptions(name="parts", progress=False, threads=1, resume=True))
    first, second = (
        load_file(srbench_home / "runs" / f"srgan_s_x4.{name}" / "state.safetensors") for name in ("whole", "parts")
    )
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    assert {"optimiser/scaler.scale", "discriminator_optimiser/scaler.scale"} <= first.keys()
    log = (srbench_home / "runs" / "srgan_s_x4.whole" / "log.jsonl").read_text()
    assert '"loss_scale": 65536.0' in log
    assert (srbench_home / "runs" / "srgan_s_x4.whole" / "samples" / "sr-00000000.png").is_file(), "the parent's"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_takes_new_columns_and_forgets_what_a_resumed_run_does_again(tmp_path: Path) -> None:
    with Watch(tmp_path, "run", 10, show=False, trackers=("csv",)) as seen:
        seen.log(1, {"loss": 0.5, "collapse": "a text is no curve"})
        seen.log(2, {"loss": 0.25})
        seen.log(2, {"val_psnr": 28.0})
        seen.log(3, {"loss": 0.125})
    found = rows(tmp_path)
    assert [(row["step"], row["loss"], row["val_psnr"]) for row in found] == [
        ("1", "0.5", ""),
        ("2", "0.25", ""),
        ("2", "", "28.0"),
        ("3", "0.125", ""),
    ]
    with (tmp_path / "log.csv").open("a") as file:
        file.write("4,0.")  # a kill in the middle of a row
    with Watch(tmp_path, "run", 10, show=False, trackers=("csv",)) as seen:
        seen.log(3, {"loss": 0.75})
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [
        ("1", "0.5"),
        ("2", "0.25"),
        ("2", ""),
        ("3", "0.75"),
    ]


def test_wandb_is_told_of_a_run_that_it_can_go_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    run = types.SimpleNamespace(
        log=lambda values, step=None: told.append((step, values)), finish=lambda: told.append("end")
    )
    fake = types.SimpleNamespace(
        init=lambda **given: told.append(given) or run, Image=lambda image: image.shape, __spec__=object()
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with Watch(tmp_path, "fsrcnn_x4.mine", 10, show=False, trackers=("wandb",)) as seen:
        seen.log(5, {"loss": 0.25})
        crop = np.zeros((8, 8, 3), np.uint8)
        seen.images(5, [(crop, crop, crop)])
    assert told[0]["project"] == "srbench"
    assert (told[0]["name"], told[0]["id"], told[0]["resume"]) == ("fsrcnn_x4.mine", "fsrcnn_x4.mine", "allow")
    assert told[1:3] == [(5, {"loss": 0.25}), (5, {"samples/lr": [(8, 8, 3)]})]
    assert told[-1] == "end"


def test_trackers_that_cannot_be_had_are_named_before_the_first_step(images: Path, srbench_home: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tensorboard'"):
        train("fsrcnn_s", small_recipe(images), RunOptions(progress=False, trackers=("tensorbord",)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.trackers.find_spec", lambda name: None)
        with pytest.raises(UnavailableError, match=r"pip install 'srbench\[wandb\]'"):
            train("fsrcnn_s", small_recipe(images), RunOptions(progress=False, trackers=("wandb",)))
    assert not (srbench_home / "zoo").exists()
    options = ["--steps", "2", "--set", "patch=8", "--set", "batch=2", "--track", "csv", "--data", str(images)]
    found = CliRunner().invoke(main, ["train", "fsrcnn_s", "--set", "val=2", *options, "--threads", "1"])
    assert found.exit_code == 0, found.output
    assert rows(srbench_home / "runs" / "fsrcnn_s_x4.tuned")[-1]["step"] == "2"
