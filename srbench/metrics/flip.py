"""FLIP: the difference that is seen when two images are flipped back and forth on a screen.

Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild: FLIP: A Difference Evaluator for Alternating Images, HPG 2020,
doi:10.1145/3406183. The authors' package ``flip-evaluator`` (BSD 3-clause, nothing is trained), LDR-FLIP at 67 pixels a degree.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import Tensor

from srbench.errors import MissingExtraError
from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._files import package_folders
from srbench.metrics._images import PEAK, check, check_finite, numbers

MINIMUM = 11  # of its feature filters at 67 pixels a degree, half
_PIXELS_A_DEGREE = 67.02064514160156  # 0.7 m before a screen of 3840 pixels on 0.7 m, the authors' default


def _installed() -> None:
    if not package_folders("flip_evaluator"):
        raise MissingExtraError("flip needs the package flip-evaluator", "perceptual")


def _package() -> ModuleType:
    try:
        return importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise MissingExtraError(f"flip needs the package flip-evaluator ({error})", "perceptual") from None


@torch.no_grad()
def flip(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean FLIP of each pair of images, float64 ``(N,)`` in 0–1; smaller is better. Computed in float32 on the CPU.

    Args:
        sr: ``(N, 3, H, W)`` sRGB or ``(N, 1, H, W)`` gray on the 0–255 scale, at least 11×11.
        hr: like ``sr``.

    Raises:
        UnavailableError: the package is not installed, or an image holds NaN or infinity.
        InputError: shapes do not fit.
    """
    check("flip", sr, hr, channels=(1, 3), minimum=MINIMUM)
    check_finite("flip", sr, hr)
    package = _package()
    made, true = (
        (p.detach().cpu().to(torch.float32).expand(-1, 3, -1, -1) / PEAK).clamp(0, 1).permute(0, 2, 3, 1).contiguous()
        for p in (sr, hr)
    )
    asked = {"ppd": _PIXELS_A_DEGREE}
    scores = [
        package.evaluate(y.numpy(), x.numpy(), "LDR", True, False, True, asked)[1]
        for x, y in zip(made, true, strict=True)
    ]
    return numbers("flip", torch.tensor(scores, dtype=torch.float64, device=sr.device))


METRICS.register(
    Metric(
        name="flip",
        prepare=keep_hr,
        score=flip,
        space="rgb",
        crop="full",
        unit="",
        higher_is_better=False,
        digits=4,
        version=1,
        summary="difference seen when two images alternate on a screen (LDR, 67 pixels a degree); of RGB, whole images",
        source="doi:10.1145/3406183",
        least=0.0,
        greatest=1.0,
        tolerance=1e-4,
        minimum=MINIMUM,
        licence="BSD 3-clause",
        ready=_installed,
    )
)
