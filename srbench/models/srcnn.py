"""SRCNN: three convolutions on the bicubically upscaled image (Dong, Loy, He, Tang; TPAMI 2016, arXiv:1501.00092)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError
from srbench.models import MODELS, Model, Paper
from srbench.models._layers import colours
from srbench.models._shapes import Found, Shapes

KERNELS = "9-5-5"


class SRCNN(nn.Module):
    """Patch extraction, non-linear mapping, reconstruction; ``(N, C, H, W)`` to the same size.

    Edges are replicated, as the authors' code does. The last layer is drawn from the paper's Gaussian of 0.001. The
    paper draws the others from it too and trains for 8·10⁸ back-propagations; here they are Kaiming's, which a short
    training needs.
    """

    def __init__(self, kernels: str | Sequence[int] = KERNELS, channels: str = "y") -> None:
        super().__init__()
        planes = colours(channels)
        first, second, third = _sizes(kernels)
        self.receptive_radius = first // 2 + second // 2 + third // 2
        self.conv1 = nn.Conv2d(planes, 64, first, padding=first // 2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(64, 32, second, padding=second // 2, padding_mode="replicate")
        self.conv3 = nn.Conv2d(32, planes, third, padding=third // 2, padding_mode="replicate")
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.conv3.weight, std=0.001)
        for layer in (self.conv1, self.conv2, self.conv3):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


def _sizes(kernels: str | Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in (kernels.split("-") if isinstance(kernels, str) else kernels))
    except (TypeError, ValueError):
        sizes = ()
    if len(sizes) != 3 or any(size not in (1, 3, 5, 7, 9) for size in sizes):
        raise InputError(f"kernels must be three odd sizes up to 9 such as '9-5-5', not {kernels!r}")
    return sizes


def _build(scale: int, kernels: str | Sequence[int] = KERNELS, channels: str = "y") -> SRCNN:  # noqa: ARG001
    return SRCNN(kernels, channels)


def _infer(shapes: Shapes) -> Found | None:
    sides = [shapes.side(f"conv{number}.weight", 3) for number in (1, 2, 3)]
    channels = shapes.channels("conv1.weight")
    if channels is None or 0 in sides or shapes.side("conv3.weight") != shapes.side("conv1.weight", 1):
        return None
    return Found((2, 3, 4), channels, {"kernels": "-".join(map(str, sides))})


MODELS.register(
    Model(
        name="srcnn",
        build=_build,
        paper=Paper(
            "Image Super-Resolution Using Deep Convolutional Networks", 2016, "https://arxiv.org/abs/1501.00092"
        ),
        channels="y",
        scales=(2, 3, 4),
        parameters={2: 57_281, 3: 57_281, 4: 57_281},
        receptive_radius=8,
        pre_upsampled=True,
        options={"kernels": KERNELS},
        infer=_infer,
        further=(8,),
    )
)
