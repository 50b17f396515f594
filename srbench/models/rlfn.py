"""RLFN: residual local features (Kong, Li, Liu, Liu, He, Bai, Chen, Fu; CVPR workshops 2022, arXiv:2205.07514)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import Paper, register_size
from srbench.models._attention import MINIMUM, SpatialAttention
from srbench.models._layers import colours, conv3x3
from srbench.models._shapes import Found, Shapes, shuffle_scale

_SLOPE = 0.05


class Block(nn.Module):
    """Three 3×3 convolutions under a skip, a 1×1 convolution, spatial attention."""

    def __init__(self, features: int, width: int, attention: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, width)
        self.conv2 = conv3x3(width, width)
        self.conv3 = conv3x3(width, features)
        self.fuse = nn.Conv2d(features, features, 1)
        self.attention = SpatialAttention(features, attention, coarse=1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3):
            seen = F.leaky_relu(conv(seen), _SLOPE)
        return self.attention(self.fuse(seen + x))


class RLFN(nn.Module):
    """Head, blocks under a long skip, sub-pixel tail.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of blocks.
        width: of a block's middle convolution; 0 for ``features`` (the challenge's network has 48 where features are 46).
        attention: channels within the attention.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        features: int = 52,
        blocks: int = 6,
        width: int = 0,
        attention: int = 16,
        channels: str = "rgb",
    ) -> None:
        super().__init__()
        planes = colours(channels)
        self.conv_first = conv3x3(planes, features)
        self.body = nn.Sequential(*(Block(features, width or features, attention) for _ in range(blocks)))
        self.conv_after_body = conv3x3(features, features)
        self.upsample = nn.Sequential(conv3x3(features, planes * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        head = self.conv_first(x)
        return self.upsample(head + self.conv_after_body(self.body(head)))


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv_first.weight")
    scale = shuffle_scale(shapes.side("upsample.0.weight"), shapes.side("conv_first.weight", 1))
    if channels is None or not scale or "body.0.attention.squeeze.weight" not in shapes or "fuse.weight" in shapes:
        return None
    features, width = shapes.side("conv_first.weight"), shapes.side("body.0.conv1.weight")
    options = {
        "features": features,
        "blocks": shapes.count("body"),
        "width": 0 if width == features else width,
        "attention": shapes.side("body.0.attention.squeeze.weight"),
    }
    return Found((scale,), channels, options)


_PAPER = Paper(
    "Residual Local Feature Network for Efficient Super-Resolution", 2022, "https://arxiv.org/abs/2205.07514"
)


for _name, _parameters, _features in (
    ("rlfn", {2: 526_856, 3: 533_891, 4: 543_740}, 52),
    ("rlfn_s", {2: 454_620, 3: 461_115, 4: 470_208}, 48),
):
    register_size(
        _name,
        RLFN,
        _parameters,
        paper=_PAPER,
        infer=_infer,
        further=(8,),
        receptive_radius=None,
        minimum=MINIMUM,
        display={"rlfn_s": "RLFN-S"}.get(_name, ""),
        options={"features": _features, "blocks": 6, "width": 0, "attention": 16},
    )
