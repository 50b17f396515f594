"""ST-LPIPS: LPIPS that a shift by a pixel changes little, over an AlexNet whose strides are anti-aliased.

Ghildyal, Liu: Shift-tolerant Perceptual Similarity Metric, ECCV 2022, arXiv:2207.13686. The authors' package ``stlpips-pytorch``
(BSD 2-clause, weights included), on RGB scaled to [−1, 1], the whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srbench.constants import constant
from srbench.interop.stlpips import check_installed, load_network
from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, check, check_finite, numbers

MINIMUM = 31


@constant
def _network(device: torch.device) -> nn.Module:
    return load_network().to(device)


@torch.no_grad()
def st_lpips(sr: Tensor, hr: Tensor) -> Tensor:
    """ST-LPIPS of each pair of images, float64 ``(N,)``; 0 for identical ones, smaller is better. Computed in float32.

    Args:
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray on the 0–255 scale, at least 31×31.
        hr: like ``sr``.

    Raises:
        UnavailableError: the package is not installed, or an image holds NaN or infinity.
        InputError: shapes do not fit.
    """
    check("st-lpips", sr, hr, channels=(1, 3), minimum=MINIMUM)
    check_finite("st-lpips", sr, hr)
    network = _network(sr.device)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):
        x, y = (p[index : index + 1].to(torch.float32).expand(-1, 3, -1, -1) / (PEAK / 2) - 1.0 for p in (sr, hr))
        scores[index] = network(x, y).double().sum()
    return numbers("st-lpips", scores)


METRICS.register(
    Metric(
        name="st-lpips",
        prepare=keep_hr,
        score=st_lpips,
        space="rgb",
        crop="full",
        unit="",
        higher_is_better=False,
        digits=4,
        version=1,
        summary="LPIPS that tolerates shifts, over an anti-aliased AlexNet; of RGB, whole images",
        source="arXiv:2207.13686",
        least=0.0,
        tolerance=1e-4,
        minimum=MINIMUM,
        memory=1300,
        licence="BSD 2-clause",
        ready=check_installed,
    )
)
