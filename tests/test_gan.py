"""Adversarial training: the published losses, what each side may change, health, and runs that resume bit for bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.cli.train import read_changes
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.training.data.sampler import WHOLE, Share
from srbench.training.loop.adversarial import AdversarialStep, Surroundings, make_discriminator
from srbench.training.loop.options import RunOptions
from srbench.training.loop.step import Generator
from srbench.training.loop.trainer import train
from srbench.training.losses.adversarial import Noise, gradient_penalty, make_targets
from srbench.training.losses.collapse import CollapseFacts, CollapseWatch, crop_health
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe
from srbench.training.recipe.tables import Adversarial
from srbench.zoo import find_checkpoint, load_checkpoint
from tests.builders import narrow_vgg, store_parent, write_images

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
UNET = {"adversarial.discriminator": "unet", "adversarial.norm": "spectral"}
KINDS = ["standard", "relativistic", "wgan-clip", "wgan-gp"]
TINY = {"blocks": 1, "features": 8}
SLOW = ["srgan", "srgan-smooth", "srgan-wgan-clip", "esrgan"]
RECIPES = ["srgan-vbn", "esrgan-wgan-gp", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def recipe_of(kind: str, **keys: object) -> Recipe:
    table = {"kind": kind, "discriminator": "convolutional", "norm": "none", "lr": 1e-3, **keys}
    return Recipe.model_validate(
        {"patch": 4, "batch": 2, "loss": {"adversarial": 1.0}, "adversarial": table, "keep": "last", "lr": 1e-3}
    )


def alone(parameters: Iterable[nn.Parameter], values: Tensor) -> Tensor:
    """The exchange of a run in one process."""
    return values


def step_of(recipe: Recipe, share: Share = WHOLE) -> AdversarialStep:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 1)
    return AdversarialStep(
        Generator(network, network, recipe, alone), {}, Surroundings("rgb", CPU, Path("runs/x"), share)
    )


def batch(count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, 3, 16, 16, generator=generator), torch.rand(count, 3, 16, 16, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
def test_both_losses_are_the_published_formulas(kind: str) -> None:
    both = step_of(recipe_of(kind, real_label=0.9))
    sr, hr = batch()
    real, fake = both.discriminator(hr).detach(), both.discriminator(sr).detach()
    smooth = torch.full_like(real, 0.9)
    if kind == "standard":
        wanted = -(smooth * real.sigmoid().log() + 0.1 * (1 - real.sigmoid()).log()).mean()
        wanted, fooled = wanted - (1 - fake.sigmoid()).log().mean(), -fake.sigmoid().log().mean()
    elif kind == "relativistic":
        above, below = real - fake.mean(), fake - real.mean()
        wanted = F.binary_cross_entropy_with_logits(above, smooth) - (1 - below.sigmoid()).log().mean()
        fooled = -below.sigmoid().log().mean() - (1 - above.sigmoid()).log().mean()
    else:
        wanted, fooled = fake.mean() - real.mean(), -fake.mean()
    assert float(both.adversarial_loss(sr, hr).detach()) == pytest.approx(float(fooled), rel=1e-4)
    both.discriminator_step(0, sr, hr)
    found = both.collect()
    penalty = 10 * found["penalty"] if kind == "wgan-gp" else 0.0
    assert found["d_loss"] - penalty == pytest.approx(float(wanted), rel=1e-4, abs=1e-5)
    assert found["d_grad"] > 0


class Slope(nn.Module):
    """A linear critic with a gradient of known norm."""

    reference = None

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3 * 16 * 16,), norm / (3 * 16 * 16) ** 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.weight)[:, None]


@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_the_penalty_measures_the_slope(norm: float) -> None:
    sr, hr = batch()
    assert float(gradient_penalty(Slope(norm), sr, hr, torch.rand(2)).detach()) == pytest.approx(
        (norm - 1) ** 2, abs=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_side_changes_itself_alone_and_learns(kind: str) -> None:
    # Without a norm, weights of 0.01 in eight layers let nothing through.
    own = {"optimiser": "rmsprop", "betas": [0.0, 0.99], "clip": 0.1} if kind == "wgan-clip" else {}
    both = step_of(recipe_of(kind, **own))
    hr = torch.full((2, 3, 16, 16), 0.8)
    sr = nn.Parameter(torch.full((2, 3, 16, 16), 0.2) + 0.1 * torch.rand(2, 3, 16, 16))
    for step in range(8):
        both.discriminator_step(step, sr, hr)
    assert sr.grad is None
    found = [both.judge(x).mean() for x in (hr, sr.detach())]
    assert found[0] > found[1]
    before = [p.detach().clone() for p in both.discriminator.parameters()]
    start = both.adversarial_loss(sr, hr)
    for _ in range(2):
        (slope,) = torch.autograd.grad(both.adversarial_loss(sr, hr), sr)
        with torch.no_grad():
            sr -= 0.1 * slope / slope.norm()
    assert both.adversarial_loss(sr, hr) < start
    assert all(torch.equal(a, b) for a, b in zip(before, both.discriminator.parameters(), strict=True))
    assert all(p.requires_grad for p in both.discriminator.parameters())


def test_clipping_bounds_convolutions_and_dense_layers_but_no_gain() -> None:
    both = step_of(recipe_of("wgan-clip", norm="batch", discriminator="dense", clip=0.02))
    sr, hr = batch()
    both.discriminator_step(0, sr, hr)
    for layer in both.discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.abs().max() <= 0.02
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.min() > 0.9


def test_noise_is_a_function_of_seed_and_step_and_shared_by_rank() -> None:
    recipe = recipe_of("standard", label_noise=0.2, real_label=0.9)
    keys = recipe.discriminator
    assert keys
    whole = make_targets(keys, 5, torch.zeros(4, 1), Noise(recipe.seed))[0]
    assert 0.7 <= float(whole.min()) < float(whole.max()) <= 1.0
    parts = [make_targets(keys, 5, torch.zeros(2, 1), Noise(recipe.seed, rank, 2))[0] for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(make_targets(keys, 6, torch.zeros(4, 1), Noise(recipe.seed))[0], whole)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"patch": 5},
            r"patch = 5 at x4: the discriminator 'dense' .* multiple of 16, all of one size, not 20; .*'conv",
        ),
        (
            {"patch": 4, "grow": (8,)},
            r"grow = \[8\] at x4: the discriminator 'dense' .* all of one size, not 16 and 32",
        ),
        ({"patch": 3, "adversarial.discriminator": "convolutional"}, "takes HR crops of 16 pixels or more, not 12"),
        ({"patch": 5, "adversarial.discriminator": "patch"}, "takes HR crops of 24 pixels or more, not 20"),
        ({"patch": 5, **UNET}, "takes HR crops of a side that is a multiple of 8, not 20"),
    ],
)
def test_a_patch_that_the_discriminator_cannot_take(changes: dict[str, object], message: str) -> None:
    recipe = load_recipe("srgan", "srgan", changes)
    with pytest.raises(InputError, match=message):
        make_discriminator(recipe, "rgb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("adversarial.kind=wgan", r"adversarial\.kind = 'wgan': .*'wgan-gp'"),
        ("adversarial.labl=1", r"unknown recipe key 'labl' in adversarial of .*srgan\.toml"),
        ("adversarial.n_critics=2", r"unknown recipe key 'n_critics' .*Did you mean 'n_critic'"),
        ("adversarial.kind=wgan-gp", "norm must be 'none' or 'virtual'"),
        ("adversarial.fake_label=1.0", "must be above fake_label"),
        ("keep=best", "keep = 'last'"),
        ("adversarial.discriminator=unnet", r"there is no discriminator 'unnet'; .*did you mean 'unet'"),
        ("adversarial.norm=spectral", "'dense' takes norm = 'batch' or 'none' or 'virtual', not 'spectral'"),
        ("adversarial={kind='wgan-clip',discriminator='patch',norm='spectral'}", "spectral norm computes the weights"),
        ("perceptual.layr=conv1_1", r"unknown recipe key 'layr' in perceptual.*Did you mean 'layer'"),
    ],
)
def test_a_wrong_value_of_a_table_is_named(change: str, message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        load_recipe("srgan", "srgan", read_changes([change]))


def test_collapse_is_named_once_and_survives_a_pause() -> None:
    fine = {"d_real": 0.7, "d_fake": 0.4, "contrast": 0.9, "lr_psnr": 40.0, "g_grad": 0.1}
    watch = CollapseWatch(Adversarial())
    assert watch.look(1, fine) == ""
    won = {**fine, "d_real": 0.9999, "d_fake": 0.0001}
    assert [bool(watch.look(step, won)) for step in range(2, 6)] == [False] * 4
    watch = CollapseWatch(Adversarial(), CollapseFacts.model_validate_json(watch.facts.model_dump_json()))
    assert watch.look(6, won).startswith("the discriminator has won: it tells HR (1.000) from SR (0.000)")
    assert watch.look(7, won)
    assert [step for step, _ in watch.facts.events] == [6]
    assert "one colour" in watch.look(8, {**fine, "contrast": 0.001})
    assert "no gradient" in watch.look(9, {**fine, "g_grad": 0.0})
    dark = [watch.look(9, {**fine, "lr_psnr": 25.0}) for _ in range(5)]
    assert dark[:3] == ["", "", ""]
    assert "fell from 40.0 to 28.0 dB" in dark[3]
    assert len(watch.facts.events) == 4
    critic = CollapseWatch(Adversarial(kind="wgan-clip", norm="batch"))
    reasons = [critic.look(step, {**fine, "wasserstein": -0.1}) for step in range(5)]
    assert "rates SR above HR" in reasons[-1]
    smooth = CollapseWatch(Adversarial(real_label=0.9, fake_label=0.1))
    sure = {**fine, "d_real": 0.9, "d_fake": 0.1}
    assert "has won" in [smooth.look(step, sure) for step in range(5)][-1]


def test_a_critic_whose_scores_rounding_makes_equal_is_named() -> None:
    scores = {
        "d_real": 2862.0,
        "d_fake": 2869.0,
        "contrast": 1.0,
        "lr_psnr": 40.0,
    }  # of a run with bfloat16, whose step is 16 there
    critic = Adversarial(kind="wgan-clip", norm="none")
    watch = CollapseWatch(critic, precision="bf16")
    reasons = [watch.look(step, {**scores, "wasserstein": 7.0}) for step in range(5)]
    assert reasons[:4] == [""] * 4
    assert reasons[4].startswith(
        "the critic is blind: in 5 log lines in a row its scores, 2862 of HR, lay 7 apart, and bf16"
    )
    for precision, gap in (("fp32", 7.0), ("bf16", 40.0)):
        fine = CollapseWatch(critic, precision=precision)
        assert not any(fine.look(step, {**scores, "wasserstein": gap}) for step in range(9))


def test_consistency_knows_a_good_and_a_flat_image() -> None:
    from srbench.images import imresize

    hr = imresize(torch.rand(2, 3, 8, 8), 4.0).clamp(0, 1)
    lr = imresize(hr, 0.25)
    good, flat = crop_health(hr, lr, hr, 4), crop_health(torch.full_like(hr, 0.5), lr, hr, 4)
    assert good["lr_psnr"] > 60 > 30 > flat["lr_psnr"]
    assert (good["contrast"], flat["contrast"]) == (pytest.approx(1.0), 0.0)
    assert crop_health(hr, imresize(lr, 4.0), hr, 4)["lr_psnr"] > 60


# Whole runs


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discriminators of the published depth and a fraction of the width, which is all that a test needs."""
    strides = [1, 2] * 4
    widths = tuple((512 if number == 7 else 8, stride) for number, stride in enumerate(strides))
    monkeypatch.setattr("srbench.models.discriminators.srgan._WIDTHS", widths)


