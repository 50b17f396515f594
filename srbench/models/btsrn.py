"""BTSRN: residual blocks at LR and at HR size, in balance (Fan et al.; CVPR workshops 2017, doi 10.1109/CVPRW.2017.154)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours, conv3x3
from srbench.models._shapes import Found, Shapes
from srbench.models._skip import BicubicUpsample, start_near_zero

_FEATURES = 128
_WIDTH = 32


class PConv(nn.Module):
    """ReLU, 1×1 to ``width``, ReLU, 3×3 back to 128, added to the input; 40,960 weights at a width of 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(_FEATURES, width, 1)
        self.filter = conv3x3(width, _FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.filter(F.relu(self.project(F.relu(x))))


class Upsample(nn.Module):
    """The sum of nearest-neighbour upsampling and a transposed convolution whose kernel is its stride."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step
        self.deconv = nn.ConvTranspose2d(_FEATURES, _FEATURES, step, stride=step)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.step, mode="nearest") + self.deconv(x)


class BTSRN(nn.Module):
    """Six blocks at LR size, upsampling (×4 as ×2 twice), four blocks at HR size, added to the bicubically upscaled input.

    The blocks alone have 409,600 weights, the 410K of the paper. Each block's second convolution starts at a tenth of
    Kaiming's, which keeps the sum of ten blocks without batch norm near its input; the last layer starts near zero.

    Args:
        scale: 2, 3 or 4.
        width: channels between a block's two convolutions.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, width: int = _WIDTH, channels: str = "rgb") -> None:
        super().__init__()
        planes = colours(channels)
        steps = {2: (2,), 3: (3,), 4: (2, 2)}[scale]
        self.bicubic = BicubicUpsample(scale)
        self.head = conv3x3(planes, _FEATURES)
        self.lr_blocks = nn.Sequential(*(PConv(width) for _ in range(6)))
        self.upsample = nn.Sequential(*(Upsample(step) for step in steps))
        self.hr_blocks = nn.Sequential(*(PConv(width) for _ in range(4)))
        self.tail = conv3x3(_FEATURES, planes)
        with torch.no_grad():
            for block in (*self.lr_blocks, *self.hr_blocks):
                for conv, factor in ((block.project, 1.0), (block.filter, 0.1)):
                    nn.init.kaiming_normal_(conv.weight).mul_(factor)
                    nn.init.zeros_(conv.bias)
        start_near_zero(self)

    def forward(self, x: Tensor) -> Tensor:
        features = self.hr_blocks(self.upsample(self.lr_blocks(self.head(x))))
        return self.tail(F.relu(features)) + self.bicubic(x)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("head.weight")
    steps = [shapes.side(f"upsample.{number}.deconv.weight", 3) for number in range(shapes.count("upsample"))]
    scale = {(2,): 2, (3,): 3, (2, 2): 4}.get(tuple(steps))
    width = shapes.side("lr_blocks.0.project.weight")
    return Found((scale,), channels, {"width": width}) if channels and scale and width else None


MODELS.register(
    Model(
        name="btsrn",
        build=BTSRN,
        paper=Paper(
            "Balanced Two-Stage Residual Networks for Image Super-Resolution",
            2017,
            "https://doi.org/10.1109/CVPRW.2017.154",
        ),
        channels="rgb",
        scales=(2, 3, 4),
        parameters={2: 483_907, 3: 565_827, 4: 549_571},
        receptive_radius=10,
        has_skip=True,
        infer=_infer,
        options={"width": _WIDTH},
        counted=r"[lh]r_blocks\.",  # the printed 165.2 G at ×4 are those of the ten blocks
    )
)
