"""EDSR: residual blocks without batch norm (Lim, Son, Kim, Nah, Lee; CVPR workshops 2017, arXiv:1707.02921).

State-dict keys and outputs equal BasicSR's ``EDSR``.
"""

from __future__ import annotations

from torch import Tensor, nn

from srbench.models import Paper, register_size
from srbench.models._layers import MeanShifted, ResidualBlock, colours, conv3x3, subpixel_tail
from srbench.models._shapes import Found, Shapes, shuffle_scale

_RANGE = 255.0  # the network works on 0–255 with the mean taken off


class EDSR(MeanShifted):
    """Mean shift, head, residual blocks with a long skip, sub-pixel tail.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of residual blocks.
        res_scale: factor on each block's residual.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self, scale: int, features: int = 64, blocks: int = 16, res_scale: float = 1.0, channels: str = "rgb"
    ) -> None:
        super().__init__(channels)
        planes = colours(channels)
        # Head, two a block, one after the body; the tail at 2 and 4 times the size reaches two LR pixels more.
        self.receptive_radius = 2 * blocks + 5
        self.conv_first = conv3x3(planes, features)
        self.body = nn.Sequential(*(ResidualBlock(features, res_scale) for _ in range(blocks)))
        self.conv_after_body = conv3x3(features, features)
        self.upsample = subpixel_tail(features, scale)
        self.conv_last = conv3x3(features, planes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first((x - self.mean) * _RANGE)
        x = self.conv_last(self.upsample(self.conv_after_body(self.body(x)) + x)) / _RANGE
        return x + self.mean if self.add_mean else x


def _infer(shapes: Shapes) -> Found | None:
    channels, features = shapes.channels("conv_first.weight"), shapes.side("conv_first.weight")
    if channels is None or "conv_after_body.weight" not in shapes or "body.0.conv1.weight" not in shapes:
        return None
    steps = max(1, sum(f"upsample.{place}.weight" in shapes for place in (0, 2, 4)))
    scale = shuffle_scale(shapes.side("upsample.0.weight"), features) ** steps
    blocks = shapes.count("body")
    published = {(64, 16): 1.0, (256, 32): 0.1}.get((features, blocks))
    res_scale = published or (0.1 if features >= 256 else 1.0)
    notes = () if published else (f"the residual scaling is not in the file; {res_scale} is supposed",)
    return Found((scale,), channels, {"features": features, "blocks": blocks, "res_scale": res_scale}, notes)


_PAPER = Paper(
    "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017, "https://arxiv.org/abs/1707.02921"
)


register_size(
    "edsr_baseline",
    EDSR,
    {2: 1_369_859, 3: 1_554_499, 4: 1_517_571},
    paper=_PAPER,
    infer=_infer,
    further=(8,),
    receptive_radius=37,
    options={"features": 64, "blocks": 16, "res_scale": 1.0},
)
register_size(
    "edsr",
    EDSR,
    {2: 40_729_603, 3: 43_680_003, 4: 43_089_923},
    paper=_PAPER,
    infer=_infer,
    further=(8,),
    receptive_radius=69,
    options={"features": 256, "blocks": 32, "res_scale": 0.1},
)
