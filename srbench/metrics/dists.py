"""DISTS: structure and texture similarity of a classifier's features; what LPIPS takes for texture, it need not.

Ding, Ma, Wang, Simoncelli: Image Quality Assessment: Unifying Structure and Texture Similarity, IEEE TPAMI 2022,
arXiv:2004.07728. VGG16's convolutions with the authors' blurred pooling and their weights of each channel. The image is taken
whole, at its own size, as papers on super-resolution do; the paper itself and ``piq`` reduce images to a shorter side of 256.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from srbench.constants import constant
from srbench.errors import install
from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._backbones import check_backbone, load_backbone
from srbench.metrics._files import DataFile
from srbench.metrics._images import PEAK, check_alike, check_image, check_size, numbers

WEIGHTS = DataFile(
    name="dists_weights.pt",
    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    package="DISTS_pytorch",
    inside="weights.pt",
    install=install("perceptual"),
    licence="MIT",
)
"""The authors' weight of each channel, ``alpha`` for texture and ``beta`` for structure."""

MINIMUM = 16  # what four poolings leave a pixel of
_CHANNELS = (3, 64, 128, 256, 512, 512)
_ENDS = (3, 8, 15, 22, 29)  # the last rectifier of each stage in torchvision's numbering
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision has them
_STABLE = 1e-6  # both constants of the paper


@dataclass(frozen=True)
class _Network:
    """VGG16 up to its last rectifier, and the share of each channel in the score."""

    layers: nn.Sequential
    texture: tuple[Tensor, ...]
    structure: tuple[Tensor, ...]


@dataclass(frozen=True)
class Reference:
    """What DISTS compares SR with.

    Attributes:
        shape: of HR, ``(N, C, H, W)``.
        device: where it lies.
        features: of each image those of each stage, less their mean.
        means: of each image the channels' means of each stage.
    """

    shape: torch.Size
    device: torch.device
    features: tuple[tuple[Tensor, ...], ...]
    means: tuple[tuple[Tensor, ...], ...]


@constant
def _network(device: torch.device) -> _Network:
    weights = torch.load(WEIGHTS.find("dists"), map_location="cpu", weights_only=True)
    shares = {name: weights[name].double().flatten() for name in ("alpha", "beta")}
    whole = shares["alpha"].sum() + shares["beta"].sum()
    texture, structure = (tuple((shares[name] / whole).to(device).split(_CHANNELS)) for name in ("alpha", "beta"))
    return _Network(load_backbone("vgg16")[0][: _ENDS[-1] + 1].to(device), texture, structure)


@constant
def _pooling(channels: int, device: torch.device) -> Tensor:
    """Hann's window of 5 without its zeros, over both axes, for each channel."""
    line = torch.tensor([0.5, 1.0, 0.5], device=device)
    window = line[:, None] * line
    return (window / window.sum()).repeat(channels, 1, 1, 1)


def _ready() -> None:
    WEIGHTS.find("dists")
    check_backbone("vgg16")


def _stages(network: _Network, image: Tensor) -> Iterator[Tensor]:
    """The image itself in [0, 1], then the output of each of VGG's stages, each with its centre: one at a time."""
    seen = image.to(torch.float32).expand(-1, 3, -1, -1) / PEAK
    yield seen
    mean, deviation = (seen.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
    made = (seen - mean) / deviation
    for index, layer in enumerate(network.layers):
        if isinstance(layer, nn.MaxPool2d):  # the root mean square under a window takes its place
            count = made.shape[1]
            pooled = functional.conv2d(made.square(), _pooling(count, made.device), stride=2, padding=1, groups=count)
            made = (pooled + 1e-12).sqrt()
        else:
            made = layer(made)
        if index in _ENDS:
            yield made


def _centred(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(dim=(-2, -1), keepdim=True)
    return features - mean, mean.flatten()


def _check(which: str, image: Tensor) -> None:
    check_image("dists", which, image)
    check_size("dists", image.shape, (1, 3), MINIMUM)


@torch.no_grad()
def prepare(truth: Truth) -> Reference:
    """The features of HR, some 480 bytes a pixel.

    Args:
        truth: with HR ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, at least 16×16.

    Raises:
        UnavailableError: the weights are not to be had.
        InputError: HR is not of this form or too small.
    """
    _check("HR", truth.hr)
    network = _network(truth.hr.device)
    centred = [[_centred(stage) for stage in _stages(network, truth.hr[i : i + 1])] for i in range(len(truth.hr))]
    return Reference(
        truth.hr.shape,
        truth.hr.device,
        tuple(tuple(features for features, _ in one) for one in centred),
        tuple(tuple(mean for _, mean in one) for one in centred),
    )


@torch.no_grad()
def score(sr: Tensor, reference: Reference) -> Tensor:
    """DISTS of each SR image, float64 ``(N,)``; 0 for identical ones, smaller is better. Computed in float32.

    Args:
        sr: of HR's shape.
        reference: what :func:`prepare` returned.

    Raises:
        InputError: SR has another shape or type.
        UnavailableError: an image holds NaN or infinity.
    """
    check_image("dists", "SR", sr)
    check_alike("dists", sr, reference.shape, reference.device)
    network = _network(sr.device)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):
        alike = torch.zeros((), dtype=torch.float64, device=sr.device)
        stages = zip(
            _stages(network, sr[index : index + 1]), reference.features[index], reference.means[index], strict=True
        )
        for place, (made, true, true_mean) in enumerate(stages):
            made, mean = _centred(made)
            alike += (network.texture[place] * _ratio(mean * true_mean, mean**2 + true_mean**2)).sum()
            covariance = (made * true).mean(dim=(-2, -1)).flatten()
            spread = (made.square().mean(dim=(-2, -1)) + true.square().mean(dim=(-2, -1))).flatten()
            alike += (network.structure[place] * _ratio(covariance, spread)).sum()
        scores[index] = (1.0 - alike).clamp(min=0.0)  # of identical images, a few times 1e-16 on either side
    return numbers("dists", scores)


def _ratio(product: Tensor, squares: Tensor) -> Tensor:
    return (2 * product + _STABLE) / (squares + _STABLE)


def dists(sr: Tensor, hr: Tensor) -> Tensor:
    """DISTS of each pair of images; see :func:`prepare` and :func:`score`.

    Args:
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale.
        hr: like ``sr``.
    """
    return score(sr, prepare(Truth(hr, None, 1)))


METRICS.register(
    Metric(
        name="dists",
        prepare=prepare,
        score=score,
        space="rgb",
        crop="full",
        unit="",
        higher_is_better=False,
        digits=4,
        version=1,
        summary="distance of structure and texture over VGG16 features, at the image's own size; of RGB, whole images",
        source="arXiv:2004.07728",
        least=0.0,
        tolerance=1e-4,
        minimum=MINIMUM,
        memory=1800,
        licence=f"{WEIGHTS.licence}; VGG16: torchvision, BSD 3-clause",
        ready=_ready,
    )
)
