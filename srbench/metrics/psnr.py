"""Peak signal-to-noise ratio: 10 · log10(255² / mean squared difference)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, Image, check, numbers, rows_of, strips
from srbench.threads import share_out

_ROWS = 16  # a strip and its widened copies stay in the second-level cache


def squared_error(sr: Image, hr: Image) -> Tensor:
    """Mean squared difference of each pair of images, float64 ``(N,)``.

    Args:
        sr: ``(N, C, H, W)`` on the 0–255 scale. For two uint8 images the sum is one of integers, hence exact.
        hr: like ``sr``.
    """
    wide, sum_type = (
        (torch.int32, torch.int64) if sr.dtype == hr.dtype == torch.uint8 else (torch.float64, torch.float64)
    )

    def total(rows: slice) -> Tensor:
        difference = rows_of(sr, rows).to(wide) - rows_of(hr, rows).to(wide)
        return difference.mul_(difference).sum(dim=(1, 2, 3))

    def sums(parts: Sequence[slice]) -> list[list[float]]:
        # Numbers, not tensors: small blocks that stay, between large ones that go, leave gaps that no large one fits into.
        return [total(rows).tolist() for rows in parts]

    if sr.device.type == "cpu":
        found = share_out(sums, list(strips(sr.shape[-2], _ROWS)), sr.shape.numel())
        whole = torch.tensor(found, dtype=sum_type).sum(dim=0)
    else:
        whole = total(slice(None))
    return whole.to(torch.float64) / sr.shape[1:].numel()


@torch.no_grad()
def psnr(sr: Image, hr: Image) -> Tensor:
    """PSNR in dB of each pair of images, float64 ``(N,)``; infinite for identical ones, without epsilon or cap.

    Args:
        sr: ``(N, C, H, W)`` on the 0–255 scale, uint8 or float. The error is the mean over channels and pixels.
        hr: like ``sr``.

    Raises:
        InputError: shapes differ or are not of this form.
        UnavailableError: an image holds NaN or infinity.

    >>> psnr(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 255.0))
    tensor([0.], dtype=torch.float64)
    """
    return decibels("psnr", sr, hr)


def decibels(metric: str, sr: Image, hr: Image) -> Tensor:
    """PSNR under the name of ``metric``, with which messages begin."""
    check(metric, sr, hr)
    return numbers(metric, 10.0 * torch.log10(PEAK**2 / squared_error(sr, hr)))


METRICS.register(
    Metric(
        name="psnr",
        prepare=keep_hr,
        score=psnr,
        by_rows=True,
        space="channel",
        crop="shave",
        unit="dB",
        higher_is_better=True,
        digits=2,
        version=1,
        summary="peak signal-to-noise ratio of the protocol's channel, border cropped; infinite for identical images",
        source="ITU-T J.340 (2010); doi:10.1049/el:20080522",
    )
)
