"""DRRN: one residual unit applied 25 times (Tai, Yang, Liu; CVPR 2017, doi 10.1109/CVPR.2017.298)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours
from srbench.models._shapes import Found, Shapes
from srbench.models._skip import start_near_zero

_UNITS = 25
_FEATURES = 128


class DRRN(nn.Module):
    """B1U25: one recursive block of 25 units between a first and a last convolution, added to the pre-upsampled image.

    Every convolution follows batch norm and ReLU, the first one included. The units share their two convolutions, but
    each has its own batch norms, as in the authors' network files: 297,216 convolution weights, 385 biases and 13,058
    scales and shifts. Convolutions start as He's for ReLU, the last one near zero.
    """

    def __init__(self, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        self.first_norm = nn.BatchNorm2d(planes)
        self.first = nn.Conv2d(planes, _FEATURES, 3, padding=1)
        self.norms_a = nn.ModuleList(nn.BatchNorm2d(_FEATURES) for _ in range(_UNITS))
        self.norms_b = nn.ModuleList(nn.BatchNorm2d(_FEATURES) for _ in range(_UNITS))
        self.unit_a = nn.Conv2d(_FEATURES, _FEATURES, 3, padding=1)
        self.unit_b = nn.Conv2d(_FEATURES, _FEATURES, 3, padding=1)
        self.last_norm = nn.BatchNorm2d(_FEATURES)
        self.last = nn.Conv2d(_FEATURES, planes, 3, padding=1)
        for conv in (self.first, self.unit_a, self.unit_b, self.last):
            nn.init.kaiming_normal_(conv.weight)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        start_near_zero(self)

    def forward(self, x: Tensor) -> Tensor:
        start = self.first(F.relu(self.first_norm(x)))
        h = start
        for norm_a, norm_b in zip(self.norms_a, self.norms_b, strict=True):
            h = self.unit_b(F.relu(norm_b(self.unit_a(F.relu(norm_a(h)))))) + start
        return x + self.last(F.relu(self.last_norm(h)))


def _build(scale: int, channels: str = "y") -> DRRN:  # noqa: ARG001
    return DRRN(channels)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("first.weight")
    return Found((2, 3, 4), channels) if channels and shapes.count("norms_a") == _UNITS else None


MODELS.register(
    Model(
        name="drrn",
        build=_build,
        paper=Paper(
            "Image Super-Resolution via Deep Recursive Residual Network", 2017, "https://doi.org/10.1109/CVPR.2017.298"
        ),
        channels="y",
        scales=(2, 3, 4),
        parameters=dict.fromkeys((2, 3, 4), 310_659),
        receptive_radius=2 * _UNITS + 2,
        pre_upsampled=True,
        has_skip=True,
        infer=_infer,
        further=(8,),
    )
)
