"""RFDN: residual feature distillation (Liu, Tang, Wu; ECCV workshops 2020, arXiv:2009.11551)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._attention import MINIMUM, SpatialAttention
from srbench.models._layers import colours, conv3x3
from srbench.models._shapes import Found, Shapes, shuffle_scale

_SLOPE = 0.05


class Block(nn.Module):
    """Three shallow residual steps, from each of which a 1×1 convolution distils half the channels; spatial attention."""

    def __init__(self, features: int) -> None:
        super().__init__()
        half = features // 2
        self.distil = nn.ModuleList(nn.Conv2d(features, half, 1) for _ in range(3))
        self.refine = nn.ModuleList(conv3x3(features, features) for _ in range(3))
        self.last = conv3x3(features, half)
        self.fuse = nn.Conv2d(4 * half, features, 1)
        self.attention = SpatialAttention(features, features // 4, coarse=3)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for distil, refine in zip(self.distil, self.refine, strict=True):
            kept.append(_lrelu(distil(x)))
            x = _lrelu(refine(x) + x)
        return self.attention(self.fuse(torch.cat([*kept, _lrelu(self.last(x))], dim=1)))


class RFDN(nn.Module):
    """Head, blocks whose outputs are all fused under a long skip, sub-pixel tail.

    The defaults are the network of the AIM 2020 challenge, the only one with published weights (they want images in
    0–255); the paper's tables are of 48 features and 6 blocks.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, features: int = 50, blocks: int = 4, channels: str = "rgb") -> None:
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
    if channels is None or not scale or "body.0.distil.0.weight" not in shapes:
        return None
    return Found((scale,), channels, {"features": shapes.side("conv_first.weight"), "blocks": shapes.count("body")})


MODELS.register(
    Model(
        name="rfdn",
        build=RFDN,
        paper=Paper(
            "Residual Feature Distillation Network for Lightweight Image Super-Resolution",
            2020,
            "https://arxiv.org/abs/2009.11551",
        ),
        channels="rgb",
        scales=(2, 3, 4),
        parameters={2: 417_212, 3: 423_977, 4: 433_448},
        receptive_radius=None,
        minimum=MINIMUM,
        options={"features": 50, "blocks": 4},
        infer=_infer,
        further=(8,),
    )
)
