"""VDSR: twenty convolutions find the residual of the bicubically upscaled image (Kim, Lee, Lee; CVPR 2016, arXiv:1511.04587)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours
from srbench.models._shapes import Found, Shapes
from srbench.models._skip import start_near_zero

_LAYERS = 20
_FEATURES = 64


class VDSR(nn.Module):
    """Pre-upsampled image plus the output of 20 convolutions, without bias unless ``bias`` (the authors' weights have it).

    Convolutions start as He's for ReLU, as in the paper, except the last, which starts near zero so that the network
    starts as the identity.
    """

    def __init__(self, bias: bool = False, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        widths = [planes, *[_FEATURES] * (_LAYERS - 1), planes]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
            nn.init.kaiming_normal_(conv.weight)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers += [conv, nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])
        start_near_zero(self)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _build(scale: int, bias: bool = False, channels: str = "y") -> VDSR:  # noqa: ARG001
    return VDSR(bias, channels)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("body.0.weight")
    if channels is None or shapes.count("body") != 2 * _LAYERS - 1:
        return None
    return Found((2, 3, 4), channels, {"bias": "body.0.bias" in shapes})


MODELS.register(
    Model(
        name="vdsr",
        build=_build,
        paper=Paper(
            "Accurate Image Super-Resolution Using Very Deep Convolutional Networks",
            2016,
            "https://arxiv.org/abs/1511.04587",
        ),
        channels="y",
        scales=(2, 3, 4),
        parameters=dict.fromkeys((2, 3, 4), 664_704),
        receptive_radius=_LAYERS,
        pre_upsampled=True,
        has_skip=True,
        options={"bias": False},
        infer=_infer,
        further=(8,),
    )
)
