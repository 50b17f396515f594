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

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from srbench.errors import InputError, UnavailableError
from srbench.metrics import METRICS, Metric, Truth
from srbench.metrics._images import PEAK, check_alike, check_finite, check_image, check_size, numbers

BORDER = 16
_THRESHOLD = 0.1
_SOFTNESS = 0.05  # the package's im_score, om_score and ha_score
_TEMPERATURE = 0.25
_KINDS = ("improvement", "omission", "hallucination")


def _distance(x: Tensor, y: Tensor) -> Tensor:
    """Normalised difference of ``(N, C, H, W)``, mean over the channels: ``(N, H, W)``."""
    return ((x - y).abs() / (x + y + 1e-8).abs()).mean(dim=1)


def _inner(image: Tensor, border: int) -> Tensor:
    """In [0, 1], without a border."""
    whole = image.to(torch.float32) / PEAK
    return whole[..., border:-border, border:-border] if border else whole


def prepare(kind: str, truth: Truth) -> Truth:
    """HR and LR, checked.

    Args:
        kind: ``"improvement"``, ``"omission"`` or ``"hallucination"``, for messages.
        truth: HR ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, more than 32 pixels in height and width, and
            LR of HR's size over the scale.

    Raises:
        UnavailableError: there is no LR image, or an image holds NaN or infinity.
        InputError: shapes do not fit.
    """
    hr, lr, scale = truth.hr, truth.lr, truth.scale
    if lr is None:
        raise UnavailableError("unavailable", f"{kind} needs the LR image that the SR image was made from")
    check_image(kind, "HR", hr)
    check_size(kind, hr.shape, (1, 3), 2 * BORDER + scale)
    check_finite(kind, hr, lr)
    height, width = hr.shape[-2:]
    if (lr.shape[-2] * scale, lr.shape[-1] * scale) != (height, width):
        found = "×".join(map(str, lr.shape[:-3:-1]))
        raise InputError(f"{kind}: the LR image is {found} (W×H); expected a {scale}th of the HR's {width}×{height}")
    return truth


@torch.no_grad()
def shares(kind: str, sr: Tensor, truth: Truth) -> Tensor:
    """Shares of improvement, omission and hallucination, float64 ``(N, 3)``.

    Args:
        kind: as :func:`prepare` has it.
        sr: of HR's shape.
        truth: what :func:`prepare` returned.

    Raises:
        InputError: SR has another shape or type.
        UnavailableError: an image holds NaN or infinity, or nowhere differs enough from HR or LR to tell.
    """
    check_image(kind, "SR", sr)
    check_alike(kind, sr, truth.hr.shape, truth.hr.device)
    check_finite(kind, sr)
    assert truth.lr is not None
    lr_border = BORDER // truth.scale
    border = lr_border * truth.scale  # where 16 is no multiple of the scale, whole LR pixels are left out
    made, true = _inner(sr, border), _inner(truth.hr, border)
    small = _inner(truth.lr.expand(-1, sr.shape[1], -1, -1), lr_border)
    large = functional.interpolate(small, scale_factor=truth.scale, mode="bilinear", antialias=True)
    found = [_of_one(made[i], true[i : i + 1], large[i : i + 1]) for i in range(len(made))]
    if any(one is None for one in found):
        raise UnavailableError("failed", f"{kind}: SR, HR and LR differ nowhere by more than a tenth")
    return torch.stack([one for one in found if one is not None])


def _of_one(made: Tensor, true: Tensor, large: Tensor) -> Tensor | None:
    """The shares of one image; None where no pixel counts."""
    from skimage.exposure import match_histograms

    matched = match_histograms(made.cpu().numpy(), true[0].cpu().numpy(), channel_axis=0)
    harmonised = torch.from_numpy(np.asarray(matched)).to(true)[None]
    apart, to_hr, to_lr = _distance(large, true), _distance(harmonised, true), _distance(harmonised, large)
    counted = (apart > _THRESHOLD) | (to_hr > _THRESHOLD) | (to_lr > _THRESHOLD)
    near, far = (to_hr / apart)[counted], (to_lr / apart)[counted]  # infinite or NaN where LR is HR
    excess = 1 - torch.exp(-(near + far - 1) * _SOFTNESS)
    kinds = torch.stack([near + far * excess, far + near * excess, torch.exp(-near * far * _SOFTNESS)])
    soft = torch.exp(-kinds / _TEMPERATURE)
    each = (soft / soft.sum(dim=0)).double()
    each = each[:, ~each.isnan().any(dim=0)]
    return each.mean(dim=1) if each.shape[1] else None


def _score(kind: str, sr: Tensor, truth: Truth) -> Tensor:
    return numbers(kind, shares(kind, sr, truth)[:, _KINDS.index(kind)])


_WORDS = {
    "improvement": "share of what SR has in common with HR rather than with LR",
    "omission": "share of HR's detail that SR leaves out, as LR does",
    "hallucination": "share of SR's detail that is in neither HR nor LR",
}
for _kind in _KINDS:
    METRICS.register(
        Metric(
            name=_kind,
            prepare=partial(prepare, _kind),
            score=partial(_score, _kind),
            space="rgb",
            crop="full",
            unit="",
            higher_is_better=_kind == "improvement",
            digits=4,
            version=1,
            summary=f"{_WORDS[_kind]}, as opensr-test's",
            source="doi:10.1109/LGRS.2024.3401394",
            needs=frozenset({"hr", "lr"}),
            least=0.0,
            greatest=1.0,
            tolerance=1e-3,
            minimum=2 * BORDER + 1,
        )
    )
