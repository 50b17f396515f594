"""Exact rewrites: the same outputs and, where training may use them, the same gradients, for every registered network."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, create_model
from srbench.models._fast_layers import ReplicatedConvolution, ShuffledTransposedConvolution, SlopedMaximum
from srbench.models._folding import FoldedTail, fold_batch_norm
from srbench.models._fused import can_fuse, fuse
from srbench.models.fsrcnn import ReplicatedTransposedConvolution
from srbench.zoo import load_checkpoint, save_checkpoint
from tests.builders import make_card

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = [
    pytest.param(model, scale, id=f"{model.name}-x{scale}")
    for model in MODELS
    for scale in model.scales
    if not (model.interpolator or (model.pre_upsampled and scale != model.scales[0]))
]
UNCHANGED = {
    "carn",
    "carn_m",
    "imdn",
    "pan",
    "rfdn",
    "rlfn",
    "rlfn_s",
    "espcn",
    "esrgan",
    "esrgan_s",
    "rrdb",
    "rrdb_s",
    "vdsr",
}


def shaken(model: Model, scale: int, **options: object) -> nn.Module:
    """A shallow network whose every weight matters: no zero bias, no neutral batch norm, no last layer near zero."""
    torch.manual_seed(scale)
    small = {key: value for key, value in {"blocks": 2, "features": 8, "growth": 4}.items() if key in model.options}
    network = create_model(model.name, scale, **(small | options)).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
            elif isinstance(module, nn.PReLU):
                module.weight.uniform_(-0.5, 1.0)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                fan = module.weight[0].numel() if isinstance(module, nn.Conv2d) else module.weight[:, 0, 0, 0].numel()
                module.weight.normal_(0, 0.7 / math.sqrt(fan))
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
    return network


def image(model: Model, scale: int, height: int, width: int) -> Tensor:
    multiple = model.multiple_at(scale)
    height, width = max(height, model.minimum), max(width, model.minimum)
    size = (math.ceil(height / multiple) * multiple, math.ceil(width / multiple) * multiple)
    planes = 1 if model.channels == "y" else 3
    return torch.rand(2, planes, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("model", "scale"), NETWORKS)
@pytest.mark.parametrize("size", [(11, 14), (5, 3), (1, 2)], ids=str)
def test_gives_the_same_image(model: Model, scale: int, size: tuple[int, int]) -> None:
    network = shaken(model, scale)
    x = image(model, scale, *size)
    with torch.no_grad():
        expected, got = network(x), fuse(network)(x)
    assert expected.std() > 0.003, "a flat output would prove little"
    assert float((got - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("model", list(MODELS), ids=lambda m: m.name)
def test_says_whether_there_is_a_rewrite(model: Model) -> None:
    small = {key: value for key, value in {"blocks": 1, "features": 8}.items() if key in model.options}
    network = create_model(model.name, 4, **small)
    assert can_fuse(network) == (model.name not in UNCHANGED and not model.interpolator)
    changed = [type(m) for m in fuse(network).modules()] != [type(m) for m in network.modules()]
    assert changed == can_fuse(network)


def test_leaves_the_network_as_it_was_and_works_inside_a_skip() -> None:
    network = create_model("edsr_baseline", 4, blocks=1, skip="bicubic").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    made = fuse(network)
    assert any(isinstance(module, FoldedTail) for module in made.modules())
    assert network.training
    assert not made.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    x = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        assert torch.allclose(network.eval()(x), made(x), atol=1e-5)


def test_multi_scale_network_keeps_all_its_scales() -> None:
    network = create_model("mdsr_baseline", 2, blocks=1)
    made = fuse(network)
    x = torch.rand(1, 3, 8, 8)
    for scale in (2, 3, 4):
        network.set_scale(scale)  # type: ignore[operator]
        made.set_scale(scale)  # type: ignore[operator]
        with torch.no_grad():
            assert torch.allclose(network.eval()(x), made(x), atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "channels_last"])
def test_bfloat16_stays_close_in_both_layouts(layout: torch.memory_format) -> None:
    network = shaken(MODELS.get("fsrcnn"), 4)
    made = fuse(network).to(memory_format=layout)
    x = torch.rand(1, 1, 12, 10)
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = made(x)
    assert got.dtype == torch.bfloat16
    assert float((got.float() - expected).abs().max()) < 0.03 * float(expected.abs().max())


def test_prelu_with_a_slope_above_one_is_left_alone() -> None:
    steep = nn.Sequential(nn.PReLU(2))
    with torch.no_grad():
        steep[0].weight[:] = torch.tensor([0.5, 1.5])
    assert not can_fuse(steep)
    x = torch.randn(1, 2, 4, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    gentle = SlopedMaximum(nn.PReLU(2)).bfloat16()
    assert torch.equal(gentle(x), F.prelu(x, gentle.weight))


@settings(max_examples=40, deadline=None)
@given(
    scale=st.integers(2, 4), height=st.integers(1, 9), width=st.integers(1, 9), inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
)  # fmt: skip
def test_transposed_convolution_is_a_convolution_of_any_size(
    scale: int, height: int, width: int, inputs: int, outputs: int
) -> None:
    """Outputs and both gradients: in float64 nothing but rounding may differ."""
    torch.manual_seed(height * 10 + width)
    deconv = ReplicatedTransposedConvolution(inputs, outputs, scale).double()
    x = torch.randn(2, inputs, height, width, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(2, outputs, height * scale, width * scale, dtype=torch.float64)
    assert deconv.bias is not None
    found = []
    for layer in (deconv, ShuffledTransposedConvolution(deconv)):
        y = layer(x)
        found.append([y, *torch.autograd.grad((y - wanted).pow(2).sum(), [x, deconv.weight, deconv.bias])])
    for expected, got in zip(*found, strict=True):
        assert torch.allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_batch_norm_folds_where_a_channel_hardly_varies() -> None:
    conv, norm = nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3).eval()
    assert norm.running_var is not None
    norm.running_var.copy_(torch.tensor([0.0, 1e-6, 1.0]))
    x = torch.randn(1, 2, 5, 5)
    expected = norm(conv(x))
    assert torch.allclose(fold_batch_norm(conv, norm)(x), expected, rtol=1e-4)


def test_replicated_convolution_pads_itself() -> None:
    plain = nn.Conv2d(2, 3, 5, padding=2, padding_mode="replicate")
    x = torch.randn(1, 2, 4, 6)
    expected = plain(x)
    assert torch.allclose(ReplicatedConvolution(plain)(x), expected, atol=1e-6)


def test_checkpoint_is_loaded_in_its_fused_form(srbench_home: object) -> None:
    network = shaken(MODELS.get("fsrcnn_s"), 3)
    card = make_card("fsrcnn_s", "test", 3, parameters=4_086)
    save_checkpoint(network.state_dict(), card)
    x = torch.rand(1, 1, 8, 8)
    made = load_checkpoint(card.name, fused=True)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in made.modules())
    with torch.no_grad():
        assert torch.allclose(made(x), network(x), atol=1e-5)
        assert torch.equal(load_checkpoint(card.name)(x), network(x))
