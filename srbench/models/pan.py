"""PAN: pixel attention (Zhao, Kong, He, Qiao, Dong; ECCV workshops 2020, arXiv:2010.01073)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours, conv3x3
from srbench.models._shapes import Found, Shapes

_SLOPE = 0.2


class PixelAttention(nn.Module):
    """Each sample times the sigmoid of a 1×1 convolution of its pixel."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x))


class Block(nn.Module):
    """Two branches of half the width, one of them weighted by pixel attention; no bias but the attention's."""

    def __init__(self, features: int) -> None:
        super().__init__()
        half = features // 2
        self.plain = nn.Conv2d(features, half, 1, bias=False)
        self.plain_conv = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.attended = nn.Conv2d(features, half, 1, bias=False)
        self.attention = nn.Conv2d(half, half, 1)
        self.attended_conv1 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.attended_conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.fuse = nn.Conv2d(2 * half, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        plain = _lrelu(self.plain_conv(_lrelu(self.plain(x))))
        narrow = _lrelu(self.attended(x))
        attended = self.attended_conv1(narrow) * torch.sigmoid(self.attention(narrow))
        attended = _lrelu(self.attended_conv2(attended))
        return self.fuse(torch.cat((plain, attended), dim=1)) + x


class Upsample(nn.Module):
    """Nearest neighbour, a convolution, pixel attention and another convolution."""

    def __init__(self, inputs: int, outputs: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.conv1 = conv3x3(inputs, outputs)
        self.attention = PixelAttention(outputs)
        self.conv2 = conv3x3(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        upscaled = self.conv1(F.interpolate(x, scale_factor=self.step, mode="nearest"))
        return _lrelu(self.conv2(_lrelu(self.attention(upscaled))))


class PAN(nn.Module):
    """Head, blocks under a long skip, upsampling in one or two steps, added to the bilinearly upscaled input.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of blocks.
        tail: channels after upsampling.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, features: int = 40, blocks: int = 16, tail: int = 24, channels: str = "rgb") -> None:
        super().__init__()
        planes = colours(channels)
        self.scale = scale
        self.receptive_radius = 2 * blocks + 4  # two a block, one before and after; the tail's three or five at HR size
        self.conv_first = conv3x3(planes, features)
        self.body = nn.Sequential(*(Block(features) for _ in range(blocks)))
        self.conv_after_body = conv3x3(features, features)
        steps = {2: (2,), 3: (3,), 4: (2, 2)}[scale]
        widths = [features, *[tail] * len(steps)]
        self.upsample = nn.Sequential(*(Upsample(widths[i], tail, step) for i, step in enumerate(steps)))
        self.conv_last = conv3x3(tail, planes)

    def forward(self, x: Tensor) -> Tensor:
        head = self.conv_first(x)
        seen = self.upsample(head + self.conv_after_body(self.body(head)))
        upscaled = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.conv_last(seen) + upscaled


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv_first.weight")
    steps = shapes.count("upsample")
    if channels is None or "body.0.attended_conv1.weight" not in shapes or steps not in (1, 2):
        return None
    options = {
        "features": shapes.side("conv_first.weight"),
        "blocks": shapes.count("body"),
        "tail": shapes.side("conv_last.weight", 1),
    }
    return Found((2, 3) if steps == 1 else (4,), channels, options)


MODELS.register(
    Model(
        name="pan",
        build=PAN,
        paper=Paper("Efficient Image Super-Resolution Using Pixel Attention", 2020, "https://arxiv.org/abs/2010.01073"),
        channels="rgb",
        scales=(2, 3, 4),
        parameters={2: 261_403, 3: 261_403, 4: 272_419},
        receptive_radius=36,
        has_skip=True,
        options={"features": 40, "blocks": 16, "tail": 24},
        infer=_infer,
    )
)
