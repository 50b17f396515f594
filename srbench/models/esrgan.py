"""ESRGAN's generator, also trained for PSNR as RRDB (Wang et al.; ECCV workshops 2018, arXiv:1809.00219).

State-dict keys and outputs equal BasicSR's ``RRDBNet`` at ×2 and ×4; its ×3 silently upscales by 4, ours by 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import Paper, register_size
from srbench.models._layers import colours, conv3x3, scaled_kaiming
from srbench.models._shapes import Found, Shapes

_RESIDUAL = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each seeing all before it; LeakyReLU of 0.2; a fifth of the output is added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, growth)
        self.conv2 = conv3x3(features + growth, growth)
        self.conv3 = conv3x3(features + 2 * growth, growth)
        self.conv4 = conv3x3(features + 3 * growth, growth)
        self.conv5 = conv3x3(features + 4 * growth, features)
        scaled_kaiming([self], 0.1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, _lrelu(conv(seen))), 1)
        return self.conv5(seen) * _RESIDUAL + x


class RRDB(nn.Module):
    """Three dense blocks, a fifth of whose output is added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * _RESIDUAL + x


class RRDBNet(nn.Module):
    """Head, RRDBs under a long skip, nearest-neighbour upsampling with convolutions, tail.

    ×4 upsamples by 2 twice, ×3 by 3 once. ×2 first folds 2×2 pixels into channels, as BasicSR does, and then upsamples
    by 4, so its input's height and width must be even. Without ``fold`` it upsamples by 2 once, as BSRGAN's ×2.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of RRDBs.
        growth: channels that each convolution of a dense block adds.
        fold: whether ×2 folds; without effect at other scales.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        features: int = 64,
        blocks: int = 23,
        growth: int = 32,
        fold: bool = True,
        channels: str = "rgb",
    ) -> None:
        super().__init__()
        planes = colours(channels)
        self.fold = 2 if scale == 2 and fold else 1
        self.step = 3 if scale == 3 else 2
        # Fifteen convolutions an RRDB, five others; folded pixels are twice as large.
        self.receptive_radius = self.fold * (15 * blocks + 6)
        self.conv_first = conv3x3(planes * self.fold**2, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = conv3x3(features, features)
        self.conv_up1 = conv3x3(features, features)
        self.twice = scale == 4 or self.fold > 1
        if self.twice:
            self.conv_up2 = conv3x3(features, features)
        self.conv_hr = conv3x3(features, features)
        self.conv_last = conv3x3(features, planes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv_first(F.pixel_unshuffle(x, self.fold) if self.fold > 1 else x)
        features = features + self.conv_body(self.body(features))
        features = _lrelu(self.conv_up1(F.interpolate(features, scale_factor=self.step, mode="nearest")))
        if self.twice:
            features = _lrelu(self.conv_up2(F.interpolate(features, scale_factor=2, mode="nearest")))
        return self.conv_last(_lrelu(self.conv_hr(features)))


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _infer(shapes: Shapes) -> Found | None:
    first, growth = shapes.side("conv_first.weight", 1), shapes.side("body.0.rdb1.conv1.weight")
    channels = shapes.channels("conv_last.weight", axis=0)
    if channels is None or not growth:
        return None
    folded = first // shapes.side("conv_last.weight")
    if folded not in (1, 4) or (folded == 4 and "conv_up2.weight" not in shapes):
        return None  # 16 folded pixels make a network of scale 1, which is for restoration
    options = {"features": shapes.side("conv_first.weight"), "blocks": shapes.count("body"), "growth": growth}
    if folded == 4 or "conv_up2.weight" in shapes:
        return Found((2,) if folded == 4 else (4,), channels, options)
    return Found((2, 3), channels, options, only={2: {"fold": False}})


_PAPER = Paper(
    "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018, "https://arxiv.org/abs/1809.00219"
)


for _name in ("esrgan", "rrdb"):
    register_size(
        _name,
        RRDBNet,
        {2: 16_703_171, 3: 16_661_059, 4: 16_697_987},
        paper=_PAPER,
        infer=_infer,
        receptive_radius=702,  # at ×2, which sees folded pixels
        multiple_of={2: 2},
        options={"features": 64, "blocks": 23, "growth": 32, "fold": True},
    )
for _name in ("esrgan_s", "rrdb_s"):
    register_size(
        _name,
        RRDBNet,
        {2: 1_121_347, 3: 1_109_507, 4: 1_118_755},
        paper=_PAPER,
        infer=_infer,
        receptive_radius=192,
        multiple_of={2: 2},
        options={"features": 32, "blocks": 6, "growth": 16, "fold": True},
    )
