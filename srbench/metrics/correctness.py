"""What a network invents, omits and improves: hallucination, omission, improvement, as opensr-test defines them.

Aybar, Montero, Donike, Kalaitzis, Gómez-Chova: A Comprehensive Benchmark for Optical Remote Sensing Image Super-Resolution,
IEEE GRSL 2024, doi:10.1109/LGRS.2024.3401394, and their package ``opensr-test`` 1.3.3. Every pixel has two distances: from SR to
HR and from SR to LR, enlarged bilinearly; both are taken relative to the distance from that LR to HR. Near HR is improvement,
near LR is omission, far from both is hallucination. The shares of the three add up to 1.

Stated: the distance is the package's default, the normalised difference ``|x − y| / |x + y|``, mean over the channels; images
in [0, 1], without a border of 16 pixels; SR's histogram is first matched to HR's, channel by channel; pixels count where one of
the three distances is above 0.1; the package's constants (0.05 each, temperature 0.25). One step of the package is left out: SR
is not moved onto HR, for nothing displaces images whose LR is made of HR. Even a perfect SR image has not all improvement: the
softened minimum gives it .965, .018 and .018 in each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from srbench.errors import InputError, UnavailableError
from srbench.metrics import METRICS, Metric, Part, Truth
from srbench.metrics._images import PEAK, check_alike, check_finite, check_image, check_size, numbers

BORDER = 16
_THRESHOLD = 0.1
_SOFTNESS = 0.05  # the package's im_score, om_score and ha_score
_TEMPERATURE = 0.25
_KINDS = ("improvement", "omission", "hallucination")
_NAMES = ", ".join(_KINDS)  # messages begin with all three: they come of one computation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Histogram:
    """What a channel of HR is made of.

    Attributes:
        values: its distinct values in [0, 1], ascending.
        quantiles: the share of pixels up to each.
    """

    values: Floats
    quantiles: Floats


@dataclass(frozen=True)
class Reference:
    """What SR images are compared with.

    Attributes:
        shape: of HR, ``(N, C, H, W)``.
        device: where it lies.
        scale: the upscaling factor.
        border: pixels that are left out, whole LR pixels.
        hr: in [0, 1], without the border.
        enlarged: LR, bilinearly, likewise.
        apart: the distance of these two, ``(N, h, w)``.
        histograms: of each image those of its channels.
    """

    shape: torch.Size
    device: torch.device
    scale: int
    border: int
    hr: Tensor
    enlarged: Tensor
    apart: Tensor
    histograms: tuple[tuple[_Histogram, ...], ...]


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """Normalised difference of ``(N, C, H, W)``, mean over the channels: ``(N, H, W)``."""
    return ((x - y).abs() / (x + y + 1e-8).abs()).mean(dim=1)


def _cropped(image: Tensor, border: int) -> Tensor:
    """Without a border."""
    return image[..., border:-border, border:-border] if border else image


def _unit(image: Tensor) -> Tensor:
    """In [0, 1]."""
    return image.to(torch.float32) / PEAK


@torch.no_grad()
def prepare(truth: Truth) -> Reference:
    """HR and enlarged LR, their distance, and HR's histograms; 27 bytes a pixel.

    Args:
        truth: HR ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, more than 32 pixels in height and width, and
            LR of HR's size over the scale.

    Raises:
        UnavailableError: there is no LR image, or an image holds NaN or infinity.
        InputError: shapes do not fit.
    """
    hr, lr, scale = truth.hr, truth.lr, truth.scale
    if lr is None:
        raise UnavailableError("unavailable", f"{_NAMES} need the LR image that the SR image was made from")
    check_image(_NAMES, "HR", hr)
    check_size(_NAMES, hr.shape, (1, 3), 2 * BORDER + scale)
    check_finite(_NAMES, hr, lr)
    height, width = hr.shape[-2:]
    if (lr.shape[-2] * scale, lr.shape[-1] * scale) != (height, width):
        found = "×".join(map(str, lr.shape[:-3:-1]))
        raise InputError(f"{_NAMES}: the LR image is {found} (W×H); expected a {scale}th of the HR's {width}×{height}")
    lr_border = BORDER // scale
    border = lr_border * scale  # where 16 is no multiple of the scale, whole LR pixels are left out
    inner = _cropped(hr, border)
    small = _unit(_cropped(lr.expand(-1, hr.shape[1], -1, -1), lr_border))
    large = functional.interpolate(small, scale_factor=scale, mode="bilinear", antialias=True)
    true = _unit(inner)
    apart = _distance(large, true)
    histograms = tuple(tuple(_histogram(channel) for channel in image) for image in inner)
    return Reference(hr.shape, hr.device, scale, border, true, large, apart, histograms)


@torch.no_grad()
def shares(sr: Tensor, reference: Reference) -> Tensor:
    """Shares of improvement, omission and hallucination, float64 ``(N, 3)``.

    Args:
        sr: of HR's shape.
        reference: what :func:`prepare` returned.

    Raises:
        InputError: SR has another shape or type.
        UnavailableError: an image holds NaN or infinity, or nowhere differs enough from HR or LR to tell.
    """
    check_image(_NAMES, "SR", sr)
    check_alike(_NAMES, sr, reference.shape, reference.device)
    check_finite(_NAMES, sr)
    inner = _cropped(sr, reference.border)
    found = [_of_one(inner[i], reference, i) for i in range(len(inner))]
    if any(one is None for one in found):
        raise UnavailableError("failed", f"{_NAMES}: SR, HR and LR differ nowhere by more than a tenth")
    return torch.stack([one for one in found if one is not None])


def _of_one(sr: Tensor, reference: Reference, index: int) -> Tensor | None:
    """The shares of one image ``(C, h, w)`` on the 0–255 scale; None where no pixel counts."""
    channels = zip(sr, reference.histograms[index], strict=True)
    harmonised = torch.stack([_matched(*channel) for channel in channels])[None]
    true, large = (image[index : index + 1] for image in (reference.hr, reference.enlarged))
    apart, to_hr, to_lr = reference.apart[index : index + 1], _distance(harmonised, true), _distance(harmonised, large)
    counted = (apart > _THRESHOLD) | (to_hr > _THRESHOLD) | (to_lr > _THRESHOLD)
    near, far = (to_hr / apart)[counted], (to_lr / apart)[counted]  # infinite or NaN where LR is HR
    excess = 1 - torch.exp(-(near + far - 1) * _SOFTNESS)
    kinds = torch.stack([near + far * excess, far + near * excess, torch.exp(-near * far * _SOFTNESS)])
    soft = torch.exp(-kinds / _TEMPERATURE)
    each = (soft / soft.sum(dim=0)).double()
    each = each[:, ~each.isnan().any(dim=0)]
    return each.mean(dim=1) if each.shape[1] else None


def _histogram(channel: Tensor) -> _Histogram:
    """Of ``(h, w)`` on the 0–255 scale."""
    values, _, counts = _distinct(channel)
    return _Histogram(values, np.cumsum(counts) / channel.numel())


def _matched(channel: Tensor, to: _Histogram) -> Tensor:
    """A channel ``(h, w)`` on the 0–255 scale with another's histogram, in [0, 1], float32.

    As ``skimage.exposure.match_histograms`` in every bit; that sorts both images for each SR image anew, where 8 bits can be
    counted and HR's side is known.
    """
    _, places, counts = _distinct(channel)
    levels = np.interp(np.cumsum(counts) / channel.numel(), to.quantiles, to.values)
    return torch.from_numpy(levels).to(channel.device, torch.float32)[places]


def _distinct(channel: Tensor) -> tuple[Floats, Tensor, NDArray[np.int64]]:
    """The distinct values of a channel in [0, 1], ascending; where among them each pixel is; how many pixels each has."""
    if channel.dtype != torch.uint8:
        values, places, counts = torch.unique(_unit(channel), return_inverse=True, return_counts=True)
        return values.double().cpu().numpy(), places, counts.cpu().numpy()
    pixels = channel.reshape(-1).to(torch.int32)
    counts = torch.bincount(pixels, minlength=256)
    present = counts > 0
    values = _unit(torch.arange(256, device=channel.device)[present])
    places = (present.cumsum(0) - 1)[channel.int()]
    return values.double().cpu().numpy(), places, counts[present].cpu().numpy()


def _share(kind: str, found: Tensor) -> Tensor:
    return numbers(kind, found[:, _KINDS.index(kind)])


_WORDS = {
    "improvement": "share of what SR has in common with HR rather than with LR",
    "omission": "share of HR's detail that SR leaves out, as LR does",
    "hallucination": "share of SR's detail that is in neither HR nor LR",
}
for _kind in _KINDS:
    METRICS.register(
        Metric(
            name=_kind,
            prepare=prepare,
            score=Part(shares, partial(_share, _kind)),
            space="rgb",
            crop="full",
            unit="",
            higher_is_better=_kind == "improvement",
            digits=4,
            version=1,
            summary=f"{_WORDS[_kind]}, as opensr-test's; of RGB, whole images without {BORDER} pixels at each edge",
            source="doi:10.1109/LGRS.2024.3401394",
            needs=frozenset({"hr", "lr"}),
            least=0.0,
            greatest=1.0,
            tolerance=1e-3,
            minimum=2 * BORDER + 1,
        )
    )
