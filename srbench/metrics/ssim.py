"""Structural similarity as its authors' MATLAB code has it.

Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP
13(4), 2004, doi:10.1109/TIP.2003.819861. 11×11 Gaussian window of σ 1.5, K 0.01 and 0.03, L 255, population covariance,
mean over the positions where the whole window lies inside the image, no downsampling.

With s = x + y and d = x − y, SSIM needs four filtered maps instead of five: writing E for the windowed mean,
a = E[s]², b = E[d]², p = E[s²] − a and q = E[d²] − b,

    2·μx·μy = (a − b)/2    μx² + μy² = (a + b)/2    2·σxy = (p − q)/2    σx² + σy² = (p + q)/2
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, Image, check, numbers, rows_of, strips
from srbench.threads import share_out

WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2

# Both passes are products with a small banded matrix, which is several times faster than eleven shifted sums. A
# strip makes _ROWS rows of the map and then _COLUMNS columns at once; MKL is at its best where _ROWS is a multiple of 12.
_ROWS = 24
_COLUMNS = 8
_DOWN = 12  # rows that one product of the vertical pass makes


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
    """Sums the SSIM map of planes of one width, strip by strip, in buffers that are reused (fresh ones cost page faults).

    The operations of a strip take some 10 µs each, so that making a view costs as much as a third of one: all views of the
    buffers are made once.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        self.width = width
        self.device = device
        self._rows = 0

    def _allocate(self, rows: int) -> None:
        """Buffers and views for strips that give ``rows`` rows of the map."""
        padded = -(-self.width // _COLUMNS) * _COLUMNS
        # Zeroed because the columns past the width are read by windows whose result is discarded.
        maps, down, across = (
            torch.zeros(*shape, dtype=torch.float64, device=self.device)
            for shape in (
                (rows + WINDOW - 1, 4, padded),
                (4 * padded + WINDOW - 1, rows),
                (4 * padded // _COLUMNS, _COLUMNS, rows),
            )
        )
        self._sum, self._difference = maps[:, 0, : self.width], maps[:, 1, : self.width]
        self._plain, self._squares = maps[:, :2], maps[:, 2:]
        # Vertical pass. It also transposes: rows become the innermost axis, so that the horizontal pass is the same product.
        count = rows // _DOWN if rows % _DOWN == 0 else 1
        high, line = rows // count, 4 * padded
        self._above = maps.as_strided((count, line, high + WINDOW - 1), (high * line, 1, line))
        self._band_down = _band(high, self.device).T.expand(count, -1, -1)
        self._below = down[:line].view(line, count, high).transpose(0, 1)
        blocks = len(across)
        self._windows = down.as_strided((blocks, _COLUMNS + WINDOW - 1, rows), (_COLUMNS * rows, rows, 1))
        self._band_across = _band(_COLUMNS, self.device).expand(blocks, -1, -1)
        self._across = across
        self._means = across.view(2, 2, padded, rows)[:, :, : self.width - WINDOW + 1]
        self._rows = rows

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over the map of ``x`` and ``y`` ``(rows + 10, W)``, float64, 0-dimensional."""
        rows = x.shape[0] - WINDOW + 1
        if rows != self._rows:
            self._allocate(rows)
        torch.add(x, y, out=self._sum)
        torch.sub(x, y, out=self._difference)
        torch.mul(self._plain, self._plain, out=self._squares)
        torch.bmm(self._above, self._band_down, out=self._below)
        torch.bmm(self._band_across, self._windows, out=self._across)
        return _sum_map(self._means, _constants(self.device))


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> Tensor:
    """Twice the stabilising constants of the luminance and the structure term, ``(2, 1, 1)``."""
    return torch.tensor((2 * _C1, 2 * _C2), dtype=torch.float64, device=device).view(2, 1, 1)


def _sum_map(means: Tensor, constants: Tensor) -> Tensor:
    """The sum of SSIM over the windowed means of s and d and of their squares, ``(2, 2, …)`` (overwritten).

    Both fractions are taken times two, numerators and denominators side by side.
    """
    plain, squares = means.unbind(0)
    squares.sub_(plain.square_())  # now a and b, p and q
    of_sum, of_difference = means.unbind(1)
    of_sum.add_(constants)
    numerators, denominators = of_sum - of_difference, of_sum + of_difference
    return numerators[0].mul_(numerators[1]).div_(denominators[0].mul_(denominators[1])).sum()


@torch.no_grad()
def ssim(sr: Image, hr: Image) -> Tensor:
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
    count, channels, height, width = sr.shape

    def maps(parts: Sequence[tuple[int, int, slice]]) -> Iterator[Tensor]:
        sum_map = _Strips(width, sr.device)
        for image, channel, rows in parts:
            yield sum_map(
                rows_of(sr, rows)[image, channel].to(torch.float64), rows_of(hr, rows)[image, channel].to(torch.float64)
            )

    def sums(parts: Sequence[tuple[int, int, slice]]) -> list[float]:
        return [float(one) for one in maps(parts)]  # numbers, as in PSNR

    rows = list(strips(height, _ROWS, overlap=WINDOW - 1))
    parts = [(image, channel, part) for image in range(count) for channel in range(channels) for part in rows]
    if sr.device.type == "cpu":
        found = torch.tensor(share_out(sums, parts, sr.shape.numel()), dtype=torch.float64)
    else:
        found = torch.stack(list(maps(parts)))
    total = found.view(count, -1).sum(dim=1)
    return numbers("ssim", total / (channels * (height - WINDOW + 1) * (width - WINDOW + 1)))


METRICS.register(
    Metric(
        name="ssim",
        prepare=keep_hr,
        score=ssim,
        by_rows=True,
        space="channel",
        crop="shave",
        unit="",
        higher_is_better=True,
        digits=4,
        version=1,
        summary="structural similarity (Wang's window, valid region) of the protocol's channel (mean over RGB), border cropped",
        source="doi:10.1109/TIP.2003.819861",
        least=-1.0,
        greatest=1.0,
        tolerance=1e-4,
        minimum=WINDOW,
    )
)
