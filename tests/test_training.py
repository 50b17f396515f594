"""Losses, schedules, averages, and whole small runs: they learn, stop, resume bit for bit and refuse what cannot be."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

from srbench.cli import main
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.training.loop.folder import claim
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.losses.pixel import TERMS, Losses
from srbench.training.optim.average import Average
from srbench.training.optim.optimisers import make_optimisers
from srbench.training.optim.schedule import learning_rate
from srbench.training.recipe.schema import Recipe
from srbench.zoo import find_checkpoint, load_checkpoint
from tests.builders import small_recipe, write_images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def test_losses_are_their_formulas_and_their_weighted_sum() -> None:
    sr, hr = torch.rand(2, 3, 5, 5), torch.rand(2, 3, 5, 5)
    difference = (sr - hr).double()
    expected = {
        "l1": difference.abs().mean(),
        "mse": difference.pow(2).mean(),
        "charbonnier": (difference.pow(2) + 1e-6).sqrt().mean(),
    }
    assert set(expected) == set(TERMS)
    total, terms = Losses({"l1": 0.5, "mse": 2.0, "charbonnier": 1.0})(sr, hr)
    torch.testing.assert_close(terms.double(), torch.stack(list(expected.values())), atol=1e-7, rtol=1e-6)
    weighted = 0.5 * expected["l1"] + 2 * expected["mse"] + expected["charbonnier"]
    assert float(total) == pytest.approx(float(weighted), rel=1e-6)
    with pytest.raises(UnknownNameError, match=r"unknown loss term 'l_1'.*Did you mean 'l1'"):
        Losses({"l_1": 1.0})


def test_schedules() -> None:
    def rates(**values: object) -> list[float]:
        recipe = Recipe.model_validate({"steps": 100, "lr": 2.0, **values})
        return [learning_rate(recipe, step) for step in range(100)]

    cosine = rates(schedule="cosine", warmup=0.1)
    assert cosine[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert cosine[10] == 2.0
    assert cosine[55] == pytest.approx(1.0)
    assert cosine[99] < 0.001
    assert rates(schedule="cosine", lr_end=0.5)[99] == pytest.approx(1.0, abs=1e-3)
    assert rates(schedule="constant")[99] == 2.0
    step = rates(schedule="step", milestones=[0.5, 0.75], gamma=0.1)
    assert [step[49], step[50], step[75]] == pytest.approx([2.0, 0.2, 0.02])
    assert rates(schedule="exponential", lr_end=0.01)[50] == pytest.approx(0.2)


def test_an_average_follows_weights_and_counts() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    average = Average(network, 0.9)
    start = average.weights()["0.weight"].clone()
    network(torch.rand(2, 1, 4, 4))
    with torch.no_grad():
        network[0].weight.add_(1)
    average.update(10**6)
    torch.testing.assert_close(average.weights()["0.weight"], start + 0.1)
    assert int(average.weights()["1.num_batches_tracked"]) == 1
    still = Average(network, 0.0)
    with torch.no_grad():
        network[0].weight.add_(1)
    still.update(0)
    assert torch.equal(still.weights()["0.weight"], network[0].weight)


@pytest.mark.parametrize("name", get_args(Recipe.model_fields["optimiser"].annotation))
def test_every_optimiser_goes_downhill(name: str) -> None:
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.eye(3))]
    optimisers = make_optimisers(weights, Recipe.model_validate({"optimiser": name, "lr": 0.01}))
    assert type(optimisers[0]).__name__.lower() == name
    sum((weight**2).sum() for weight in weights).backward()
    for optimiser in optimisers:
        optimiser.step()
    assert (weights[0] < 1).all()
    assert (weights[1].diagonal() < 1).all()


@pytest.mark.parametrize(("model", "channels"), [("fsrcnn_s", "y"), ("espcn", "rgb"), ("srcnn", "y")])
def test_a_run_writes_a_checkpoint_that_scores_as_its_curve_says(
    model: str, channels: str, images: Path, srbench_home: Path
) -> None:
    recipe = small_recipe(images, channels=channels, steps=40, val_every=20, lr=4e-3)
    card = train(model, recipe, RunOptions(progress=False, threads=1))
    stored = find_checkpoint(card.name)
    assert stored.config["lr"] == 4e-3
    assert stored.options == {"skip": "bicubic"}
    assert [point["step"] for point in stored.curve] == [20, 40]
    assert stored.samples_seen == 160
    lines = [json.loads(line) for line in (srbench_home / "runs" / card.name / "log.jsonl").read_text().splitlines()]
    assert max(point["val_psnr"] for point in stored.curve) > lines[0]["val_bicubic"]
    network = load_checkpoint(card.name)
    assert sum(p.numel() for p in network.parameters()) == stored.parameters


def test_a_stopped_run_goes_on_to_the_same_bits(images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(images, precision="bf16")
    train("fsrcnn_s", recipe, RunOptions(name="whole", progress=False, threads=1))

    def stop(self: object, step: int, facts: dict[str, object]) -> None:
        if step == 9:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.watch.Watch.log", stop)
        with pytest.raises(SrbenchError, match="stopped at step 9 of 12; go on with --resume"):
            train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False, threads=1))
    with pytest.raises(InputError, match="holds a run at step"):
        train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False))
    with pytest.raises(InputError, match=r"was started with lr = 0.004, not 0.1"):
        train("fsrcnn_s", small_recipe(images, lr=0.1), RunOptions(name="parts", progress=False, resume=True))
    train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False, threads=1, resume=True))
    assert_same_weights(srbench_home, "whole", "parts")


def assert_same_weights(home: Path, one: str, other: str) -> None:
    """Network, average, best weights and optimiser; the zoo's may be rounded to half precision."""
    first, second = (load_file(home / "runs" / f"fsrcnn_s_x4.{name}" / "state.safetensors") for name in (one, other))
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key
    curves = [
        [(p["step"], p["loss"], p["val_psnr"]) for p in find_checkpoint(f"fsrcnn_s_x4.{n}").curve] for n in (one, other)
    ]
    assert curves[0] == curves[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "options", "kills"),
    [
        ("", [], 20),
        (
            'degradation = "two-stage"\naccumulate = 2\nprecision = "fp16"\nrescale = [0.8]\n',
            ["--cache-memory", "0.0001", "--cache-disk", "0"],  # images are decoded when they are drawn
            3,
        ),
    ],
    ids=["tuned", "degraded fp16 in parts, drawn from files"],
)
def test_runs_killed_at_random_moments_end_in_the_same_bits(
    values: str, options: list[str], kills: int, images: Path, srbench_home: Path
) -> None:
    recipe = srbench_home / "killed.toml"
    steps = f"steps = {120 if kills == 20 else 40}"
    recipe.write_text(
        f'data = "{images}"\nval = 2\npatch = 8\nbatch = 4\n{steps}\nval_every = 20\nlog_every = 1\n{values}'
    )
    command = [
        sys.executable,
        "-m",
        "srbench",
        "train",
        "fsrcnn_s",
        "--recipe",
        str(recipe),
        "--threads",
        "1",
        *options,
    ]
    subprocess.run([*command, "--name", "whole"], check=True, capture_output=True)
    log = srbench_home / "runs" / "fsrcnn_s_x4.parts" / "log.jsonl"
    random = np.random.default_rng(1)
    for target in np.sort(random.choice(np.arange(1, 117 if kills == 20 else 37), kills, replace=False)):
        run = subprocess.Popen(
            [*command, "--name", "parts", "--save-every", "0", "--resume"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            if log.is_file() and f'"step": {target},' in log.read_text():
                break
            time.sleep(0.002)
        time.sleep(float(random.random()) * 0.02)
        assert run.poll() is None, "the run ended before it could be killed"
        run.kill()
        run.wait()
    subprocess.run([*command, "--name", "parts", "--resume"], check=True, capture_output=True)
    assert_same_weights(srbench_home, "whole", "parts")


def test_a_loss_that_is_no_number_stops_with_its_step(images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(images, optimiser="sgd", lr=1e30, warmup=0.0, precision="fp32")
    with pytest.raises(
        SrbenchError, match=r"(loss|l1) is (nan|inf) in step \d+ \(batch of seed 0, step \d+\); the last good"
    ):
        train("fsrcnn_s", recipe, RunOptions(progress=False))
    assert not (srbench_home / "zoo").exists()


def test_a_folder_in_use_and_an_existing_checkpoint_are_refused(images: Path, srbench_home: Path) -> None:
    folder = srbench_home / "runs" / "fsrcnn_s_x4.tuned"
    with claim(folder), pytest.raises(InputError, match="in use by another run"):
        train("fsrcnn_s", small_recipe(images), RunOptions(progress=False))
    train("fsrcnn_s", small_recipe(images), RunOptions(progress=False))
    with pytest.raises(InputError, match=r"the zoo has a checkpoint fsrcnn_s_x4\.tuned"):
        train("fsrcnn_s", small_recipe(images), RunOptions(progress=False))
    train("fsrcnn_s", small_recipe(images, steps=6), RunOptions(progress=False, overwrite=True))
    assert find_checkpoint("fsrcnn_s_x4.tuned").steps == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fsrcn"], "unknown model 'fsrcn'"),
        (["bicubic"], "no weights to train"),
        (["fsrcnn", "--recipe", "tunde"], "Did you mean 'tuned'"),
        (["fsrcnn", "--set", "optimizer=adam"], "Did you mean 'optimiser'"),
        (["fsrcnn", "--scale", "7"], "x7"),
        (["fsrcnn", "--set", "loss=l3"], "unknown loss term 'l3'"),
        (["fsrcnn", "--data", "nowhere"], "nowhere"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(arguments: list[str], message: str, srbench_home: Path) -> None:
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(srbench_home.iterdir())


def test_the_command_trains_and_names_the_seed(images: Path, srbench_home: Path) -> None:
    arguments = ["fsrcnn_s", "--data", str(images), "--steps", "4", "--seed", "3", "--json", "--threads", "1"]
    arguments += ["--set", "patch=8", "--set", "batch=4", "--set", 'val=["p1"]']
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == 0, result.stderr
    card = json.loads(result.stdout)
    assert (card["name"], card["seed"], card["config"]["val"]) == ("fsrcnn_s_x4.tuned-seed3", 3, ["p1"])
    assert math.isfinite(card["curve"][-1]["val_psnr"])
    assert "validation images: p1" in card["notes"]


def test_the_size_follows_the_device_and_can_be_chosen(images: Path, srbench_home: Path) -> None:
    arguments = ["train", "fsrcnn_s", "--data", str(images), "--steps", "1", "--json", "--threads", "1"]
    arguments += ["--set", "patch=8", "--set", "val=1", "--set", "batch=2", "--device", "cpu", "--overwrite"]
    for size, expected, every in (("auto", "cpu", 500), ("full", "full", 5000)):
        result = CliRunner().invoke(main, [*arguments, "--size", size])
        assert result.exit_code == 0, result.stderr
        config = json.loads(result.stdout)["config"]
        assert (config["size"], config["val_every"]) == (expected, every)
    result = CliRunner().invoke(main, ["train", "fsrcnn_s", "--budget", "soon"])
    assert "--budget 'soon' is no time" in result.stderr


def test_a_network_that_torch_cannot_compile_is_one_line(
    images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_network: nn.Module) -> object:
        def forward(_x: torch.Tensor) -> torch.Tensor:
            raise AssertionError("\nexpected size 56==56, stride 1==576\nError in op: replication_pad2d_backward")

        return forward

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(
        InputError, match=r"compile = true: torch .* cannot compile .*expected size 56==56.* use compile = false"
    ):
        train("fsrcnn_s", small_recipe(images, compile=True), RunOptions(progress=False))
    assert not (srbench_home / "runs" / "fsrcnn_s_x4.tuned").exists()


def test_a_compiled_network_starts_from_the_weights_of_any_other(
    images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert srbench_home.is_dir()
    monkeypatch.setattr(torch, "compile", lambda network: network)
    plain = train(
        "srresnet_s", small_recipe(images, steps=2, precision="fp32"), RunOptions(name="plain", progress=False)
    )
    compiled = train(
        "srresnet_s",
        small_recipe(images, steps=2, precision="fp32", compile=True),
        RunOptions(name="compiled", progress=False),
    )
    assert [p["loss"] for p in plain.curve] == [p["loss"] for p in compiled.curve]
    assert [p["val_psnr"] for p in plain.curve] == [p["val_psnr"] for p in compiled.curve]
