"""LPIPS: distance between the features of a classifier, weighted to agree with human judgement.

Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018,
arXiv:1801.03924. Version 0.1 of the authors' package ``lpips``, on RGB scaled to [−1, 1]; the trunk is torchvision's.

Measured on the whole image, because that reproduces the published values of bicubic ×4 (Set5 .3407, Set14 .4393, in SPSR's
table) to the last digit if LR is not rounded to 8 bits (if it is, as in ``standard``, they are .3406 and .4401). With a
border of 4 pixels cropped they would be .3441 and .4405.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from srbench.constants import constant
from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._backbones import check_backbone, load_backbone
from srbench.metrics._images import PEAK, check, check_alike, check_image, check_size, numbers, strips
from srbench.metrics._winograd import Winograd
from srbench.threads import share_out

Net = Literal["alex", "vgg"]

# Of each net: the backbone, the layers whose (rectified) output is compared, the least height and width that its
# pooling leaves something of, and the bytes a pixel that are held at once.
_NETS: dict[Net, tuple[str, tuple[int, ...], int, int]] = {
    "alex": ("alexnet", (1, 4, 7, 9, 11), 31, 110),
    "vgg": ("vgg16", (3, 8, 15, 22, 29), 16, 1400),
}
# The package scales RGB to [−1, 1], takes (−.030, −.088, −.188) off and divides by (.458, .448, .450).
_MEAN = tuple(PEAK / 2 * (1 + shift) for shift in (-0.030, -0.088, -0.188))
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10  # beside the length of a feature vector, as in the package
_SAMPLES = 2**16  # of features that are compared at once


class _Trunk(nn.Module):
    """The outputs of some layers of a backbone, in the memory order channels_last.

    Args:
        features: the backbone's layers.
        taps: those whose output is compared.
    """

    def __init__(self, features: nn.Sequential, taps: tuple[int, ...]) -> None:
        super().__init__()
        used = features[: taps[-1] + 1]
        _take_scaling_in(used[0])
        layers = (Winograd(layer) if Winograd.fits(layer) else layer for layer in used)
        self.features = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.taps = taps

    def forward(self, image: Tensor) -> list[Tensor]:
        """What the layers give of an image.

        Args:
            image: what :func:`_centred` made.
        """
        outputs = []
        for index, layer in enumerate(self.features):
            image = layer(image)
            if index in self.taps:
                outputs.append(image)
        return outputs


def _take_scaling_in(first: nn.Module) -> None:
    """Have the first convolution divide by LPIPS' scale. The mean is taken off before, so that the border's zeros are exact."""
    scale = torch.tensor(_SCALE, dtype=torch.float64).view(1, 3, 1, 1) * (PEAK / 2)
    weight = first.get_parameter("weight")
    weight.copy_(weight.double() / scale)


@dataclass(frozen=True)
class _Network:
    """The trunk and, for each layer, the weights of its channels."""

    trunk: _Trunk
    weights: tuple[Tensor, ...]


@constant
def _network(net: Net, device: torch.device) -> _Network:
    """The network of the ``lpips`` package over our backbone; its own constructor would draw a random trunk first."""
    import lpips

    name, taps, *_ = _NETS[net]
    with torch.no_grad():
        trunk = _Trunk(load_backbone(name)[0], taps).requires_grad_(False).eval().to(device)
    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    linear = torch.load(path, map_location="cpu", weights_only=True)
    weights = (linear[f"lin{layer}.model.1.weight"].flatten().to(device) for layer in range(len(taps)))
    return _Network(trunk, tuple(weights))


@dataclass(frozen=True)
class Reference:
    """What LPIPS compares SR with.

    Attributes:
        shape: of HR, ``(N, C, H, W)``.
        device: where it lies.
        features: of each image the features of each layer.
    """

    shape: torch.Size
    device: torch.device
    features: tuple[tuple[Tensor, ...], ...]


@torch.no_grad()
def prepare(net: Net, truth: Truth) -> Reference:
    """The features of HR; 42 bytes a pixel with alex.

    Args:
        net: ``"alex"`` or ``"vgg"``.
        truth: with HR ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale.

    Raises:
        UnavailableError: the backbone's weights are neither here nor downloadable.
        InputError: HR is not of this form or too small.
    """
    hr, name = truth.hr, _metric_name(net)
    check_image(name, "HR", hr)
    check_size(name, hr.shape, channels=(1, 3), minimum=_NETS[net][2])
    network = _network(net, hr.device)
    features = [_layers(network, hr[index : index + 1]) for index in range(len(hr))]
    for layer in itertools.chain(*features):
        _scale_all(layer)
    return Reference(hr.shape, hr.device, tuple(map(tuple, features)))


@torch.no_grad()
def score(net: Net, sr: Tensor, reference: Reference) -> Tensor:
    """LPIPS of each SR image, float64 ``(N,)``.

    Args:
        net: what the reference was prepared with.
        sr: of HR's shape.
        reference: what :func:`prepare` returned.

    Raises:
        InputError: SR has another shape or type.
        UnavailableError: an image holds NaN.
    """
    name = _metric_name(net)
    check_image(name, "SR", sr)
    check_alike(name, sr, reference.shape, reference.device)
    network = _network(net, sr.device)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):  # one at a time: the features of a batch of 2K images would not fit into memory
        made = _layers(network, sr[index : index + 1])
        layers = zip(made, reference.features[index], network.weights, strict=True)
        scores[index] = torch.stack([_distance(*layer) for layer in layers]).sum()
    return numbers(name, scores)


def lpips_distance(sr: Tensor, hr: Tensor, net: Net = "alex") -> Tensor:
    """LPIPS of each pair of images, float64 ``(N,)``; 0 for identical ones, smaller is better. Computed in float32.

    Args:
        sr: ``(N, 3, H, W)`` RGB on the 0–255 scale, or ``(N, 1, H, W)`` gray, which is treated as RGB with three equal channels.
            At least 31×31 with alex, 16×16 with vgg.
        hr: like ``sr``.
        net: ``"alex"``, which papers report, or ``"vgg"``.

    Raises:
        UnavailableError: the backbone's weights are neither here nor downloadable.
        InputError: shapes do not fit.
    """
    check(_metric_name(net), sr, hr, channels=(1, 3), minimum=_NETS[net][2])
    return score(net, sr, prepare(net, Truth(hr, None, 1)))


def _metric_name(net: Net) -> str:
    return "lpips" if net == "alex" else f"lpips-{net}"


def _layers(network: _Network, image: Tensor) -> list[Tensor]:
    """What is compared of an image ``(1, C, H, W)``: each layer's output as ``(H·W, C)``, not scaled yet."""
    return [out.permute(0, 2, 3, 1).reshape(-1, out.shape[1]) for out in network.trunk(_centred(image))]


