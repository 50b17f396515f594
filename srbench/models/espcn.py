"""ESPCN: three convolutions at LR size and a sub-pixel layer (Shi et al.; CVPR 2016, arXiv:1609.05158)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours
from srbench.models._shapes import Found, Shapes, shuffle_scale


class ESPCN(nn.Module):
    """5-3-3 with tanh after the first two; nothing after the pixel shuffle.

    Its initial weights decide what it learns. Luma varies little within 5×5 pixels, so Xavier's weights leave tanh in its
    linear part: after 2,000 steps of the ``common`` recipe such a network reached 28.11 dB on validation images. It
    reached 28.45 dB with first-layer filters drawn from a Gaussian of 1.0 and freed of their mean (they see edges, not
    brightness), and second-layer filters from a Gaussian of 0.06.

    The last layer starts as a Gaussian of 0.001, so that no phase of the shuffle stands out.
    """

    def __init__(self, scale: int, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        self.scale = scale
        self.conv1 = nn.Conv2d(planes, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, planes * scale * scale, 3, padding=1)
        nn.init.normal_(self.conv1.weight, std=1.0)
        with torch.no_grad():
            self.conv1.weight -= self.conv1.weight.mean(dim=(1, 2, 3), keepdim=True)
        nn.init.normal_(self.conv2.weight, std=0.06)
        nn.init.normal_(self.conv3.weight, std=0.001)
        for layer in (self.conv1, self.conv2, self.conv3):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x)))))
        return F.pixel_shuffle(features, self.scale)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv1.weight")
    scale = shuffle_scale(shapes.side("conv3.weight"), shapes.side("conv1.weight", 1))
    return Found((scale,), channels) if channels and scale > 1 else None


MODELS.register(
    Model(
        name="espcn",
        build=ESPCN,
        paper=Paper(
            "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural "
            "Network",
            2016,
            "https://arxiv.org/abs/1609.05158",
        ),
        channels="y",
        scales=(2, 3, 4),
        parameters={2: 21_284, 3: 22_729, 4: 24_752},
        receptive_radius=4,
        infer=_infer,
        further=(8,),
    )
)
