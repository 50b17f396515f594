"""A form of a network for training on a CPU: the same parameters, function and gradients, in faster steps.

PyTorch's CPU kernels are slow for PReLU's gradient (it branches on every sample), replicated edges (autocast computes
them in float32) and FSRCNN's transposed convolution. Elsewhere, and in networks without these layers, nothing changes.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from srbench.models._fast_layers import ShuffledTransposedConvolution, continued, is_replicated
from srbench.models.fsrcnn import ReplicatedTransposedConvolution


def training_form(network: nn.Module) -> nn.Module:
    """``network`` with faster layers over its own parameters, so that an optimiser or an average sees the same tensors.

    State dicts keep their keys, and gradients are equal except for rounding. Modules without such layers are ``network``'s
    own. ``network`` itself is returned if it has none, or if it is not on a CPU (except for the transposed convolution,
    which gains on a GPU too).
    """
    if type(network) is ReplicatedTransposedConvolution:
        return ShuffledTransposedConvolution(network, ReplicatedEdges.pad)
    parameter = next(network.parameters(), None)
    if parameter is not None and parameter.device.type == "cpu":
        if type(network) is nn.PReLU:
            return QuickPReLU(network)
        if isinstance(network, nn.Conv2d) and is_replicated(network) and network.kernel_size[0] > 1:
            return QuickReplicatedConvolution(network)
    changed = {name: training_form(child) for name, child in network.named_children()}
    if all(changed[name] is child for name, child in network.named_children()):
        return network
    twin = copy.copy(network)
    twin._modules = {**network._modules, **changed}
    return twin


class SlopedGradient(torch.autograd.Function):
    """PReLU ``(N, C, ...)`` with one slope a channel or a single one; its gradient takes whole passes without branches."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.relu(x).addcmul_(x.clamp(max=0), _along_channels(slope, x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)
        below = gradient - above
        others = [axis for axis in range(x.dim()) if axis != 1 or slope.numel() == 1]
        of_slope = (below * x).sum(others).reshape(slope.shape)
        return above.addcmul_(below, _along_channels(slope, x)), of_slope


class ReplicatedEdges(torch.autograd.Function):
    """``x`` ``(N, C, H, W)`` with its edges replicated ``before`` and ``after`` each axis, in its own precision."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, before: int, after: int) -> Tensor:
        ctx.before, ctx.after = before, after
        return continued(x.detach(), before, after)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        for axis in (2, 3):
            end = gradient.shape[axis] - ctx.after
            inner = gradient.narrow(axis, ctx.before, end - ctx.before).clone(memory_format=torch.preserve_format)
            inner.narrow(axis, 0, 1).add_(gradient.narrow(axis, 0, ctx.before).sum(axis, keepdim=True))
            inner.narrow(axis, -1, 1).add_(gradient.narrow(axis, end, ctx.after).sum(axis, keepdim=True))
            gradient = inner
        return gradient, None, None

    @staticmethod
    def pad(x: Tensor, before: int, after: int) -> Tensor:
        """The padded tensor; PyTorch's own function where ``x`` is not on a CPU."""
        if x.device.type != "cpu":
            return continued(x, before, after)
        padded: Tensor = ReplicatedEdges.apply(x, before, after)
        return padded


class QuickPReLU(nn.Module):
    """``nn.PReLU`` by :class:`SlopedGradient`, in the precision of its input."""

    def __init__(self, prelu: nn.PReLU) -> None:
        super().__init__()
        self.weight = prelu.weight

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = SlopedGradient.apply(x, self.weight.to(x.dtype))
        return made


class QuickReplicatedConvolution(nn.Module):
    """A convolution with replicated edges that are copied as strips."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.reach = conv.kernel_size[0] // 2
        self.groups = conv.groups

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(ReplicatedEdges.pad(x, self.reach, self.reach), self.weight, self.bias, groups=self.groups)


def _along_channels(slope: Tensor, like: Tensor) -> Tensor:
    return slope.view(1, -1, *[1] * (like.dim() - 2))
