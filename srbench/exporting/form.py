"""A network in the operations that other runtimes know: the same function, equal except for rounding.

=====================  =================================================================================================
bicubic skip           edges mirrored by slices, one grouped convolution to scale² phases, a pixel shuffle
transposed convolution FSRCNN's as a convolution at LR size and a pixel shuffle
replicated edges       one padding operation (PyTorch's CPU form copies strips in place)
PReLU                  itself (the fused form may hold a maximum)
folded tail            the convolution's own valid region is the middle, four strips are joined around it
=====================  =================================================================================================

Everything else already is convolutions, activations, sums, shuffles and resizes that every target has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models._fast_layers import (
    FixedTransposedConvolution,
    ReplicatedConvolution,
    ShuffledTransposedConvolution,
    SlopedMaximum,
)
from srbench.models._folding import FoldedTail
from srbench.models._fused import fuse
from srbench.models._skip import BicubicSkip, BicubicUpsample
from srbench.models.fsrcnn import ReplicatedTransposedConvolution
from srbench.resize import resize_weights

REACH = 2
"""Pixels on each side that upscaling by bicubic reads."""


def export_form(network: nn.Module, planes: int, fused: bool = False) -> nn.Module:
    """A rewritten copy in eval mode, without gradients.

    Args:
        network: any; layers of the registry's that targets do not know are rewritten, with or without a skip.
        planes: channels of its input, 1 or 3.
        fused: take the fused form first.
    """
    made = fuse(network) if fused else copy.deepcopy(network).eval()
    return _rewrite(made, planes).cpu().requires_grad_(False)


class Bicubic(nn.Module):
    """Upscales ``(N, planes, h, w)`` by an integer as ``srbench.images.imresize`` does with mirrored edges.

    Args:
        scale: the factor.
        planes: channels.
        clamp: the edges are repeated and not mirrored.
    """

    kernel: Tensor

    def __init__(self, scale: int, planes: int, clamp: bool = False) -> None:
        super().__init__()
        self.scale, self.planes, self.clamp = scale, planes, clamp
        length = 4 * REACH + 1  # one pixel's phases, taken from the middle of an axis, away from its edges
        weights, index = resize_weights(length, length * scale, float(scale))
        taps = np.zeros((scale, 2 * REACH + 1))
        for phase in range(scale):
            row = 2 * REACH * scale + phase
            np.add.at(taps[phase], index[row] - 2 * REACH + REACH, weights[row])
        both = np.einsum("ar,bc->abrc", taps, taps).reshape(scale * scale, 1, *[2 * REACH + 1] * 2)
        self.register_buffer("kernel", torch.from_numpy(both).float().repeat(planes, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        x = F.pad(x, (REACH,) * 4, mode="replicate") if self.clamp else _mirrored(_mirrored(x, 2), 3)
        return F.pixel_shuffle(F.conv2d(x, self.kernel, groups=self.planes), self.scale)


def _mirrored(x: Tensor, axis: int) -> Tensor:
    """``1 0 | 0 1 2 … | n−1 n−2`` along axis 2 or 3, of at least two pixels."""
    if axis == 2:
        return torch.cat((x[:, :, 1:2], x[:, :, :1], x, x[:, :, -1:], x[:, :, -2:-1]), dim=2)
    return torch.cat((x[..., 1:2], x[..., :1], x, x[..., -1:], x[..., -2:-1]), dim=3)


class Replicated(nn.Module):
    """Edges replicated, a convolution, and a pixel shuffle where there is a scale."""

    kernel: Tensor
    bias: Tensor | None

    def __init__(self, kernel: Tensor, bias: Tensor | None, before: int, after: int, scale: int = 1) -> None:
        super().__init__()
        self.before, self.after, self.scale = before, after, scale
        self.register_buffer("kernel", kernel.detach().clone())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        if self.before or self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after), mode="replicate")
        y = F.conv2d(x, self.kernel, self.bias)
        return F.pixel_shuffle(y, self.scale) if self.scale > 1 else y


class JoinedTail(nn.Module):
    """``FoldedTail`` without writing into its output: the middle, then strips left and right, then above and below."""

    def __init__(self, tail: FoldedTail) -> None:
        super().__init__()
        # MDSR's tails end in one convolution, and pnnx translates none that has two names
        self.layers, self.conv = copy.deepcopy(tail.layers), copy.deepcopy(tail.conv)
        self.scale, self.reach = tail.scale, tail.reach
        self.conv.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        edge, seen = self.reach * self.scale, 2 * self.reach
        end = height * self.scale - edge  # pnnx drops a slice from `edge` to `-edge` without a word
        middle = F.pixel_shuffle(self.conv(x), self.scale)
        left = self.layers(x[..., :, :seen])[..., edge:end, :edge]
        right = self.layers(x[..., :, width - seen :])[..., edge:end, edge:]
        above = self.layers(x[..., :seen, :])[..., :edge, :]
        below = self.layers(x[..., height - seen :, :])[..., edge:, :]
        return torch.cat((above, torch.cat((left, middle, right), dim=-1), below), dim=-2)


class Half(nn.Module):
    """A network in float16 between float32 images; what it adds to the enlarged image is rounded, that image is not."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()
        for module in self.network.modules():
            if isinstance(module, Bicubic):
                module.float()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.network(x.half())
        return made.float()


def in_half(network: nn.Module) -> nn.Module:
    """The form in float16, in which a bicubic skip stays float32."""
    if isinstance(network, BicubicSkip):
        network.network = Half(network.network)
        return network
    return Half(network)


def least_side(network: nn.Module) -> int:
    """Pixels that each side of the form's input must have, as far as the rewritten layers say."""
    sides = [1]
    for module in network.modules():
        if isinstance(module, JoinedTail):
            sides.append(2 * module.reach + 1)
        if isinstance(module, Bicubic):
            sides.append(REACH)
    return max(sides)


def _rewrite(module: nn.Module, planes: int) -> nn.Module:
    if isinstance(module, BicubicUpsample):
        return Bicubic(module.scale, planes)
    rule = _RULES.get(type(module))
    if rule is not None:
        module = rule(module)
    for name, child in module.named_children():
        setattr(module, name, _rewrite(child, planes))
    return module


def _transposed(layer: ReplicatedTransposedConvolution) -> nn.Module:
    return _fixed(FixedTransposedConvolution(ShuffledTransposedConvolution(layer)))


def _fixed(layer: FixedTransposedConvolution) -> nn.Module:
    return Replicated(layer.kernel, layer.bias, layer.before, layer.after, layer.scale)


def _replicated(layer: ReplicatedConvolution) -> nn.Module:
    return Replicated(layer.conv.weight, layer.conv.bias, layer.reach, layer.reach)


def _sloped(layer: SlopedMaximum) -> nn.Module:
    made = nn.PReLU(layer.weight.numel())
    made.weight = layer.weight
    return made


_RULES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    ReplicatedTransposedConvolution: _transposed,
    FixedTransposedConvolution: _fixed,
    ReplicatedConvolution: _replicated,
    SlopedMaximum: _sloped,
    FoldedTail: JoinedTail,
}
