"""Full-reference metrics of the ``piq`` package that need no download, at its default settings.

piq takes float images in [0, 1]. Each image is scored by itself, since piq's IW-SSIM, SR-SIM and DSS change with what
else is in the batch. Gray images become RGB with three equal channels for metrics that are defined on RGB. Each function works
on both images at once and returns a number alone, so that nothing of HR can be prepared but the image itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, check, check_finite, numbers


@dataclass(frozen=True)
class _Entry:
    """One function of piq.

    Attributes:
        name: ours.
        function: piq's.
        minimum: the smallest height and width; below it piq raises, returns NaN, or its filters cover the whole image.
        higher_is_better: as in Metric.
        digits: as in Metric.
        space: as in Metric.
        summary: as in Metric.
        source: as in Metric.
    """

    name: str
    function: str
    minimum: int
    summary: str
    source: str
    higher_is_better: bool = True
    digits: int = 4
    space: Literal["channel", "rgb"] = "rgb"


_ENTRIES = (
    _Entry(
        "ms-ssim",
        "multi_scale_ssim",
        161,
        "structural similarity over five scales; mean over the channels that the protocol measures, its border cropped",
        "doi:10.1109/ACSSC.2003.1292216",
        space="channel",
    ),
    _Entry(
        "iw-ssim",
        "information_weighted_ssim",
        161,
        "multi-scale SSIM weighted by local information content, on luminance; border cropped",
        "doi:10.1109/TIP.2010.2092435",
    ),
    _Entry(
        "vif",
        "vif_p",
        41,
        "visual information fidelity in the pixel domain, on luminance, border cropped; above 1 where contrast is raised",
        "doi:10.1109/TIP.2005.859378",
    ),
    _Entry(
        "fsim",
        "fsim",
        16,
        "feature similarity with chrominance (FSIMc): phase congruency and gradient; RGB, border cropped",
        "doi:10.1109/TIP.2011.2109730",
    ),
    _Entry(
        "srsim",
        "srsim",
        40,
        "similarity of spectral-residual saliency and gradient, on luminance; border cropped",
        "Zhang, Li: SR-SIM: A fast and high performance IQA index based on spectral residual, ICIP 2012",
    ),
    _Entry("vsi", "vsi", 16, "visual saliency-induced index; RGB, border cropped", "doi:10.1109/TIP.2014.2346028"),
    _Entry(
        "haarpsi",
        "haarpsi",
        16,
        "perceptual similarity of Haar wavelet coefficients; RGB, border cropped",
        "arXiv:1607.06140",
    ),
    _Entry(
        "dss",
        "dss",
        29,
        "similarity of DCT subbands, on luminance; border cropped",
        "Balanov, Schwartz, Moshe, Peleg: Image quality assessment based on DCT subband similarity, ICIP 2015",
    ),
    _Entry(
        "gmsd",
        "gmsd",
        16,
        "deviation of gradient magnitude similarity, on luminance; border cropped",
        "doi:10.1109/TIP.2013.2293423",
        higher_is_better=False,
    ),
    _Entry(
        "ms-gmsd",
        "multi_scale_gmsd",
        17,
        "GMSD over four scales, on luminance; border cropped",
        "doi:10.1109/ICASSP.2017.7952357",
        higher_is_better=False,
    ),
    _Entry(
        "mdsi",
        "mdsi",
        16,
        "mean deviation similarity of gradient and chromaticity; RGB, border cropped",
        "doi:10.1109/ACCESS.2016.2604042",
        higher_is_better=False,
    ),
)


@torch.no_grad()
def _score(entry: _Entry, sr: Tensor, hr: Tensor) -> Tensor:
    """float64 ``(N,)``; computed in float32. InputError where the images are too small or do not fit."""
    import piq

    check(entry.name, sr, hr, channels=(1, 3), minimum=entry.minimum)
    check_finite(entry.name, sr, hr)
    function: Callable[..., Tensor] = getattr(piq, entry.function)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):
        # Clamped because piq refuses what rounding or an unrounded protocol puts a little outside of [0, 1].
        x, y = ((p[index : index + 1].to(torch.float32) / PEAK).clamp(0.0, 1.0) for p in (sr, hr))
        if entry.space == "rgb":
            x, y = x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1)
        scores[index] = function(x, y, data_range=1.0, reduction="none").double().sum()
    return numbers(entry.name, scores)


for _entry in _ENTRIES:
    METRICS.register(
        Metric(
            name=_entry.name,
            prepare=keep_hr,
            score=partial(_score, _entry),
            space=_entry.space,
            crop="shave",
            unit="",
            higher_is_better=_entry.higher_is_better,
            digits=_entry.digits,
            version=1,
            summary=_entry.summary,
            source=_entry.source,
            least=0.0,
            greatest=None if _entry.name == "vif" else 1.0,  # raised contrast takes VIF above 1
            tolerance=1e-4,
            minimum=_entry.minimum,
        )
    )
