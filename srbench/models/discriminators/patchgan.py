"""PatchGAN: a logit for each region of 70×70 pixels (Isola, Zhu, Zhou, Efros; CVPR 2017, arXiv:1611.07004)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from srbench.models import Paper
from srbench.models._layers import colours
from srbench.models.discriminators import DISCRIMINATORS, DiscriminatorModel, Norm

_LAYERS = ((64, 2), (128, 2), (256, 2), (512, 1))  # width and stride of the 4×4 convolutions before the last one


class PatchGAN(nn.Module):
    """``(N, C, H, W)`` in [0, 1] → logits ``(N, 1, H/8 − 2, W/8 − 2)``; it sees the crop alone, not the LR image beside it.

    Args:
        norm: ``batch`` (the paper's, on all layers but the first and the last), ``none``, or ``spectral``, which bounds how steep
            each convolution is (Miyato et al., 2018, arXiv:1802.05957).
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, norm: Norm = "batch", channels: str = "rgb") -> None:
        super().__init__()
        inputs = colours(channels)
        layers: list[nn.Module] = []
        for number, (width, stride) in enumerate(_LAYERS):
            normed = norm == "batch" and number > 0
            conv = nn.Conv2d(inputs, width, 4, stride, padding=1, bias=not normed)
            layers += [spectral_norm(conv) if norm == "spectral" else conv]
            layers += [nn.BatchNorm2d(width)] if normed else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            inputs = width
        last = nn.Conv2d(inputs, 1, 4, 1, padding=1)
        self.layers = nn.Sequential(*layers, spectral_norm(last) if norm == "spectral" else last)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


DISCRIMINATORS.register(
    DiscriminatorModel(
        name="patch",
        build=lambda side, norm, channels: PatchGAN(norm, channels),  # noqa: ARG005 (it takes crops of any size)
        paper=Paper(
            "Image-to-Image Translation with Conditional Adversarial Networks", 2017, "https://arxiv.org/abs/1611.07004"
        ),
        norms=("batch", "none", "spectral"),
        side=96,
        parameters=2_765_633,
        minimum=24,
    )
)
