"""The contract that every registered model keeps; no model is named here except for facts of its own paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import imresize
from srbench.models import MODELS, Model, create_model, get_model, list_models
from srbench.models._shapes import Shapes
from srbench.models._skip import BicubicUpsample

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = [pytest.param(model, scale, id=f"{model.name}-x{scale}") for model in MODELS for scale in model.scales]
NETWORKS = [  # a pre-upsampled network is the same at every scale
    case
    for case in CASES
    for model, scale in [case.values]
    if not (model.interpolator or (model.pre_upsampled and scale != model.scales[0]))
]
FURTHER = [pytest.param(model, scale, id=f"{model.name}-x{scale}") for model in MODELS for scale in model.further]
BOUNDED = [case for case in NETWORKS if case.values[0].receptive_radius is not None]
WITHOUT_SKIP = [case for case in NETWORKS if not case.values[0].has_skip]
INTERPOLATORS = [case for case in CASES if case.values[0].interpolator]


def small(model: Model) -> dict[str, int]:
    """Options that keep the architecture and shrink its depth and width."""
    return {key: value for key, value in {"blocks": 2, "features": 16, "growth": 8}.items() if key in model.options}


def planes(model: Model) -> int:
    return 1 if model.channels == "y" else 3


def image(model: Model, scale: int, height: int = 4, width: int = 7) -> Tensor:
    multiple = model.multiple_at(scale)
    height, width = max(height, model.minimum), max(width, model.minimum)
    size = (math.ceil(height / multiple) * multiple, math.ceil(width / multiple) * multiple)
    return torch.rand(2, planes(model), *size, generator=torch.Generator().manual_seed(0))


def build(model: Model, scale: int, seed: int = 0, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    return create_model(model.name, scale, **(small(model) | options))


@pytest.mark.parametrize(("model", "scale"), CASES)
def test_has_exactly_the_parameters_it_declares(model: Model, scale: int) -> None:
    with torch.device("meta"):
        network = create_model(model.name, scale)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == model.parameters[scale]


@pytest.mark.parametrize("model", list(MODELS), ids=lambda m: m.name)
def test_describes_itself(model: Model) -> None:
    assert model.paper.title
    assert 1970 < model.paper.year < 2100
    assert model.paper.url.startswith("https://")
    assert set(model.parameters) == set(model.scales)
    assert model.receptive_radius is None or model.receptive_radius >= 0
    assert model.minimum >= 1
    assert list_models(model.name) == [model.name]


@pytest.mark.parametrize(("model", "scale"), [*NETWORKS, *FURTHER, *INTERPOLATORS])
@pytest.mark.parametrize("size", [(3, 9), (8, 2)])
def test_output_is_scale_times_the_input_and_finite(model: Model, scale: int, size: tuple[int, int]) -> None:
    x = image(model, scale, *size)
    with torch.no_grad():
        y = build(model, scale).eval()(x)
    factor = 1 if model.pre_upsampled else scale
    assert y.shape == (*x.shape[:2], x.shape[2] * factor, x.shape[3] * factor)
    assert torch.isfinite(y).all()


@pytest.mark.parametrize(("model", "scale"), NETWORKS)
def test_gradient_reaches_every_parameter(model: Model, scale: int) -> None:
    network = build(model, scale)
    for each in model.scales if model.multi_scale else (scale,):
        if model.multi_scale:
            network.set_scale(each)
        y = network(image(model, each))
        (y - torch.linspace(0, 1, y.numel()).view_as(y)).square().mean().backward()
    starved = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert starved == []


@pytest.mark.parametrize(("model", "scale"), NETWORKS)
def test_seed_decides_the_start(model: Model, scale: int) -> None:
    first, same, other = (build(model, scale, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(("model", "scale"), NETWORKS)
def test_state_dict_carries_everything(model: Model, scale: int) -> None:
    trained, empty = build(model, scale, 1), build(model, scale, 2)
    x = image(model, scale)
    trained.train()(x)  # moves the statistics of batch norms
    empty.load_state_dict(trained.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(trained.eval()(x), empty.eval()(x))


VARIANTS: dict[str, object] = {
    "kernels": "9-1-5",
    "bias": True,
    "fold": False,
    "m": 2,
    "kernel": 11,
    "tail": 12,
    "shared": True,
}
VARIANTS |= {
    "tails": "x2x3x4",
    "upsampler": "upsampling",
    "tail_activation": "lrelu",
    "width": 24,
    "activation": "relu",
}


@pytest.mark.parametrize(("model", "scale"), [*CASES, *FURTHER])
@pytest.mark.parametrize("varied", [False, True], ids=["small", "varied"])
def test_is_found_from_the_shapes_of_its_weights(model: Model, scale: int, varied: bool) -> None:
    """What ``infer`` reads off a state dict builds a network with exactly its keys and shapes; other models' say no or other."""
    if model.interpolator:
        return
    options = small(model) | ({k: v for k, v in VARIANTS.items() if k in model.options} if varied else {})
    with torch.device("meta"):
        state = create_model(model.name, scale, **options).state_dict()
    assert model.infer is not None
    found = model.infer(Shapes({key: tuple(value.shape) for key, value in state.items()}))
    assert found is not None
    assert scale in found.scales or (scale in model.further and len(found.scales) > 1)  # then the user says it
    with torch.device("meta"):
        again = create_model(model.name, scale, channels=found.channels, **found.options_at(scale)).state_dict()
    assert {key: value.shape for key, value in again.items()} == {key: value.shape for key, value in state.items()}


