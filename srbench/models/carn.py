"""CARN and CARN-M: a cascading residual network (Ahn, Kang, Sohn; ECCV 2018, arXiv:1803.08664)."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError, UnavailableError
from srbench.models import Paper, register_size
from srbench.models._layers import MeanShifted, colours, conv3x3
from srbench.models._shapes import Found, Shapes

_EVERY = "x2x3x4"


class Residual(nn.Module):
    """Two 3×3 convolutions, in groups and followed by a 1×1 where there are several (CARN-M); ReLU after the sum."""

    def __init__(self, features: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1, groups=groups)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, groups=groups)
        self.mix = nn.Conv2d(features, features, 1) if groups > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv2(F.relu(self.conv1(x)))
        return F.relu((self.mix(F.relu(seen)) if self.mix is not None else seen) + x)


class Cascade(nn.Module):
    """Three units, before each but the first of which a 1×1 convolution sees all that came before.

    Args:
        units: modules of ``features`` channels; one alone is applied three times.
        features: channels of input and output.
    """

    def __init__(self, units: list[nn.Module], features: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.fuse = nn.ModuleList(nn.Conv2d(features * number, features, 1) for number in (2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        seen = out = x
        for number, fuse in enumerate(self.fuse):
            unit = self.units[number % len(self.units)]
            seen = torch.cat((seen, unit(out)), dim=1)
            out = F.relu(fuse(seen))
        return out


class CARN(MeanShifted):
    """Cascades of cascades and a sub-pixel tail for each scale.

    Args:
        scale: the scale to begin with, of those in ``tails``.
        features: channels inside the network.
        groups: of the convolutions.
        shared: each inner cascade applies one residual block three times.
        tails: the scales with a tail, such as ``x2x3x4`` (the paper's) or ``x4``.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        features: int = 64,
        groups: int = 1,
        shared: bool = False,
        tails: str = _EVERY,
        channels: str = "rgb",
    ) -> None:
        super().__init__(channels)
        if not re.fullmatch("(x[234])+", tails):
            raise InputError(f"tails must be scales such as 'x2x3x4' or 'x4', not {tails!r}")
        planes = colours(channels)
        self.scales = tuple(int(digit) for digit in tails[1::2])
        self.conv_first = conv3x3(planes, features)
        self.body = Cascade(
            [Cascade([Residual(features, groups) for _ in range(1 if shared else 3)], features) for _ in range(3)],
            features,
        )
        self.upsample = nn.ModuleDict({f"x{s}": _tail(features, s, groups) for s in self.scales})
        self.conv_last = conv3x3(features, planes)
        self.set_scale(scale)

    def set_scale(self, scale: int) -> None:
        """Choose the tail of ``scale``; raises UnavailableError where there is none."""
        if scale not in self.scales:
            has = ", ".join(f"x{s}" for s in self.scales)
            raise UnavailableError("unsupported_scale", f"carn has a tail for {has}, not x{scale}")
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        seen = self.body(self.conv_first(x - self.mean))
        seen = self.conv_last(self.upsample[f"x{self.scale}"](seen))
        return seen + self.mean if self.add_mean else seen


def _tail(features: int, scale: int, groups: int) -> nn.Sequential:
    """Convolution, ReLU and pixel shuffle: once for ×2 and ×3, twice for ×4."""
    layers: list[nn.Module] = []
    for step in {2: (2,), 3: (3,), 4: (2, 2)}[scale]:
        layers += [
            nn.Conv2d(features, features * step * step, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.PixelShuffle(step),
        ]
    return nn.Sequential(*layers)


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv_first.weight")
    first = "body.units.0.units.0.conv1.weight"
    scales = tuple(s for s in (2, 3, 4) if f"upsample.x{s}.0.weight" in shapes)
    if channels is None or first not in shapes or not scales or not shapes.side(first, 1):
        return None
    features = shapes.side("conv_first.weight")
    options = {
        "features": features,
        "groups": features // shapes.side(first, 1),
        "shared": shapes.count("body.units.0.units") == 1,
        "tails": "".join(f"x{s}" for s in scales),
    }
    return Found(scales, channels, options)


_PAPER = Paper(
    "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network",
    2018,
    "https://arxiv.org/abs/1803.08664",
)


for _name, _parameters, _groups in (("carn", 1_591_939, 1), ("carn_m", 414_787, 4)):
    register_size(
        _name,
        CARN,
        dict.fromkeys((2, 3, 4), _parameters),
        paper=_PAPER,
        infer=_infer,
        receptive_radius=21,
        multi_scale=True,
        display={"carn_m": "CARN-M"}.get(_name, ""),
        options={"features": 64, "groups": _groups, "shared": _groups > 1, "tails": _EVERY},
    )