@pytest.fixture
def playground(srbench_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Images, parents, and a narrow VGG."""
    monkeypatch.setattr("srbench.training.losses.perceptual.load_backbone", narrow_vgg(tmp_path))
    store_parent("srresnet_s", skip="bicubic", **TINY)
    store_parent("rrdb_s", skip="bicubic", **TINY)
    return write_images(tmp_path / "images")


def small(name: str, data: Path, **changes: object) -> tuple[str, Recipe]:
    model = "esrgan_s" if name.startswith("esrgan") else "srgan_s"
    changes = {
        "data": str(data),
        "val": 2,
        "patch": 4,
        "batch": 4,
        "steps": 7,
        "val_every": 4,
        "log_every": 1,
        "precision": "fp32",
        **{f"options.{key}": value for key, value in TINY.items()},
        **changes,
    }
    return model, load_recipe(name, model, changes)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_stopped_in_the_middle_ends_in_the_same_bits(name: str, playground: Path, srbench_home: Path) -> None:
    model, recipe = small(name, playground)
    whole = train(model, recipe, RunOptions(name="whole", progress=False))

    def stop(self: object, step: int, facts: dict[str, object]) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench.training.loop.watch.Watch.log", stop)
        with pytest.raises(SrbenchError, match="stopped at step 5 of 7"):
            train(model, recipe, RunOptions(name="parts", progress=False))
    parts = train(model, recipe, RunOptions(name="parts", progress=False, resume=True))
    states = [load_checkpoint(card.name).state_dict() for card in (whole, parts)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    lines = [json.loads(line) for line in (srbench_home / "runs" / whole.name / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "samples_per_s" in line]
    assert len(steps) == 7
    health = {"d_loss", "d_real", "d_fake", "d_grad", "g_grad", "lr_psnr", *recipe.loss}
    health |= {"wasserstein"} if "wgan" in name else set()
    first = recipe.discriminator.n_critic if recipe.discriminator else 1  # before it the generator has not learned
    assert all(health <= set(line) for line in steps[first - 1 :])
    card = find_checkpoint(whole.name)
    assert card.init_from == recipe.init_from
    assert card.init_sha256 == find_checkpoint(recipe.init_from).sha256
    assert "perceptual: vgg19" in whole.notes
    assert whole.curve[-1]["val_lr_psnr"] > 0


def test_the_generator_waits_for_the_critic_and_the_last_weights_are_kept(playground: Path) -> None:
    stored = load_checkpoint("srresnet_s_x4.tuned").state_dict()
    parent = {
        key: value.half().float() for key, value in stored.items()
    }  # as a checkpoint of half precision holds them
    model, recipe = small("srgan-wgan-clip", playground, steps=4, ema=0.0)
    assert recipe.discriminator
    assert recipe.discriminator.n_critic == 5
    weights = load_checkpoint(train(model, recipe, RunOptions(progress=False)).name).state_dict()
    trained = [key for key in weights if "running" not in key and "tracked" not in key]
    assert all(torch.equal(weights[key].half().float(), parent[key]) for key in trained)
    model, recipe = small("srgan-wgan-clip", playground, steps=5, ema=0.0)
    weights = load_checkpoint(train(model, recipe, RunOptions(name="five", progress=False)).name).state_dict()
    assert not all(torch.equal(weights[key].half().float(), parent[key]) for key in trained)


def test_a_discriminator_that_breaks_stops_the_run_with_its_term(playground: Path) -> None:
    model, recipe = small("srgan", playground, **{"adversarial.optimiser": "sgd", "adversarial.lr": 1e30})
    with pytest.raises(
        SrbenchError, match=r"is (nan|inf|-inf) in step \d+ \(batch of seed 0, step \d+\); the last good"
    ):
        train(model, recipe, RunOptions(progress=False))
