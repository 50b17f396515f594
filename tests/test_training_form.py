"""The form that a CPU trains: the network's own parameters, its function and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, create_model
from srbench.models._training_form import (
    QuickPReLU,
    QuickReplicatedConvolution,
    ReplicatedEdges,
    SlopedGradient,
    training_form,
)
from srbench.models.fsrcnn import ReplicatedTransposedConvolution

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = [pytest.param(model, id=model.name) for model in MODELS if not model.interpolator and not model.multi_scale]


def is_slow(module: nn.Module) -> bool:
    """Whether it is one of the layers that have a quicker form."""
    replicated = isinstance(module, nn.Conv2d) and module.padding_mode == "replicate" and module.kernel_size != (1, 1)
    return isinstance(module, nn.PReLU | ReplicatedTransposedConvolution) or replicated


def small(model: Model) -> nn.Module:
    torch.manual_seed(0)
    options = {key: value for key, value in {"blocks": 2, "features": 8, "growth": 4}.items() if key in model.options}
    network = create_model(model.name, 4, **options).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return network


@pytest.mark.parametrize("model", NETWORKS)
def test_parameters_function_and_gradients_are_the_networks(model: Model) -> None:
    network = small(model)
    form = training_form(network)
    assert (form is not network) == any(map(is_slow, network.modules()))
    assert not any(map(is_slow, form.modules()))
    assert dict(form.named_parameters()).keys() == dict(network.named_parameters()).keys()
    assert all(a is b for a, b in zip(form.parameters(), network.parameters(), strict=True))
    assert form.state_dict().keys() == network.state_dict().keys()
    x = torch.rand(2, 1 if model.channels == "y" else 3, max(9, model.minimum), max(11, model.minimum))
    gradients: list[list[Tensor]] = []
    outputs: list[Tensor] = []
    for each in (network, form):
        network.zero_grad()
        sr = each(x)
        F.mse_loss(sr, torch.zeros_like(sr)).backward()
        outputs.append(sr.detach())
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert torch.allclose(*outputs, atol=1e-5 * float(outputs[0].abs().max()))
    assert len(gradients[0]) == len(list(network.parameters()))
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=2e-5 * float(a.abs().max()))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("slopes", [1, 3])
def test_gradient_of_prelu_equals_finite_differences(layout: torch.memory_format, slopes: int) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    slope = torch.tensor([0.25, -0.5, 1.5][:slopes], dtype=torch.float64, requires_grad=True)
    assert torch.equal(SlopedGradient.apply(x, slope), F.prelu(x, slope))
    assert torch.autograd.gradcheck(SlopedGradient.apply, (x, slope))


def test_gradient_at_zero_is_the_slope_as_in_pytorch() -> None:
    found = []
    for layer in (prelu := nn.PReLU(2), QuickPReLU(prelu)):
        x = torch.zeros(1, 2, 3, 3, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad is not None
        found.append(x.grad)
    assert torch.equal(*found)
    assert float(found[0].max()) == 0.25


@pytest.mark.parametrize(("before", "after"), [(2, 2), (1, 3), (0, 2), (2, 0), (4, 4)])
def test_gradient_of_replicated_edges_equals_finite_differences(before: int, after: int) -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 3, 3, 5, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    padded = ReplicatedEdges.pad(x, before, after)
    assert torch.equal(padded, F.pad(x, (before, after, before, after), mode="replicate"))
    assert torch.autograd.gradcheck(lambda t: ReplicatedEdges.pad(t, before, after), (x,))


def test_autocast_keeps_half_precision_through_both() -> None:
    conv = nn.Conv2d(2, 4, 5, padding=2, padding_mode="replicate")
    x = torch.randn(2, 2, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = QuickPReLU(nn.PReLU(4))(QuickReplicatedConvolution(conv)(x))
        expected = F.prelu(conv(x), torch.full((4,), 0.25))
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float(), expected.float(), atol=0.02)
    y.float().sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype == torch.float32
