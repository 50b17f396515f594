"""Enhanced spatial attention, which RFDN and RLFN share (Liu, Zhang, Wang, Bai, Xu, Ji, RFANet; CVPR 2020,
doi 10.1109/CVPR42600.2020.00243).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models._layers import conv3x3

MINIMUM = 15
"""A side of the input: stride 2 without padding leaves the 7 pixels that the pooling needs."""


class SpatialAttention(nn.Module):
    """Weights each pixel by what a wide, coarse view of the features says of it: stride 2, then a pooling of 7 at stride 3.

    The coarse map is upsampled to the input's size by a factor that depends on that size, so that an image in tiles is
    another image to this layer: it has no receptive radius.

    Args:
        features: channels of its input and output.
        width: channels inside.
        coarse: 3×3 convolutions on the coarse map; with three, ReLU stands between them (RFDN), one is bare (RLFN).
    """

    def __init__(self, features: int, width: int, coarse: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(features, width, 1)
        self.reduce = nn.Conv2d(width, width, 3, stride=2)
        self.coarse = nn.ModuleList(conv3x3(width, width) for _ in range(coarse))
        self.shortcut = nn.Conv2d(width, width, 1)
        self.expand = nn.Conv2d(width, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.squeeze(x)
        seen = F.max_pool2d(self.reduce(narrow), kernel_size=7, stride=3)
        for number, conv in enumerate(self.coarse):
            seen = conv(F.relu(seen) if number else seen)
        seen = F.interpolate(seen, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.expand(seen + self.shortcut(narrow)))
