"""What three papers or more share: colours, residual block without batch norm, sub-pixel tail, initialisation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError

RGB_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K on [0, 1], as EDSR and its successors subtract it."""
Y_MEAN = 0.4379
"""Studio-range BT.601 luma of RGB_MEAN on [0, 1]: (65.481 R + 128.553 G + 24.966 B + 16) / 255."""


def colours(channels: str) -> int:
    """Number of colour planes that ``channels`` means; raises InputError for anything but ``y`` and ``rgb``."""
    if channels not in ("y", "rgb"):
        raise InputError(f"channels must be 'y' or 'rgb', not {channels!r}")
    return 1 if channels == "y" else 3


class MeanShifted(nn.Module):
    """A network that takes DIV2K's mean colour off its input and, where ``add_mean``, adds it to its output.

    The mean is no part of the state dict. A bicubic skip, which brings the mean with it, sets ``add_mean`` to False.
    """

    mean: Tensor

    def __init__(self, channels: str) -> None:
        super().__init__()
        self.add_mean = True
        mean = torch.tensor(RGB_MEAN if colours(channels) == 3 else (Y_MEAN,)).view(1, -1, 1, 1)
        self.register_buffer("mean", mean, persistent=False)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3×3 convolution with bias that keeps the image's size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


@torch.no_grad()
def scaled_kaiming(layers: Iterable[nn.Module], factor: float) -> None:
    """Kaiming-normal weights times ``factor`` and zero biases in every convolution and dense layer of ``layers``."""
    for layer in layers:
        for module in layer.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                module.weight.mul_(factor)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, scaled and added to the input; no batch norm (Lim et al., EDSR, 2017).

    Keys ``conv1`` and ``conv2``, as in BasicSR's ``ResidualBlockNoBN``.
    """

    def __init__(self, features: int, res_scale: float = 1.0, kernel: int = 3) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = nn.Conv2d(features, features, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(features, features, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x))) * self.res_scale


STEPS = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""By what a tail enlarges step by step, by scale."""


def subpixel_tail(features: int, scale: int) -> nn.Sequential:
    """Convolution to r² · ``features`` channels and a pixel shuffle: once for ×2 and ×3, twice for ×4, thrice for ×8.

    Keys ``0``, ``2`` and ``4``, as in BasicSR's ``Upsample``.
    """
    layers: list[nn.Module] = []
    for step in STEPS[scale]:
        layers += [conv3x3(features, features * step * step), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)
