"""Consecutive linear layers folded into one, in float64."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def scaled(conv: nn.Conv2d, factor: float) -> nn.Conv2d:
    """The convolution times a constant; ``conv`` itself for a factor of 1."""
    if factor == 1.0:
        return conv
    made = copy.deepcopy(conv)
    made.weight.mul_(factor)
    if made.bias is not None:
        made.bias.mul_(factor)
    return made


@torch.no_grad()
def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """``norm(conv(x))`` with the norm's running statistics, as one convolution with bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        slope = slope * norm.weight.double()
    shift = -norm.running_mean.double() * slope
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * slope
    made = copy.deepcopy(conv)
    made.weight.copy_(conv.weight.double() * slope.view(-1, 1, 1, 1))
    made.bias = nn.Parameter(shift.to(conv.weight.dtype))
    return made


class Patches(nn.Module):
    """A linear map of each input pixel to a patch of ``step × step`` output pixels: a 1×1 convolution and a shuffle."""

    def __init__(self, conv: nn.Conv2d, step: int) -> None:
        super().__init__()
        self.conv, self.step = conv, step

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), self.step)


@torch.no_grad()
def fold_patches(upsample: nn.Module, features: int, step: int) -> Patches:
    """Any affine upsampling by ``step`` whose input pixels map to separate patches, folded by feeding it unit vectors."""
    like = next(upsample.parameters())
    exact = copy.deepcopy(upsample).cpu().double()
    constant = exact(torch.zeros(1, features, 1, 1, dtype=torch.float64))
    answers = (
        exact(torch.eye(features, dtype=torch.float64)[..., None, None]) - constant
    )  # (inputs, outputs, step, step)
    conv = nn.Conv2d(features, answers.shape[1] * step * step, 1)
    conv.weight.copy_(answers.flatten(1).T[..., None, None])
    assert conv.bias is not None
    conv.bias.copy_(constant.flatten())
    return Patches(conv.to(like), step)


class FoldedTail(nn.Module):
    """Convolutions with zero padding and pixel shuffles in a row, as one convolution of LR features and one shuffle.

    Near the border the layers' own zero padding differs from padding the input once, so a frame as wide as the
    folded kernel's reach is computed by the layers themselves: 8 % of their work at 320×180 features.

    Args:
        layers: map ``(N, features, H, W)`` to ``(N, planes, scale·H, scale·W)``.
        features: channels of the input.
        factor: multiplies the output.
    """

    def __init__(self, layers: nn.Sequential, features: int, factor: float = 1.0) -> None:
        super().__init__()
        *before, last = layers
        assert isinstance(last, nn.Conv2d)
        self.layers = nn.Sequential(*before, scaled(last, factor))
        self.scale = math.prod(layer.upscale_factor for layer in before if isinstance(layer, nn.PixelShuffle))
        self.reach = _reach(self.layers)
        self.conv = _fold(self.layers, features, self.scale, self.reach)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        reach, scale = self.reach, self.scale
        if min(height, width) <= 2 * reach:
            made: Tensor = self.layers(x)
            return made
        out = F.pixel_shuffle(self.conv(x), scale)
        edge, seen = reach * scale, 2 * reach  # a strip of `reach` pixels sees as many more
        out[..., :edge, :] = self.layers(x[..., :seen, :])[..., :edge, :]
        out[..., -edge:, :] = self.layers(x[..., -seen:, :])[..., -edge:, :]
        out[..., :, :edge] = self.layers(x[..., :, :seen])[..., :, :edge]
        out[..., :, -edge:] = self.layers(x[..., :, -seen:])[..., :, -edge:]
        return out


def _reach(layers: nn.Sequential) -> int:
    """LR pixels that an output pixel sees on each side, rounded up."""
    reach, size = 0.0, 1
    for layer in layers:
        if isinstance(layer, nn.PixelShuffle):
            size *= layer.upscale_factor
        elif isinstance(layer, nn.Conv2d):
            reach += (layer.kernel_size[0] // 2) / size
    return math.ceil(reach)


@torch.no_grad()
def _fold(layers: nn.Sequential, features: int, scale: int, reach: int) -> nn.Conv2d:
    """The kernel is the derivative of one LR pixel's outputs by the features around it, far from any border."""
    like = next(layers.parameters())
    exact = copy.deepcopy(layers).cpu().double()
    margin, kernel = reach, 2 * reach + 1
    side = kernel + 2 * margin
    inside = slice(margin + reach, margin + reach + 1)

    def phases(x: Tensor) -> Tensor:
        """Outputs of the middle pixel in the order that a pixel shuffle takes them, ``(N, planes · scale²)``."""
        return F.pixel_unshuffle(exact(x), scale)[..., inside, inside].flatten(1)

    with torch.enable_grad():
        x = torch.zeros(1, features, side, side, dtype=torch.float64, requires_grad=True)
        answers = phases(x)[0]
        rows = [torch.autograd.grad(answer, x, retain_graph=True)[0] for answer in answers]
    seen = slice(margin, margin + kernel)
    conv = nn.Conv2d(features, len(rows), kernel, padding=reach)
    conv.weight.copy_(torch.cat(rows)[..., seen, seen])
    assert conv.bias is not None
    conv.bias.copy_(answers.detach())
    return conv.to(like)
