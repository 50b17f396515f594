"""SRResNet and SRGAN's generator, which is the same (Ledig et al.; CVPR 2017, arXiv:1609.04802)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from srbench.errors import InputError
from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours, conv3x3

_FEATURES = 64
_OPTIONS: dict[str, Any] = {"upsampler": "pixelshuffle", "tail_activation": "prelu", "blocks": 16}


class Block(nn.Module):
    """Convolution, batch norm, PReLU, convolution, batch norm, added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(_FEATURES, _FEATURES),
            nn.BatchNorm2d(_FEATURES),
            nn.PReLU(_FEATURES),
            conv3x3(_FEATURES, _FEATURES),
            nn.BatchNorm2d(_FEATURES),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SRResNet(nn.Module):
    """9×9 head, residual blocks under a long skip, enlargement, 9×9 tail; one PReLU slope a channel.

    Args:
        scale: 2, 3 or 4.
        upsampler: ``pixelshuffle`` (the paper's) or ``upsampling``: nearest neighbour, then a convolution.
        tail_activation: after each enlargement, ``prelu`` (the paper's) or ``lrelu``, LeakyReLU of 0.2, which has no
            weights.
        blocks: residual blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        upsampler: str = "pixelshuffle",
        tail_activation: str = "prelu",
        blocks: int = 16,
        channels: str = "rgb",
    ) -> None:
        super().__init__()
        planes = colours(channels)
        self.receptive_radius = 2 * blocks + 8  # 9×9 at both ends, the last at HR size
        self.head = nn.Sequential(nn.Conv2d(planes, _FEATURES, 9, padding=4), nn.PReLU(_FEATURES))
        self.body = nn.Sequential(*(Block() for _ in range(blocks)))
        self.after_body = nn.Sequential(conv3x3(_FEATURES, _FEATURES), nn.BatchNorm2d(_FEATURES))
        self.upsample = nn.Sequential(*_enlargement(scale, upsampler, tail_activation))
        self.tail = nn.Conv2d(_FEATURES, planes, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        head = self.head(x)
        return self.tail(self.upsample(head + self.after_body(self.body(head))))


def _enlargement(scale: int, upsampler: str, activation: str) -> list[nn.Module]:
    if upsampler not in ("pixelshuffle", "upsampling"):
        raise InputError(f"upsampler must be 'pixelshuffle' or 'upsampling', not {upsampler!r}")
    if activation not in ("prelu", "lrelu"):
        raise InputError(f"tail_activation must be 'prelu' or 'lrelu', not {activation!r}")
    layers: list[nn.Module] = []
    for step in {2: (2,), 3: (3,), 4: (2, 2)}[scale]:
        if upsampler == "pixelshuffle":
            layers += [conv3x3(_FEATURES, _FEATURES * step * step), nn.PixelShuffle(step)]
        else:
            layers += [nn.Upsample(scale_factor=step, mode="nearest"), conv3x3(_FEATURES, _FEATURES)]
        layers.append(nn.PReLU(_FEATURES) if activation == "prelu" else nn.LeakyReLU(0.2, inplace=True))
    return layers


for _name in ("srresnet", "srgan"):
    MODELS.register(
        Model(
            name=_name,
            build=SRResNet,
            paper=Paper(
                "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
                2017,
                "https://arxiv.org/abs/1609.04802",
            ),
            channels="rgb",
            scales=(2, 3, 4),
            parameters={2: 1_402_883, 3: 1_587_523, 4: 1_550_659},
            receptive_radius=40,
            options=_OPTIONS,
        )
    )
