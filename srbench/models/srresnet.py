"""SRResNet and SRGAN's generator, which is the same (Ledig et al.; CVPR 2017, arXiv:1609.04802)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from srbench.errors import InputError
from srbench.models import Paper, register_size
from srbench.models._layers import STEPS, colours, conv3x3
from srbench.models._shapes import Found, Shapes, shuffle_scale

_OPTIONS: dict[str, Any] = {"upsampler": "pixelshuffle", "tail_activation": "prelu"}


class Block(nn.Module):
    """Convolution, batch norm, PReLU, convolution, batch norm, added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(features, features),
            nn.BatchNorm2d(features),
            nn.PReLU(features),
            conv3x3(features, features),
            nn.BatchNorm2d(features),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SRResNet(nn.Module):
    """9×9 head, residual blocks under a long skip, upsampling, 9×9 tail; one PReLU slope a channel.

    Args:
        scale: 2, 3 or 4.
        upsampler: ``pixelshuffle`` (the paper's) or ``upsampling``: nearest neighbour, then a convolution.
        tail_activation: after each upsampling step, ``prelu`` (the paper's) or ``lrelu``, LeakyReLU of 0.2, which has
            no weights.
        features: channels inside the network.
        blocks: number of residual blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        upsampler: str = "pixelshuffle",
        tail_activation: str = "prelu",
        features: int = 64,
        blocks: int = 16,
        channels: str = "rgb",
    ) -> None:
        super().__init__()
        planes = colours(channels)
        self.receptive_radius = 2 * blocks + 8  # 9×9 at both ends, the last at HR size
        self.head = nn.Sequential(nn.Conv2d(planes, features, 9, padding=4), nn.PReLU(features))
        self.body = nn.Sequential(*(Block(features) for _ in range(blocks)))
        self.after_body = nn.Sequential(conv3x3(features, features), nn.BatchNorm2d(features))
        self.upsample = nn.Sequential(*_upsampling(scale, features, upsampler, tail_activation))
        self.tail = nn.Conv2d(features, planes, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        return self.tail(self.upsample(head + self.after_body(self.body(head))))


def _upsampling(scale: int, features: int, upsampler: str, activation: str) -> list[nn.Module]:
    if upsampler not in ("pixelshuffle", "upsampling"):
        raise InputError(f"upsampler must be 'pixelshuffle' or 'upsampling', not {upsampler!r}")
    if activation not in ("prelu", "lrelu"):
        raise InputError(f"tail_activation must be 'prelu' or 'lrelu', not {activation!r}")
    layers: list[nn.Module] = []
    for step in STEPS[scale]:
        if upsampler == "pixelshuffle":
            layers += [conv3x3(features, features * step * step), nn.PixelShuffle(step)]
        else:
            layers += [nn.Upsample(scale_factor=step, mode="nearest"), conv3x3(features, features)]
        layers.append(nn.PReLU(features) if activation == "prelu" else nn.LeakyReLU(0.2, inplace=True))
    return layers


def _infer(shapes: Shapes) -> Found | None:
    channels, features = shapes.channels("head.0.weight"), shapes.side("head.0.weight")
    convs = [key for key in shapes if key.startswith("upsample.") and len(shapes[key]) == 4]
    if channels is None or "after_body.0.weight" not in shapes or not convs:
        return None
    slopes = [key for key in shapes if key.startswith("upsample.") and key.endswith("weight") and len(shapes[key]) == 1]
    step = shuffle_scale(shapes.side(convs[0]), features)
    options = {
        "upsampler": "pixelshuffle" if step > 1 else "upsampling",
        "tail_activation": "prelu" if slopes else "lrelu",
        "features": features,
        "blocks": shapes.count("body"),
    }
    if step > 1:
        return Found((step ** len(convs),), channels, options)
    return Found({1: (2, 3), 2: (4,)}.get(len(convs), (8,)), channels, options)


_PAPER = Paper(
    "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
    2017,
    "https://arxiv.org/abs/1609.04802",
)


for _name in ("srgan", "srresnet"):
    register_size(
        _name,
        SRResNet,
        {2: 1_402_883, 3: 1_587_523, 4: 1_550_659},
        paper=_PAPER,
        infer=_infer,
        further=(8,),
        receptive_radius=40,
        options={**_OPTIONS, "features": 64, "blocks": 16},
    )
for _name in ("srgan_s", "srresnet_s"):
    register_size(
        _name,
        SRResNet,
        {2: 155_235, 3: 201_475, 4: 192_259},
        paper=_PAPER,
        infer=_infer,
        further=(8,),
        receptive_radius=18,
        options={**_OPTIONS, "features": 32, "blocks": 5},
    )
