"""MDSR: one EDSR trunk with a head and a tail for each scale (Lim, Son, Kim, Nah, Lee; CVPR workshops 2017, arXiv:1707.02921)."""

from __future__ import annotations

from torch import Tensor, nn

from srbench.errors import UnavailableError
from srbench.models import Paper, register_size
from srbench.models._layers import MeanShifted, ResidualBlock, colours, conv3x3, subpixel_tail
from srbench.models._shapes import Found, Shapes

_SCALES = (2, 3, 4)
_RANGE = 255.0  # as EDSR


class MDSR(MeanShifted):
    """Two 5×5 residual blocks for each scale, a shared trunk, a sub-pixel tail for each scale.

    One set of weights serves ×2, ×3 and ×4; ``set_scale`` chooses which head and tail ``forward`` uses.

    Args:
        scale: the scale to begin with.
        features: channels inside the network.
        blocks: number of residual blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, features: int = 64, blocks: int = 80, channels: str = "rgb") -> None:
        super().__init__(channels)
        planes = colours(channels)
        self.receptive_radius = 2 * blocks + 13  # EDSR's and four 5×5 convolutions
        self.conv_first = conv3x3(planes, features)
        self.pre_process = nn.ModuleDict(
            {f"x{s}": nn.Sequential(*(ResidualBlock(features, kernel=5) for _ in range(2))) for s in _SCALES}
        )
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.conv_after_body = conv3x3(features, features)
        self.upsample = nn.ModuleDict({f"x{s}": subpixel_tail(features, s) for s in _SCALES})
        self.conv_last = conv3x3(features, planes)
        self.set_scale(scale)

    def set_scale(self, scale: int) -> None:
        """Choose the head and tail of ``scale``; raises UnavailableError where there is none."""
        if scale not in _SCALES:
            raise UnavailableError("unsupported_scale", f"mdsr has x2, x3, x4, not x{scale}")
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre_process[f"x{self.scale}"](self.conv_first((x - self.mean) * _RANGE))
        x = self.upsample[f"x{self.scale}"](self.conv_after_body(self.body(x)) + x)
        x = self.conv_last(x) / _RANGE
        return x + self.mean if self.add_mean else x


def _infer(shapes: Shapes) -> Found | None:
    channels = shapes.channels("conv_first.weight")
    if channels is None or "pre_process.x2.0.conv1.weight" not in shapes:
        return None
    return Found(_SCALES, channels, {"features": shapes.side("conv_first.weight"), "blocks": shapes.count("body")})


_PAPER = Paper(
    "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017, "https://arxiv.org/abs/1707.02921"
)


for _name, _parameters, _blocks in (("mdsr", 7_953_987, 80), ("mdsr_baseline", 3_227_203, 16)):
    register_size(
        _name,
        MDSR,
        dict.fromkeys(_SCALES, _parameters),
        paper=_PAPER,
        infer=_infer,
        receptive_radius=2 * _blocks + 13,
        multi_scale=True,
        options={"features": 64, "blocks": _blocks},
    )
