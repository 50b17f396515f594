"""A U-Net with spectral norm that judges each pixel (Wang, Xie, Dong, Shan: Real-ESRGAN; ICCVW 2021, arXiv:2107.10833)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from srbench.models import Paper
from srbench.models._layers import colours
from srbench.models.discriminators import DISCRIMINATORS, DiscriminatorModel, Norm

_SHRINK = 8


class UNetDiscriminator(nn.Module):
    """``(N, C, H, W)`` in [0, 1] → logits ``(N, 1, H, W)``; H and W are multiples of 8.

    Three halvings, three doublings (bilinear), each added to what the same size had before. All convolutions but the first and
    the last have spectral norm (Miyato et al., 2018, arXiv:1802.05957). Keys are those of BasicSR's ``UNetDiscriminatorSN``, so
    that its weights load.

    Args:
        channels: ``y`` or ``rgb``.
        features: channels at full size.
    """

    def __init__(self, channels: str = "rgb", features: int = 64) -> None:
        super().__init__()
        widths = [features, 2 * features, 4 * features, 8 * features]
        self.conv0 = nn.Conv2d(colours(channels), features, 3, padding=1)
        self.conv1, self.conv2, self.conv3 = (
            spectral_norm(nn.Conv2d(a, b, 4, 2, padding=1, bias=False)) for a, b in pairwise(widths)
        )
        self.conv4, self.conv5, self.conv6 = (
            spectral_norm(nn.Conv2d(b, a, 3, padding=1, bias=False)) for a, b in reversed(list(pairwise(widths)))
        )
        self.conv7 = spectral_norm(nn.Conv2d(features, features, 3, padding=1, bias=False))
        self.conv8 = spectral_norm(nn.Conv2d(features, features, 3, padding=1, bias=False))
        self.conv9 = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        whole = _active(self.conv0(x))
        half = _active(self.conv1(whole))
        quarter = _active(self.conv2(half))
        eighth = _active(self.conv3(quarter))
        out = _active(self.conv4(doubled(eighth))) + quarter
        out = _active(self.conv5(doubled(out))) + half
        out = _active(self.conv6(doubled(out))) + whole
        return self.conv9(_active(self.conv8(_active(self.conv7(out)))))


def _active(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def doubled(x: Tensor) -> Tensor:
    """``(N, C, H, W)`` at twice the size, bilinear.

    As ``F.interpolate(x, scale_factor=2, mode="bilinear")``, whose gradient adds up in another order each time on a GPU: a
    resumed run would not end in the same bits.
    """
    for axis in (2, 3):
        length = x.shape[axis]
        before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, length - 1)], axis)
        after = torch.cat([x.narrow(axis, 1, length - 1), x.narrow(axis, length - 1, 1)], axis)
        x = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1).flatten(axis, axis + 1)
    return x


def _build(side: int, norm: Norm, channels: str) -> nn.Module:  # noqa: ARG001 (it takes crops of any size, with one norm)
    return UNetDiscriminator(channels)


DISCRIMINATORS.register(
    DiscriminatorModel(
        name="unet",
        build=_build,
        paper=Paper(
            "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
            2021,
            "https://arxiv.org/abs/2107.10833",
        ),
        norms=("spectral",),
        side=256,
        parameters=4_376_897,
        minimum=_SHRINK,
        multiple_of=_SHRINK,
    )
)
