"""MSRResNet: SRResNet without batch norm, the PSNR baseline of ESRGAN's authors (Wang et al., 2018, arXiv:1809.00219).

State-dict keys and outputs equal BasicSR's ``MSRResNet``.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import ResidualBlock, colours, conv3x3, scaled_kaiming
from srbench.models._shapes import Found, Shapes, shuffle_scale


class MSRResNet(nn.Module):
    """Residual blocks between a head and a sub-pixel tail, added to the bilinearly upscaled input; LeakyReLU of 0.1.

    Args:
        scale: 2, 3 or 4.
        features: channels inside the network.
        blocks: number of residual blocks.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, features: int = 64, blocks: int = 16, channels: str = "rgb") -> None:
        super().__init__()
        planes = colours(channels)
        self.scale = scale
        self.receptive_radius = 2 * blocks + 5
        self.step = 3 if scale == 3 else 2
        self.conv_first = conv3x3(planes, features)
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.upconv1 = conv3x3(features, features * self.step**2)
        if scale == 4:
            self.upconv2 = conv3x3(features, features * self.step**2)
        self.conv_hr = conv3x3(features, features)
        self.conv_last = conv3x3(features, planes)
        scaled_kaiming([self], 0.1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(_lrelu(self.conv_first(x)))
        features = _lrelu(F.pixel_shuffle(self.upconv1(features), self.step))
        if self.scale == 4:
            features = _lrelu(F.pixel_shuffle(self.upconv2(features), self.step))
        base = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return self.conv_last(_lrelu(self.conv_hr(features))) + base


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _infer(shapes: Shapes) -> Found | None:
    channels, features = shapes.channels("conv_first.weight"), shapes.side("conv_first.weight")
    step = shuffle_scale(shapes.side("upconv1.weight"), features)
    if channels is None or step < 2 or "body.0.conv1.weight" not in shapes:
        return None
    scale = 4 if "upconv2.weight" in shapes else step
    return Found((scale,), channels, {"features": features, "blocks": shapes.count("body")})


MODELS.register(
    Model(
        name="msrresnet",
        build=MSRResNet,
        paper=Paper(
            "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
            2018,
            "https://arxiv.org/abs/1809.00219",
        ),
        channels="rgb",
        scales=(2, 3, 4),
        parameters={2: 1_369_859, 3: 1_554_499, 4: 1_517_571},
        receptive_radius=37,
        has_skip=True,
        options={"features": 64, "blocks": 16},
        infer=_infer,
    )
)
