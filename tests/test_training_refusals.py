"""What ``srbench train`` is asked that teaches nothing, teaches the opposite, or is meant otherwise: one line, before a step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import srbench
from srbench.cli import main
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import Trainer, train
from srbench.training.optim.average import Average
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.tables import Adversarial
from srbench.weights import apart
from tests.builders import small_recipe, write_images

pytestmark = pytest.mark.usefixtures("one_thread")

NETS = """
from torch import nn


class Tied(nn.Module):
    scale = 2

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.two = nn.Conv2d(3, 3, 3, padding=1)
        self.two.weight = self.one.weight
        self.tail = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.tail(self.two(self.one(x))), 2)


class Lazy(nn.Module):
    scale = 2

    def __init__(self):
        super().__init__()
        self.tail = nn.LazyConv2d(12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.tail(x), 2)


class Wide(Tied):
    def __init__(self, width):
        super().__init__()
"""


@pytest.fixture
def images(tmp_path: Path, srbench_home: Path) -> Path:
    return write_images(tmp_path / "images")


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


def refused(*words: object) -> str:
    done = CliRunner().invoke(main, ["train", *map(str, words)])
    assert done.exit_code in (1, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss.l1": -1.0}, "l1 = -1 would teach the opposite"),
        ({"loss.l1": 0.0}, "teaches nothing: expected a weight above 0"),
        ({"lr": 1e38}, "lr = 1e"),
    ],
)
def test_values_that_teach_nothing_or_the_opposite(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_recipe("tuned", "espcn", changes)


def test_a_term_may_weigh_nothing_beside_others() -> None:
    assert load_recipe("tuned", "espcn", {"loss.mse": 0.0}).loss == {"l1": 1.0, "mse": 0.0}


def test_a_generator_that_never_learns_is_said(images: Path) -> None:
    table = {"discriminator": "patch", "norm": "none", "n_critic": 5}
    recipe = small_recipe(images, "fsrcnn_s", steps=1, val_every=1, patch=16)
    recipe = recipe.model_copy(update={"loss": {"l1": 1.0, "adversarial": 1e-3}, "adversarial": Adversarial(**table)})
    assert Trainer("fsrcnn_s", recipe, RunOptions())._doubts() == [
        "the generator learns from every 5th batch alone (adversarial.n_critic), and this run has 1: "
        "its weights stay what they are"
    ]
    assert Trainer("fsrcnn_s", recipe.model_copy(update={"steps": 5}), RunOptions())._doubts() == []


def test_a_changed_value_is_not_said_to_stand_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("lr = 1e-3\nbatch = 0\n")
    with pytest.raises(InputError, match=r"^a change of .*mine\.toml: lr = -1: "):
        load_recipe(str(file), "espcn", {"lr": -1, "batch": 4})
    with pytest.raises(
        UnknownNameError, match=r"unknown recipe key 'lrr' in a change of .*mine\.toml. Did you mean 'lr'"
    ):
        load_recipe(str(file), "espcn", {"lrr": 1, "batch": 4})
    with pytest.raises(InputError, match=r"^(?!a change).*mine\.toml: batch = 0: "):
        load_recipe(str(file), "espcn", {"lr": 1e-3})


def test_values_of_a_model_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[models.espcm]\nlr = 1e-4\n")
    with pytest.raises(
        UnknownNameError, match=r"unknown model 'espcm' in \[models\] of .*mine\.toml. Did you mean 'espcn'"
    ):
        load_recipe(str(file), "espcn")
    assert load_recipe(str(file), "espcm").lr == 1e-4  # a network of one's own of that name


@pytest.mark.parametrize(
    "given",
    [{"threads": -3}, {"save_seconds": math.nan}, {"save_seconds": -5.0}, {"budget": -1.0}, {"cache_disk": -1.0}],
)
def test_numbers_of_a_run_that_cannot_be(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"^{next(iter(given))} = "):
        RunOptions(**given)


def test_threads_below_zero_are_one_line(images: Path) -> None:
    assert "Error: threads = -3: expected 0, torch's default, or more" in refused("espcn", "--threads", "-3")


def test_steps_and_a_budget_are_two_lengths(images: Path) -> None:
    said = "steps = 6 and a budget of 10 s both say how long a run is: give one"
    assert said in refused("espcn", "--data", images, "--steps", "6", "--budget", "10s")
    with pytest.raises(InputError, match=said):
        srbench.train("espcn", data=images, changes={"steps": 6}, budget=10.0)
    with pytest.raises(InputError, match=said):
        srbench.train(torch.nn.Conv2d(3, 3, 3), data=images, steps=6, budget="10s")


def test_a_parent_that_is_not_there_says_who_asked_for_it(images: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'espcn_x4\.none' in init_from of the recipe; train it first"):
        train("espcn", small_recipe(images, "espcn", init_from="espcn_x4.none"), RunOptions(progress=False))


def test_lazy_layers_are_one_line(images: Path, nets: Path) -> None:
    assert "nets.Lazy has lazy layers, whose weights its first input would make" in refused(f"{nets}:Lazy")


def test_hints_are_of_the_command_that_was_given(images: Path, nets: Path) -> None:
    assert "--set options.width=VALUE" in refused(f"{nets}:Wide", "--scale", "2")
    assert f"name the class, or the function that makes it, such as {nets}:Tied (it has Tied, Lazy, Wide)" in refused(
        nets
    )


def test_layers_that_share_a_tensor_are_trained_stored_and_resumed(
    images: Path, nets: Path, srbench_home: Path
) -> None:
    words = [
        "--data",
        images,
        "--set",
        "val=2",
        "--set",
        "patch=8",
        "--set",
        "batch=4",
        "--steps",
        "4",
        "--name",
        "tied",
    ]
    done = CliRunner().invoke(main, ["train", f"{nets}:Tied", *map(str, words), "--set", "val_every=2"])
    assert done.exit_code == 0, done.output
    weights = load_file(srbench_home / "zoo" / "tied" / "x2.tied.safetensors")
    assert torch.equal(weights["one.weight"], weights["two.weight"])
    again = CliRunner().invoke(main, ["train", f"{nets}:Tied", *map(str, words), "--set", "val_every=2", "--resume"])
    assert again.exit_code == 0, again.output
    assert torch.equal(
        load_file(srbench_home / "zoo" / "tied" / "x2.tied.safetensors")["one.weight"], weights["one.weight"]
    )


def test_a_shared_tensor_is_averaged_once() -> None:
    shared = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    shared[1].weight = shared[0].weight
    single = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    single.load_state_dict({"0.weight": shared[0].weight})
    means = []
    for network in (shared, single):
        average = Average(network, 0.9)
        for count in range(3):
            with torch.no_grad():
                network[0].weight.add_(1.0)
            average.update(count)
        means.append(average.weights()["0.weight"])
    assert torch.equal(*means)


def test_what_shares_memory_is_stored_apart() -> None:
    base = torch.arange(6.0)
    held = apart({"a": base, "b": base[2:], "c": torch.zeros(0)})
    assert len({tensor.untyped_storage().data_ptr() for tensor in held.values()}) == 3
    assert torch.equal(held["b"], base[2:])


def test_weights_that_float16_cannot_hold_are_kept_as_they_are(images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(
        images, "espcn", optimiser="adam", lr=1e6, steps=1, val_every=1, ema=0.0, warmup=0.0, patch=16
    )
    card = train("espcn", recipe, RunOptions(progress=False, threads=1))
    assert (card.weights, card.half_change) == ("float32", None)
    weights = load_file(srbench_home / "zoo" / "espcn" / "x4.tuned.safetensors")
    assert max(float(value.abs().max()) for value in weights.values()) > 65_504


def test_a_network_that_makes_no_numbers_says_when(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        NETS + "\n\nclass Broken(Tied):\n    def forward(self, x):\n        return super().forward(x) / 0\n"
    )
    with pytest.raises(
        SrbenchError, match=r"broken_x2\.tuned: the network made NaN or infinity .* before the first step"
    ):
        srbench.train(
            f"{path}:Broken", data=images, changes={"val": 2, "patch": 8, "batch": 4, "steps": 2}, progress=False
        )


def test_a_validation_image_that_cannot_be_read_is_said_to_be_one(images: Path) -> None:
    bad = sorted(images.glob("*.png"))[1]
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    recipe = small_recipe(images, "espcn", val=[bad.stem])
    with pytest.raises(InputError, match=rf"{bad.name}: .*; {bad.name} is for validation: val names others"):
        train("espcn", recipe, RunOptions(progress=False, skip_bad=True))


def test_left_out_images_and_float16_on_a_cpu_are_said(images: Path, srbench_home: Path, capfd: Any) -> None:
    (images / "p5.png").unlink(missing_ok=True)
    bad = sorted(images.glob("*.png"))[0]
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    words = ["--data", images, "--set", "val=1", "--set", "patch=8", "--set", "batch=2", "--steps", "1", "--skip-bad"]
    done = CliRunner().invoke(main, ["train", "espcn", *map(str, words), "--set", "precision=fp16"])
    assert done.exit_code == 0, done.output
    assert f"unreadable and left out: {bad.name}" in done.output
    assert "precision = 'fp16' is for GPUs" in done.output


@pytest.mark.parametrize(
    ("option", "change"),
    [("--scale=4", "scale=2"), ("--seed=1", "seed=2"), ("--steps=5", "steps=6"), ("--channels=y", "channels=rgb")],
)
def test_options_and_changes_that_contradict_each_other(option: str, change: str) -> None:
    done = CliRunner().invoke(main, ["train", "espcn", option, "--set", change])
    assert done.exit_code == 1
    key, _, value = change.partition("=")
    given = option.partition("=")[2]
    assert f"Error: --{key} {given} and --set {key}={value} contradict each other; expected one of them" in done.output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": "tiny"}, "unknown size 'tiny' in train"),
        ({"changes": ["lr=1"]}, r"changes = \['lr=1'\]: expected keys of the recipe"),
    ],
)
def test_arguments_of_another_kind(images: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(SrbenchError, match=words):
        srbench.train("espcn", data=images, **given)


def test_a_compiled_program_is_no_network_to_train(images: Path) -> None:
    with pytest.raises(InputError, match="is a compiled program of TorchScript"):
        srbench.train(torch.jit.script(torch.nn.Conv2d(3, 3, 3, padding=1)), scale=1, data=images)


def test_one_tracker_may_be_a_text(images: Path, srbench_home: Path) -> None:
    changes = {"val": 1, "patch": 8, "batch": 2, "steps": 1}
    srbench.train("espcn", data=images, changes=changes, trackers="csv", progress=False)
    assert (srbench_home / "runs" / "espcn_x4.tuned" / "log.csv").is_file()
