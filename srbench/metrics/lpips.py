"""LPIPS: distance between the features of a classifier, weighted to agree with human judgement.

Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018,
arXiv:1801.03924. Version 0.1 of the authors' package ``lpips``, on RGB scaled to [−1, 1]; the trunk is torchvision's.

Measured on the whole image, because that reproduces the published values of bicubic ×4 (Set5 .3407, Set14 .4393, in SPSR's
table) to the last digit if LR is not rounded to 8 bits (if it is, as in ``standard``, they are .3406 and .4401). With a
border of 4 pixels cropped they would be .3441 and .4405.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._backbones import load_backbone
from srbench.metrics._images import PEAK, check, check_alike, check_image, check_size, numbers

Net = Literal["alex", "vgg"]

# Of each net: the backbone, the layers whose (rectified) output is compared, their channels, and the least height and width
# that its pooling leaves something of.
_NETS: dict[Net, tuple[str, tuple[int, ...], tuple[int, ...], int]] = {
    "alex": ("alexnet", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31),
    "vgg": ("vgg16", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16),
}


class _Trunk(nn.Module):
    """The outputs of some layers of a backbone."""

    def __init__(self, features: nn.Sequential, taps: tuple[int, ...]) -> None:
        super().__init__()
        self.features = features[: taps[-1] + 1]
        self.taps = taps

    def forward(self, image: Tensor) -> list[Tensor]:
        outputs = []
        for index, layer in enumerate(self.features):
            image = layer(image)
            if index in self.taps:
                outputs.append(image)
        return outputs


@cache
def _network(net: Net, device: torch.device) -> nn.Module:
    """The ``lpips`` package's network over our backbone. Its own constructor would draw a random trunk first."""
    import lpips

    name, taps, channels, _ = _NETS[net]
    network: nn.Module = lpips.LPIPS.__new__(lpips.LPIPS)
    nn.Module.__init__(network)
    network.lpips, network.spatial, network.version, network.L = True, False, "0.1", len(taps)  # type: ignore[assignment]
    network.scaling_layer = lpips.ScalingLayer()
    network.net = _Trunk(load_backbone(name)[0], taps)
    with torch.random.fork_rng(devices=[]):  # its layers draw weights, which would move the state of a training run
        network.lins = nn.ModuleList(lpips.NetLinLayer(count, use_dropout=True) for count in channels)
    linear = torch.load(
        Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth", map_location="cpu", weights_only=True
    )
    network.lins.load_state_dict({key.removeprefix("lin"): value for key, value in linear.items()}, strict=True)
    return network.requires_grad_(False).eval().to(device)


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
    check_size(name, hr.shape, channels=(1, 3), minimum=_NETS[net][3])
    network = _network(net, hr.device)
    return Reference(hr.shape, hr.device, tuple(_features(network, hr[i : i + 1]) for i in range(len(hr))))


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
    network: Any = _network(net, sr.device)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):  # one at a time: the features of a batch of 2K images would not fit into memory
        made, truth = _features(network, sr[index : index + 1]), reference.features[index]
        layers = zip(network.lins, made, truth, strict=True)
        scores[index] = sum(lin((a - b) ** 2).mean([2, 3], keepdim=True) for lin, a, b in layers).double().sum()
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
    check(_metric_name(net), sr, hr, channels=(1, 3), minimum=_NETS[net][3])
    return score(net, sr, prepare(net, Truth(hr, None, 1)))


def _metric_name(net: Net) -> str:
    return "lpips" if net == "alex" else f"lpips-{net}"


def _features(network: Any, image: Tensor) -> tuple[Tensor, ...]:
    """What is compared of an image ``(1, C, H, W)``: each layer's output, scaled to length 1 over the channels."""
    import lpips

    seen = image.to(torch.float32).expand(-1, 3, -1, -1) / (PEAK / 2) - 1.0
    return tuple(lpips.normalize_tensor(out) for out in network.net(network.scaling_layer(seen)))


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
            summary=f"learned perceptual distance over {_what} features, v0.1",
            source="arXiv:1801.03924",
            least=0.0,
            tolerance=1e-4,
        )
    )
