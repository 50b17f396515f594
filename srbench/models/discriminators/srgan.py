"""Discriminators for adversarial training: SRGAN's with dense layers, and a fully convolutional one for any patch size.

Both share the eight convolutions 64 → 512 of SRGAN's discriminator (Ledig et al., arXiv:1609.04802): 3×3, every second
one with stride 2, LeakyReLU of 0.2, a norm on all but the first. They give logits; the loss applies the sigmoid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError
from srbench.models import Paper
from srbench.models._layers import colours
from srbench.models.discriminators import DISCRIMINATORS, DiscriminatorModel, Norm

_WIDTHS = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))
_SHRINK = 16


class VirtualBatchNorm(nn.Module):
    """Normalises each image by the statistics of a fixed reference batch and of itself (Salimans et al., 2016,
    arXiv:1606.03498), so that an image's logit does not depend on its neighbours in the batch.

    While ``collecting``, the batch is taken as the reference and is normalised by itself.
    """

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.eps = eps
        self.collecting = False
        self.reference: tuple[Tensor, Tensor, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.collecting:
            mean, square = x.mean((0, 2, 3), keepdim=True), x.square().mean((0, 2, 3), keepdim=True)
            self.reference = mean, square, x.shape[0]
        else:
            assert self.reference is not None, "the discriminator collects before it judges"
            reference_mean, reference_square, count = self.reference
            share = 1.0 / (count + 1)
            mean = share * x.mean((2, 3), keepdim=True) + (1 - share) * reference_mean
            square = share * x.square().mean((2, 3), keepdim=True) + (1 - share) * reference_square
        variance = (square - mean.square()).clamp(min=0.0)
        scaled = (x - mean) * torch.rsqrt(variance + self.eps)
        return scaled * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class Discriminator(nn.Module):
    """``(N, C, H, W)`` in [0, 1] → logits ``(N, 1)``, high for HR images.

    Virtual batch norm needs a reference batch, set by ``set_reference`` before the first ``forward``; its
    statistics depend on the weights, so each ``forward`` runs it again. It is not part of the state dict.

    Args:
        head: maps the 512 features at 1/16 of the size to ``(N, 1)``.
        norm: ``batch``, ``none`` (as Wasserstein with gradient penalty wants) or ``virtual``.
        channels: ``y`` or ``rgb``.
    """

    def __init__(self, head: nn.Module, norm: Norm = "batch", channels: str = "rgb") -> None:
        super().__init__()
        if norm not in ("batch", "none", "virtual"):
            raise InputError(f"norm must be 'batch', 'none' or 'virtual', not {norm!r}")
        inputs = colours(channels)
        layers: list[nn.Module] = []
        for number, (width, stride) in enumerate(_WIDTHS):
            layers.append(nn.Conv2d(inputs, width, 3, stride=stride, padding=1))
            if number and norm != "none":
                layers.append(nn.BatchNorm2d(width) if norm == "batch" else VirtualBatchNorm(width))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = width
        self.features = nn.Sequential(*layers)
        self.head = head
        self.norm = norm
        self.register_buffer("reference", None, persistent=False)

    def set_reference(self, batch: Tensor) -> None:
        """The images ``(N, C, H, W)`` whose statistics virtual batch norm uses; other norms ignore it."""
        self.reference = batch

    def forward(self, x: Tensor) -> Tensor:
        if self.norm == "virtual":
            self._collect()
        return self.head(self.features(x))

    def _collect(self) -> None:
        if self.reference is None:
            raise InputError("virtual batch norm needs a reference batch: call set_reference first")
        norms = [layer for layer in self.features if isinstance(layer, VirtualBatchNorm)]
        for norm in norms:
            norm.collecting = True
        self.features(self.reference)
        for norm in norms:
            norm.collecting = False


class DenseHead(nn.Module):
    """SRGAN's two dense layers, 512 · (patch/16)² → 1024 → 1, for patches of one size."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        if patch < _SHRINK or patch % _SHRINK:
            raise InputError(f"a discriminator with dense layers needs a patch that is a multiple of 16, not {patch}")
        self.patch = patch
        self.dense1 = nn.Linear(512 * (patch // _SHRINK) ** 2, 1024)
        self.dense2 = nn.Linear(1024, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.patch // _SHRINK,) * 2:
            raise InputError(f"the discriminator was built for patches of {self.patch}×{self.patch} HR pixels")
        return self.dense2(F.leaky_relu(self.dense1(x.flatten(1)), 0.2))


class ConvolutionalHead(nn.Module):
    """Two 1×1 convolutions, 512 → 1024 → 1, and the mean over the image, for patches of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(512, 1024, 1)
        self.conv2 = nn.Conv2d(1024, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.leaky_relu(self.conv1(x), 0.2)).mean((2, 3))


def dense_discriminator(patch: int, norm: Norm = "batch", channels: str = "rgb") -> Discriminator:
    """SRGAN's discriminator for ``patch`` × ``patch`` HR pixels; 107,451,585 trainable parameters at 224."""
    return Discriminator(DenseHead(patch), norm, channels)


def convolutional_discriminator(norm: Norm = "batch", channels: str = "rgb") -> Discriminator:
    """The same convolutions with a head that takes any patch of 16 HR pixels or more; 5,215,425 parameters."""
    return Discriminator(ConvolutionalHead(), norm, channels)


_PAPER = Paper(
    "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
    2017,
    "https://arxiv.org/abs/1609.04802",
)
DISCRIMINATORS.register(
    DiscriminatorModel(
        name="dense",
        build=dense_discriminator,
        paper=_PAPER,
        norms=("batch", "none", "virtual"),
        side=224,
        parameters=107_451_585,
        minimum=_SHRINK,
        multiple_of=_SHRINK,
        one_size=True,
    )
)
DISCRIMINATORS.register(
    DiscriminatorModel(
        name="convolutional",
        build=lambda side, norm, channels: convolutional_discriminator(norm, channels),  # noqa: ARG005
        paper=_PAPER,
        norms=("batch", "none", "virtual"),
        side=96,
        parameters=5_215_425,
        minimum=_SHRINK,
    )
)
