"""Loss terms that look through another network, growing crops, budgets and parents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import imresize
from srbench.models import create_model, get_model
from srbench.training.data.images import TrainingImages
from srbench.training.data.stages import Stages
from srbench.training.loop.budget import parse_budget
from srbench.training.loop.start import Build, start_from
from srbench.training.losses.perceptual import PerceptualLoss, layers_of, with_backbone
from srbench.training.losses.pixel import Losses
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe
from srbench.training.recipe.tables import Perceptual
from srbench.zoo import find_checkpoint
from tests.builders import narrow_vgg, store_parent


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "weights_root" not in request.fixturenames:
        monkeypatch.setattr("srbench.training.losses.perceptual.load_backbone", narrow_vgg(tmp_path))


def test_layers_have_the_names_of_the_paper() -> None:
    with torch.device("meta"):
        from torchvision.models import vgg16, vgg19

        sixteen, nineteen = layers_of(vgg16().features), layers_of(vgg19().features)
    assert (len(sixteen), len(nineteen)) == (13, 16)
    assert (sixteen["conv5_3"], nineteen["conv5_4"], nineteen["conv2_2"]) == (28, 34, 7)


@pytest.mark.parametrize("distance", ["l1", "mse"])
@pytest.mark.parametrize("activation", ["before", "after"])
def test_the_term_is_the_distance_of_normalised_features(activation: str, distance: str) -> None:
    sr, hr = torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 3, 16, 16, requires_grad=True)
    settings = Perceptual.model_validate(
        {"backbone": "vgg16", "layer": "conv2_2", "activation": activation, "distance": distance}
    )
    term = PerceptualLoss(settings)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    layers = list(term.features)
    assert isinstance(layers[-1], nn.Conv2d if activation == "before" else nn.ReLU)
    seen = [(x.detach() - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1) for x in (sr, hr)]
    for layer in layers:
        seen = [layer(x) for x in seen]
    gap = seen[0] - seen[1]
    expected = gap.abs().mean() if distance == "l1" else gap.square().mean()
    found = term(sr, hr)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    found.backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0
    assert hr.grad is None
    assert all(p.grad is None for p in term.parameters())
    assert float(term(hr, hr).detach()) == 0
    assert "conv2_2" in term.source
    assert "sha256" in term.source


def test_luma_is_seen_as_gray_and_half_precision_is_close() -> None:
    settings = Perceptual(backbone="vgg16", layer="conv3_1")
    sr, hr = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    whole = PerceptualLoss(settings)(sr, hr)
    assert float(whole) == pytest.approx(
        float(PerceptualLoss(settings)(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1)))
    )
    assert float(PerceptualLoss(settings, "bf16")(sr, hr)) == pytest.approx(float(whole), rel=0.05)


def test_bad_layers_patches_and_terms_are_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown layer 'conv5_4' in perceptual, vgg16.*Did you mean 'conv5"):
        PerceptualLoss(Perceptual(backbone="vgg16", layer="conv5_4"))
    term = PerceptualLoss(Perceptual(backbone="vgg16", layer="conv5_3"))
    with pytest.raises(InputError, match="8 HR pixels is too small for the perceptual layer; expected at least 16"):
        term(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    with pytest.raises(UnknownNameError, match=r"'perceptul'.*Did you mean 'perceptual'"):
        Losses({"perceptul": 1.0})
    with pytest.raises(InputError, match="'adversarial' needs a network"):
        Losses({"adversarial": 1.0})


def test_vgg16_takes_the_place_of_vgg19_and_the_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("srgan", "srgan")
    assert recipe.perceptual
    assert with_backbone(recipe) is recipe

    def missing(name: str) -> None:
        raise UnavailableError("unavailable", "no network")

    monkeypatch.setattr("srbench.training.losses.perceptual.load_backbone", missing)
    other = with_backbone(recipe)
    assert other.perceptual
    assert (other.name, other.perceptual.backbone, other.perceptual.layer) == ("srgan-vgg16", "vgg16", "conv5_3")
    assert with_backbone(other) is other
    pixels = load_recipe("tuned", "fsrcnn")
    assert with_backbone(pixels) is pixels


@pytest.mark.data
def test_real_features_tell_a_blurred_image(weights_root: Path) -> None:
    term = PerceptualLoss(Perceptual(backbone="vgg16", layer="conv5_3"))
    hr = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    near, far = hr + 0.01, nn.functional.avg_pool2d(hr, 5, 1, 2)
    assert 0 < float(term(near, hr)) < float(term(far, hr))
    assert "vgg16_features.safetensors (sha256 515071ad" in term.source


def test_consistency_holds_what_lr_shows_and_leaves_detail_free() -> None:
    hr = torch.full((1, 3, 32, 32), 0.5)
    detail = 0.1 * (torch.arange(32) % 2 * 2 - 1.0) * torch.ones(32, 1)
    losses = Losses({"consistency": 2.0}, scale=4)
    assert float(losses(hr + detail, hr)[0]) < 0.02  # what is left comes from the mirrored edges
    sr = torch.rand(1, 3, 32, 32)
    assert float(losses(sr, hr)[1][0]) == pytest.approx(float(imresize(sr - hr, 0.25).abs().mean()), rel=1e-5)
    total, terms = losses(hr + 0.1, hr)
    assert (float(total), float(terms[0])) == (pytest.approx(0.2, rel=1e-4), pytest.approx(0.1, rel=1e-4))


def test_crops_grow_by_stage_and_small_images_leave() -> None:
    sizes = [64, 96, 160]
    images = TrainingImages(
        hr=[torch.zeros(s, s, 3, dtype=torch.uint8).numpy() for s in sizes],
        lr=[torch.zeros(s // 4, s // 4, 3, dtype=torch.uint8).numpy() for s in sizes],
        scale=4,
        margin=0,
    )
    recipe = Recipe(patch=16, grow=(24,), steps=5, batch=1)
    assert recipe.stages() == [(0, 2, 16), (2, 5, 24)]
    stages = Stages(images, recipe, "rgb")
    device = torch.device("cpu")
    assert [hr.shape[-1] for _, hr in stages.batches(0, device)] == [64, 64, 96, 96, 96]
    assert [lr.shape[-1] for lr, _ in stages.batches(3, device)] == [24, 24]
    with pytest.raises(InputError, match="none of the 3 training images and copies holds a crop of 200×200"):
        Stages(images, Recipe(patch=16, grow=(50,), batch=1), "rgb")
    with pytest.raises(InputError, match="fewer than a batch of 3"):
        Stages(images, Recipe(patch=16, grow=(24,), batch=3), "rgb")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400)])
def test_budgets_are_times(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["20", "m", "-3m", "0m", "2 days"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="such as 20m"):
        parse_budget(text)


def test_a_parent_gives_its_weights(srbench_home: Path) -> None:
    store_parent("srresnet_s", skip="bicubic")
    child = create_model("srgan_s", 4, channels="rgb", skip="bicubic")
    before = child.state_dict()["network.head.0.weight"].clone()
    card = start_from("srresnet_s_x4.tuned", child, Build(get_model("srgan_s"), 4, "rgb", {"skip": "bicubic"}))
    assert card == find_checkpoint("srresnet_s_x4.tuned")
    assert not torch.equal(before, child.state_dict()["network.head.0.weight"])


@pytest.mark.parametrize(
    ("model", "scale", "channels", "options", "message"),
    [
        ("srgan_s", 2, "rgb", {"skip": "bicubic"}, "has scale = x4, this run has x2"),
        ("srgan_s", 4, "y", {"skip": "bicubic"}, "has channels = rgb, this run has y"),
        ("srgan_s", 4, "rgb", {}, "has skip = bicubic, this run has none"),
        ("srgan", 4, "rgb", {"skip": "bicubic"}, "has features = 32, this run has 64"),
        ("srgan_s", 4, "rgb", {"skip": "bicubic", "upsampler": "upsampling"}, "has upsampler = pixelshuffle"),
        ("fsrcnn", 4, "rgb", {"skip": "bicubic"}, "is a srresnet_s, whose weights do not fit fsrcnn"),
        ("fsrcnn", 2, "rgb", {"skip": "bicubic"}, "was trained for x4, this run is x2"),
    ],
)
def test_another_parent_is_refused(
    model: str, scale: int, channels: str, options: dict[str, str], message: str, srbench_home: Path
) -> None:
    store_parent("srresnet_s", skip="bicubic")
    build = Build(get_model(model), scale, channels, options)  # type: ignore[arg-type]
    network = build.network()
    with pytest.raises(InputError, match=rf"init_from = 'srresnet_s_x4\.tuned' .*{message}"):
        start_from("srresnet_s_x4.tuned", network, build)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'srresnet_s_x4\.tuned'"):
        start_from("srresnet_x4.comon", network, build)
