"""PSNR of the change from one frame to the next: what flickers is far from HR's change however near each frame is."""

from __future__ import annotations

import math

import numpy as np

from srbench.temporal import TEMPORAL, Step, TemporalMetric

_PEAK = 255.0


def diff_psnr(step: Step) -> float:
    """10 · log10(255² / mean squared difference of the two changes), in dB; infinite where SR changes exactly as HR.

    Args:
        step: two neighbouring frames of SR and HR.

    >>> flat = np.zeros((4, 4))
    >>> diff_psnr(Step((flat, flat + 255), (flat, flat)))
    0.0
    """
    error = float(np.mean(((step.sr[1] - step.sr[0]) - (step.hr[1] - step.hr[0])) ** 2))
    return 10.0 * math.log10(_PEAK**2 / error) if error else math.inf


TEMPORAL.register(
    TemporalMetric(
        name="diff-psnr",
        score=diff_psnr,
        unit="dB",
        higher_is_better=True,
        digits=2,
        version=1,
        summary="PSNR of the change from one frame to the next",
        source="PSNR of frame differences; no flow",
    )
)
