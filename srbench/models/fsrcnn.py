"""FSRCNN: SRCNN's work at LR size, upsampled by one transposed convolution (Dong, Loy, Tang; ECCV 2016, arXiv:1608.00367)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError
from srbench.models import Paper, register_size
from srbench.models._layers import colours
from srbench.models._shapes import Found, Shapes

KERNEL = 9


def _reach(kernel: int, scale: int) -> int:
    """LR pixels that the transposed convolution reaches on each side; at least 2, which 9 reaches at stride 2."""
    return max(2, math.ceil(kernel // 2 / scale))


class ReplicatedTransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution to exactly ``scale`` times the size; its input's edges are replicated.

    PyTorch's own pads with zeros, which darkens the border. Weights and keys are those of ``nn.ConvTranspose2d``.
    """

    def __init__(self, inputs: int, outputs: int, scale: int, kernel: int = KERNEL) -> None:
        reach = _reach(kernel, scale)
        padding = kernel // 2 + reach * scale
        super().__init__(inputs, outputs, kernel, stride=scale, padding=padding, output_padding=scale - 1)
        self.reach = reach

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(F.pad(x, (self.reach,) * 4, mode="replicate"), output_size)


class FSRCNN(nn.Module):
    """Feature extraction 5×5, shrinking 1×1, ``m`` mappings 3×3, expanding 1×1, transposed convolution 9×9; PReLU a channel.

    Edges are replicated, as the authors' code does. As in the paper, convolutions are initialised by He's rule for PReLU with
    slopes of 0.25, the transposed convolution from a Gaussian of 0.001, and biases with zero.

    Args:
        scale: 2, 3 or 4.
        d: channels of the extracted features.
        s: channels after shrinking.
        m: number of mapping layers.
        kernel: side of the transposed convolution's, odd; weights whose output lies one pixel off need 11.
        activation: ``prelu`` (the paper's) or ``relu``.
        channels: ``y`` or ``rgb``.
    """

    def __init__(
        self,
        scale: int,
        d: int = 56,
        s: int = 12,
        m: int = 4,
        kernel: int = KERNEL,
        activation: str = "prelu",
        channels: str = "y",
    ) -> None:
        super().__init__()
        if activation not in ("prelu", "relu"):
            raise InputError(f"activation must be 'prelu' or 'relu', not {activation!r}")
        planes = colours(channels)
        self.receptive_radius = 2 + m + _reach(kernel, scale)
        widths = [(planes, d, 5), (d, s, 1), *[(s, s, 3)] * m, (s, d, 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, side in widths:
            conv = nn.Conv2d(inputs, outputs, side, padding=side // 2, padding_mode="replicate")
            nn.init.kaiming_normal_(conv.weight, a=0.25)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers += [conv, nn.PReLU(outputs) if activation == "prelu" else nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.deconv = ReplicatedTransposedConvolution(d, planes, scale, kernel)
        nn.init.normal_(self.deconv.weight, std=0.001)
        if self.deconv.bias is not None:
            nn.init.zeros_(self.deconv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.deconv(self.body(x))


def _infer(shapes: Shapes) -> Found | None:
    channels, mappings = shapes.channels("body.0.weight"), (shapes.count("body") + 1) // 2 - 3  # a ReLU has no key
    kernel = shapes.side("deconv.weight", 3)
    if channels is None or mappings < 1 or not kernel % 2:
        return None
    d, s = shapes.side("body.0.weight"), shapes.side("body.2.weight")
    activation = "prelu" if "body.1.weight" in shapes else "relu"
    return Found((2, 3, 4), channels, {"d": d, "s": s, "m": mappings, "kernel": kernel, "activation": activation})


_PAPER = Paper(
    "Accelerating the Super-Resolution Convolutional Neural Network", 2016, "https://arxiv.org/abs/1608.00367"
)
# 12,464 weights, 173 biases and 172 slopes; 3,937, 75 and 74 of the small one.
for _name, _parameters, _d, _s, _m in (("fsrcnn", 12_809, 56, 12, 4), ("fsrcnn_s", 4_086, 32, 5, 1)):
    register_size(
        _name,
        FSRCNN,
        dict.fromkeys((2, 3, 4), _parameters),
        paper=_PAPER,
        infer=_infer,
        further=(8,),
        receptive_radius=4 + _m,
        channels="y",
        options={"d": _d, "s": _s, "m": _m, "kernel": KERNEL, "activation": "prelu"},
    )