def _centred(image: Tensor) -> Tensor:
    """RGB less LPIPS' mean: float32 ``(1, 3, H, W)`` on the 0–255 scale."""
    out = torch.empty(1, 3, *image.shape[-2:], dtype=torch.float32, device=image.device)
    for channel, mean in enumerate(_MEAN):
        torch.sub(image[:, channel % image.shape[1]], mean, out=out[:, channel])
    return out


def _scaled(features: Tensor) -> Tensor:
    """Each row ``(P, C)`` divided by its length, in place; one of zeros stays."""
    return features.div_(torch.linalg.vector_norm(features, dim=1, keepdim=True).add_(_EPSILON))


def _scale_all(features: Tensor) -> None:
    def work(parts: Sequence[slice]) -> list[None]:
        for rows in parts:
            _scaled(features[rows])
        return [None] * len(parts)

    share_out(work, _strips(features), features.numel())


def _distance(made: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """The mean over positions of the weighted squared difference of scaled features, float64; ``made`` is overwritten.

    Args:
        made: ``(P, C)``, not scaled yet.
        truth: ``(P, C)``, scaled.
        weights: ``(C,)``.
    """

    def work(parts: Sequence[slice]) -> list[Tensor]:
        return [_scaled(made[rows]).sub_(truth[rows]).square_().mv(weights).sum() for rows in parts]

    return torch.stack(share_out(work, _strips(made), made.numel())).sum(dtype=torch.float64) / len(made)


def _strips(features: Tensor) -> list[slice]:
    """Rows that stay in the second-level cache from the first operation to the last; on a GPU all of them."""
    rows = max(1, _SAMPLES // features.shape[1]) if features.device.type == "cpu" else len(features)
    return list(strips(len(features), rows))


_BACKBONES: tuple[tuple[Net, str], ...] = (("alex", "AlexNet"), ("vgg", "VGG16"))
for _net, _what in _BACKBONES:
    METRICS.register(
        Metric(
            name=_metric_name(_net),
            prepare=partial(prepare, _net),
            score=partial(score, _net),
            space="rgb",
            crop="full",
            unit="",
            higher_is_better=False,
            digits=4,
            version=1,
            summary=f"learned perceptual distance over {_what} features, v0.1; of RGB, whole images",
            source="arXiv:1801.03924",
            least=0.0,
            tolerance=1e-4,
            minimum=_NETS[_net][2],
            memory=_NETS[_net][3],
            licence="BSD 2-clause; backbone: torchvision, BSD 3-clause",
            ready=partial(check_backbone, _NETS[_net][0]),
        )
    )
