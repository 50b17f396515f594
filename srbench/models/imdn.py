"""IMDN: information multi-distillation (Hui, Gao, Yang, Wang; ACM Multimedia 2019, arXiv:1909.11856)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours, conv3x3
from srbench.models._shapes import Found, Shapes, shuffle_scale

_SLOPE = 0.05


class ContrastAttention(nn.Module):
    """Scales each channel by a function of its mean and its standard deviation over the whole image."""

    def __init__(self, features: int) -> None:
        super().__init__()
        width = max(4, features // 16)
        self.squeeze = nn.Conv2d(features, width, 1)
        self.expand = nn.Conv2d(width, features, 1)
        if self.squeeze.bias is not None:
            nn.init.constant_(self.squeeze.bias, 0.25)  # so few ReLUs could all be dead from the start

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        contrast = (x - mean).square().mean(dim=(2, 3), keepdim=True).sqrt()
        return x * torch.sigmoid(self.expand(F.relu(self.squeeze(mean + contrast))))


class Block(nn.Module):
    """Three times a quarter of the channels is kept and the rest refined; attention and a 1×1 convolution put them together."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.kept, self.rest = features // 4, features - features // 4
        self.conv1 = conv3x3(features, features)
        self.conv2 = conv3x3(self.rest, features)
        self.conv3 = conv3x3(self.rest, features)
        self.conv4 = conv3x3(self.rest, self.kept)
        self.attention = ContrastAttention(4 * self.kept)
        self.fuse = nn.Conv2d(4 * self.kept, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept, rest = [], x
        for conv in (self.conv1, self.conv2, self.conv3):
            part, rest = torch.split(_lrelu(conv(rest)), [self.kept, self.rest], dim=1)
            kept.append(part)
        return x + self.fuse(self.attention(torch.cat([*kept, self.conv4(rest)], dim=1)))


class IMDN(nn.Module):
    """Head, blocks whose outputs are all fused under a long skip, sub-pixel tail.

    The attention sees the whole image: a tile is another image to it.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, features: int = 64, blocks: int = 6, channels: str = "rgb") -> None:
        super().__init__()
        planes = colours(channels)
        self.conv_first = conv3x3(planes, features)
        self.body = nn.ModuleList(Block(features) for _ in range(blocks))
        self.fuse = nn.Conv2d(features * blocks, features, 1)
        self.conv_after_body = conv3x3(features, features)
        self.upsample = nn.Sequential(conv3x3(features, planes * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        head = seen = self.conv_first(x)
        outputs = []
        for block in self.body:
            seen = block(seen)
            outputs.append(seen)
        return self.upsample(head + self.conv_after_body(_lrelu(self.fuse(torch.cat(outputs, dim=1)))))


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv_first.weight")
    scale = shuffle_scale(shapes.side("upsample.0.weight"), shapes.side("conv_first.weight", 1))
    if channels is None or not scale or "body.0.attention.squeeze.weight" not in shapes:
        return None
    return Found((scale,), channels, {"features": shapes.side("conv_first.weight"), "blocks": shapes.count("body")})


MODELS.register(
    Model(
        name="imdn",
        build=IMDN,
        paper=Paper(
            "Lightweight Image Super-Resolution with Information Multi-distillation Network",
            2019,
            "https://arxiv.org/abs/1909.11856",
        ),
        channels="rgb",
        scales=(2, 3, 4),
        parameters={2: 694_404, 3: 703_059, 4: 715_176},
        receptive_radius=None,
        options={"features": 64, "blocks": 6},
        infer=_infer,
        further=(8,),
    )
)
