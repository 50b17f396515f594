"""Peak signal-to-noise ratio: 10 · log10(255² / mean squared difference)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, Image, Sums, check, numbers, strips
from srbench.threads import share_out

_ROWS = 16  # a strip and its widened copies stay in the second-level cache


def squared_error(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared difference of each pair of images, float64 ``(N,)``.

    Args:
        sr: ``(N, C, H, W)`` on the 0–255 scale. For two uint8 images the sum is one of integers, hence exact.
        hr: like ``sr``.
    """
    x, y = sr.detach(), hr.detach()
    total = _begin(x, y)

    def sums(parts: Sequence[slice]) -> list[list[float]]:
        return [total(x[..., rows, :], y[..., rows, :]) for rows in parts]

    if x.device.type == "cpu":
        return _mean(share_out(sums, list(strips(x.shape[-2], _ROWS)), x.numel()), x)
    return _mean(sums([slice(None)]), x)


def _begin(sr: Image, hr: Image) -> Callable[[Tensor, Tensor], list[float]]:
    """The sum of squares of each pair of strips."""
    wide = torch.int32 if sr.dtype == hr.dtype == torch.uint8 else torch.float64

    def total(x: Tensor, y: Tensor) -> list[float]:
        difference = x.to(wide) - y.to(wide)
        # Numbers, not tensors: small blocks that stay, between large ones that go, leave gaps that no large one fits into.
        found: list[float] = difference.mul_(difference).sum(dim=(1, 2, 3)).tolist()
        return found

    return total


def _mean(sums: Sequence[list[float]], sr: Image) -> Tensor:
    """The mean of what the strips add up to; integers stay integers until they are divided."""
    kind = torch.int64 if isinstance(sums[0][0], int) else torch.float64
    whole = torch.tensor(sums, dtype=kind, device=sr.device).sum(dim=0)
    return whole.to(torch.float64) / sr.shape[1:].numel()


def _decibels(metric: str, error: Tensor) -> Tensor:
    return numbers(metric, 10.0 * torch.log10(PEAK**2 / error))


SUMS = Sums(_ROWS, 0, _begin, lambda sums, sr: _decibels("psnr", _mean(sums, sr)))
"""PSNR in strips."""


@torch.no_grad()
def psnr(sr: Tensor, hr: Tensor) -> Tensor:
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


def decibels(metric: str, sr: Tensor, hr: Tensor) -> Tensor:
    """PSNR under the name of ``metric``, with which messages begin."""
    check(metric, sr, hr)
    return _decibels(metric, squared_error(sr, hr))


METRICS.register(
    Metric(
        name="psnr",
        prepare=keep_hr,
        score=psnr,
        by_rows=SUMS,
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
