"""Structural similarity as its authors' MATLAB code has it.

Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP
13(4), 2004, doi:10.1109/TIP.2003.819861. 11×11 Gaussian window of σ 1.5, K 0.01 and 0.03, L 255, population covariance,
mean over the positions where the whole window lies inside the image, no downsampling.

With s = x + y and d = x − y, SSIM needs four filtered maps instead of five: writing E for the windowed mean,
a = E[s]², b = E[d]², p = E[s²] − a and q = E[d²] − b,

    2·μx·μy = (a − b)/2    μx² + μy² = (a + b)/2    2·σxy = (p − q)/2    σx² + σy² = (p + q)/2
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, check, numbers, strips
from srbench.threads import share_out

WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2

# Both passes are products with a small banded matrix, which is several times faster than eleven shifted sums. A
# strip makes _ROWS rows of the map and then _COLUMNS columns at once; MKL is at its best where _ROWS is a multiple of 12.
_ROWS = 24
_COLUMNS = 8


@lru_cache(maxsize=64)
def _band(outputs: int, device: torch.device) -> Tensor:
    """``(outputs, outputs + 10)``: each row is the window's profile, one step further than in the row above."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    profile = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    band = torch.zeros(outputs, outputs + WINDOW - 1, dtype=torch.float64)
    for row in range(outputs):
        band[row, row : row + WINDOW] = profile / profile.sum()
    return band.to(device)


class _Strips:
    """Sums the SSIM map of planes of one width, strip by strip, in buffers that are reused (fresh ones cost page faults)."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.width = width
        self.device = device
        self.padded = -(-width // _COLUMNS) * _COLUMNS
        self._rows = 0

    def _allocate(self, rows: int) -> None:
        # Zeroed because the columns past the width are read by windows whose result is discarded.
        maps, down, across = (
            torch.zeros(*shape, dtype=torch.float64, device=self.device)
            for shape in (
                (rows + WINDOW - 1, 4, self.padded),
                (4 * self.padded + WINDOW - 1, rows),
                (4 * self.padded // _COLUMNS, _COLUMNS, rows),
            )
        )
        self._maps, self._down, self._across = maps, down, across
        self._rows = rows

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over the map of ``x`` and ``y`` ``(rows + 10, W)``, float64, 0-dimensional."""
        rows = x.shape[0] - WINDOW + 1
        if rows != self._rows:
            self._allocate(rows)
        torch.add(x, y, out=self._maps[:, 0, : self.width])
        torch.sub(x, y, out=self._maps[:, 1, : self.width])
        torch.mul(self._maps[:, :2], self._maps[:, :2], out=self._maps[:, 2:])
        # Vertical pass. It also transposes: rows become the innermost axis, so that the horizontal pass is the same product.
        filtered = self._down[: 4 * self.padded]
        torch.mm(self._maps.view(rows + WINDOW - 1, -1).T, _band(rows, self.device).T, out=filtered)
        blocks = self._across.shape[0]
        windows = self._down.as_strided((blocks, _COLUMNS + WINDOW - 1, rows), (_COLUMNS * rows, rows, 1))
        torch.bmm(_band(_COLUMNS, self.device).expand(blocks, -1, -1), windows, out=self._across)
        valid = self.width - WINDOW + 1
        return _sum_map(*self._across.view(4, self.padded, rows)[:, :valid].unbind(0))


def _sum_map(s: Tensor, d: Tensor, ss: Tensor, dd: Tensor) -> Tensor:
    """The sum of SSIM over windowed means of s, d, s², d² (overwritten); both fractions are taken times two."""
    a, b = s.mul_(s), d.mul_(d)
    p, q = ss.sub_(a).add_(2 * _C2), dd.sub_(b)
    a.add_(2 * _C1)
    numerator = (a - b).mul_(p - q)
    denominator = a.add_(b).mul_(p.add_(q))
    return numerator.div_(denominator).sum()


@torch.no_grad()
def ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM of each pair of images, float64 ``(N,)``, at most 1; the mean over channels where there are several.

    Args:
        sr: ``(N, C, H, W)`` on the 0–255 scale, uint8 or float, at least 11×11. Computed in float64.
        hr: like ``sr``.

    Raises:
        InputError: shapes differ, are not of this form, or are below 11×11.
        UnavailableError: an image holds NaN.

    >>> ssim(torch.ones(1, 1, 16, 16), torch.ones(1, 1, 16, 16))
    tensor([1.], dtype=torch.float64)
    """
    check("ssim", sr, hr, minimum=WINDOW)
    sr, hr = sr.detach(), hr.detach()
    count, channels, height, width = sr.shape

    def sums(parts: Sequence[tuple[int, int, slice]]) -> list[Tensor]:
        sum_map = _Strips(width, sr.device)
        return [
            sum_map(sr[image, channel, rows].to(torch.float64), hr[image, channel, rows].to(torch.float64))
            for image, channel, rows in parts
        ]

    rows = list(strips(height, _ROWS, overlap=WINDOW - 1))
    parts = [(image, channel, part) for image in range(count) for channel in range(channels) for part in rows]
    found = share_out(sums, parts, sr.numel()) if sr.device.type == "cpu" else sums(parts)
    total = torch.stack(found).view(count, -1).sum(dim=1)
    return numbers("ssim", total / (channels * (height - WINDOW + 1) * (width - WINDOW + 1)))


METRICS.register(
    Metric(
        name="ssim",
        prepare=keep_hr,
        score=ssim,
        space="channel",
        crop="shave",
        unit="",
        higher_is_better=True,
        digits=4,
        version=1,
        summary="structural similarity: Wang's Gaussian window, valid region; mean over channels",
        source="doi:10.1109/TIP.2003.819861",
        least=-1.0,
        greatest=1.0,
        tolerance=1e-4,
        minimum=WINDOW,
    )
)