@pytest.mark.parametrize(("model", "scale"), NETWORKS)
def test_works_on_the_other_channels(model: Model, scale: int) -> None:
    other = "rgb" if model.channels == "y" else "y"
    x = image(model, scale)[:, :1].repeat(1, 3 if other == "rgb" else 1, 1, 1)
    y = build(model, scale, channels=other)(x)
    assert y.shape[1] == x.shape[1]
    with pytest.raises(InputError, match="'bgr'"):
        build(model, scale, channels="bgr")


@pytest.mark.parametrize(("model", "scale"), [*BOUNDED, *(c for c in FURTHER if c.values[0].receptive_radius)])
def test_receptive_radius_is_an_upper_bound_and_a_close_one(model: Model, scale: int) -> None:
    """NaN in one column of the input marks every output column that reads it, whatever the weights."""
    network = build(model, scale).eval()
    radius = getattr(network, "receptive_radius", model.receptive_radius)
    width = 2 * radius + 16 + radius % 2 * 2
    x = torch.rand(1, planes(model), 2, width)
    centre = width // 2
    x[..., centre] = math.nan
    with torch.no_grad():
        seen = torch.isnan(network(x)).any(1)[0].any(0).nonzero().flatten()
    factor = 1 if model.pre_upsampled else scale
    reach = max(centre - int(seen.min()) // factor, int(seen.max()) // factor - centre)
    assert radius - 6 <= reach <= radius


@pytest.mark.parametrize(("model", "scale"), [case for case in NETWORKS if case not in BOUNDED])
def test_without_a_radius_a_tile_is_another_image(model: Model, scale: int) -> None:
    x = image(model, scale, 40, 40)
    network = build(model, scale).eval()
    with torch.no_grad():
        difference = network(x)[..., :16, :16] - network(x[..., :32, :32])[..., :16, :16]
    assert difference.abs().max() > 0


@pytest.mark.parametrize(
    "model", [m for m in MODELS if not m.interpolator and m.receptive_radius], ids=lambda m: m.name
)
def test_declared_radius_holds_for_the_default_options(model: Model) -> None:
    with torch.device("meta"):
        radii = [getattr(create_model(model.name, s), "receptive_radius", model.receptive_radius) for s in model.scales]
    assert max(radii) == model.receptive_radius


@pytest.mark.parametrize(("model", "scale"), INTERPOLATORS)
def test_interpolators_resize_any_number_of_channels_within_their_radius(model: Model, scale: int) -> None:
    network = create_model(model.name, scale)
    x = torch.rand(1, 5, 16, 16, dtype=torch.float64)
    y = network(x)
    assert torch.equal(y, imresize(x, float(scale), method=model.name))
    x[..., 8, 8] += 1.0
    rows = (network(x) - y).abs().sum((0, 1, 3)).nonzero().flatten() // scale
    assert (rows - 8).abs().max() <= model.receptive_radius


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 1), (17, 40), (8, 16)])
def test_skip_enlarges_as_imresize_does(scale: int, size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    expected = imresize(x, float(scale))
    enlarge = BicubicUpsample(scale)
    assert torch.equal(enlarge(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(enlarge.by_windows(x), expected, atol=1e-6, rtol=0)
    assert enlarge(x.half()).dtype == torch.float32
    assert enlarge(x.double()).dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_skip_on_a_gpu_is_exact() -> None:
    x = torch.rand(1, 3, 45, 70)
    found = BicubicUpsample(4).cuda()(x.cuda()).cpu()
    torch.testing.assert_close(found, imresize(x, 4.0), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("model", "scale"), WITHOUT_SKIP)
@pytest.mark.parametrize("autocast", [False, True])
def test_skip_adds_the_enlarged_image_untouched(model: Model, scale: int, autocast: bool) -> None:
    """With its last layer at zero a network with a skip is the interpolator, also under bf16."""
    network = build(model, scale, skip="bicubic").eval()
    last = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
    assert last.weight.std() < 0.0011
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    x = image(model, scale)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = network(x)
    expected = x if model.pre_upsampled else imresize(x, float(scale))
    torch.testing.assert_close(y, expected, atol=1e-6, rtol=0)
    assert all(key.startswith("network.") for key in network.state_dict())


@pytest.mark.parametrize(("model", "scale"), [case for case in NETWORKS if case.values[0].has_skip])
def test_published_skip_needs_no_second_one(model: Model, scale: int) -> None:
    with pytest.raises(InputError, match="leave out"):
        create_model(model.name, scale, skip="bicubic")
    with pytest.raises(InputError, match="'bilinear'"):
        create_model(model.name, scale, skip="bilinear")


def test_bad_requests_name_the_value_and_what_is_allowed() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'fsrcnn'"):
        get_model("fsrcn")
    with pytest.raises(UnavailableError, match="x5; it has x2, x3, x4, x8") as caught:
        create_model("espcn", 5)
    assert caught.value.status == "unsupported_scale"
    with pytest.raises(InputError, match="no option 'width'"):
        create_model("espcn", 4, width=3)


def test_a_network_with_a_skip_is_exported_unchanged() -> None:
    network = create_model("espcn", 3, skip="bicubic").eval()
    x = torch.rand(1, 1, 9, 14)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x), atol=1e-6, rtol=0)
