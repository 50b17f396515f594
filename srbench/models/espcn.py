"""ESPCN: three convolutions at LR size and a sub-pixel layer (Shi et al.; CVPR 2016, arXiv:1609.05158)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours


class ESPCN(nn.Module):
    """5-3-3 with tanh after the first two; nothing after the pixel shuffle.

    The first two layers start as Xavier's for tanh, the last as a Gaussian of 0.001, so that the picture starts flat
    and no phase of the shuffle stands out.
    """

    def __init__(self, scale: int, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        self.scale = scale
        self.conv1 = nn.Conv2d(planes, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, planes * scale * scale, 3, padding=1)
        for layer in (self.conv1, self.conv2):
            nn.init.xavier_normal_(layer.weight, gain=nn.init.calculate_gain("tanh"))
        nn.init.normal_(self.conv3.weight, std=0.001)
        for layer in (self.conv1, self.conv2, self.conv3):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x)))))
        return F.pixel_shuffle(features, self.scale)


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
    )
)
