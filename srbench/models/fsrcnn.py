"""FSRCNN: SRCNN's work at LR size, upsampled by one transposed convolution (Dong, Loy, Tang; ECCV 2016, arXiv:1608.00367)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours

_PAD = 2  # LR pixels that a kernel of 9 reaches at stride 2, the widest


class ReplicatedTransposedConvolution(nn.ConvTranspose2d):
    """A 9×9 transposed convolution to exactly ``scale`` times the size; its input's edges are replicated.

    PyTorch's own pads with zeros, which darkens the border. Weights and keys are those of ``nn.ConvTranspose2d``.
    """

    def __init__(self, inputs: int, outputs: int, scale: int) -> None:
        super().__init__(inputs, outputs, 9, stride=scale, padding=4 + _PAD * scale, output_padding=scale - 1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(F.pad(x, (_PAD,) * 4, mode="replicate"), output_size)


class FSRCNN(nn.Module):
    """Feature extraction 5×5, shrinking 1×1, ``m`` mappings 3×3, expanding 1×1, transposed convolution 9×9; PReLU a channel.

    Edges are replicated, as the authors' code does. As in the paper, convolutions are initialised by He's rule for PReLU with
    slopes of 0.25, the transposed convolution from a Gaussian of 0.001, and biases with zero.

    Args:
        scale: 2, 3 or 4.
        d: channels of the extracted features.
        s: channels after shrinking.
        m: number of mapping layers.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, scale: int, d: int = 56, s: int = 12, m: int = 4, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        widths = [(planes, d, 5), (d, s, 1), *[(s, s, 3)] * m, (s, d, 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in widths:
            conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")
            nn.init.kaiming_normal_(conv.weight, a=0.25)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers += [conv, nn.PReLU(outputs)]
        self.body = nn.Sequential(*layers)
        self.deconv = ReplicatedTransposedConvolution(d, planes, scale)
        nn.init.normal_(self.deconv.weight, std=0.001)
        if self.deconv.bias is not None:
            nn.init.zeros_(self.deconv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(self.body(x))


def _build(scale: int, channels: str = "y") -> FSRCNN:
    return FSRCNN(scale, 56, 12, 4, channels)


def _build_small(scale: int, channels: str = "y") -> FSRCNN:
    return FSRCNN(scale, 32, 5, 1, channels)


_PAPER = Paper(
    "Accelerating the Super-Resolution Convolutional Neural Network", 2016, "https://arxiv.org/abs/1608.00367"
)
# 12,464 weights, 173 biases and 172 slopes; 3,937, 75 and 74 of the small one.
MODELS.register(Model("fsrcnn", _build, _PAPER, "y", (2, 3, 4), dict.fromkeys((2, 3, 4), 12_809), receptive_radius=8))
MODELS.register(
    Model("fsrcnn_s", _build_small, _PAPER, "y", (2, 3, 4), dict.fromkeys((2, 3, 4), 4_086), receptive_radius=5)
)
