"""Structural similarity as its authors' MATLAB code has it.

Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to Structural Similarity, IEEE TIP
13(4), 2004, doi:10.1109/TIP.2003.819861. 11×11 Gaussian window of σ 1.5, K 0.01 and 0.03, L 255, population covariance,
mean over the positions where the whole window lies inside the image, no downsampling.

With s = x + y and d = x − y, SSIM needs four filtered maps instead of five: writing E for the windowed mean,
a = E[s]², b = E[d]², p = E[s²] − a and q = E[d²] − b,

    2·μx·μy = (a − b)/2    μx² + μy² = (a + b)/2    2·σxy = (p − q)/2    σx² + σy² = (p + q)/2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from srbench.constants import constant
from srbench.fast_cpu import parts, product
from srbench.metrics import METRICS, Metric, keep_hr
from srbench.metrics._images import PEAK, Image, Sums, check, numbers, strips
from srbench.threads import share_out

WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2

# Both passes are products with a small banded matrix, which is several times faster than eleven shifted sums. A
# strip makes _ROWS rows of the map, _DOWN of them in one product, and then _COLUMNS columns at once.
_ROWS = 24
_COLUMNS = 8
_DOWN = 4


@constant
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
    buffers are made once. The last strip of a plane makes as many rows as the others, and those that it has are summed.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        padded = -(-width // _COLUMNS) * _COLUMNS
        line, high = 4 * padded, _ROWS + WINDOW - 1
        # Two buffers that take turns, so that a strip of a usual image stays in the second-level cache. Zeroed because the
        # columns past the width are read by windows whose result is discarded, and so are rows that there are not.
        first = torch.zeros(high, 4, padded, dtype=torch.float64, device=device)
        second = torch.zeros(line + WINDOW - 1, _ROWS, dtype=torch.float64, device=device)
        self._input = first[:, :, :width]
        # Vertical pass. It also transposes: rows become the innermost axis, so that the horizontal pass is the same product.
        count, band = _ROWS // _DOWN, _band(_DOWN, device).T
        wide = line // parts(line, _DOWN * len(band))
        self._filters = [
            product(
                first.as_strided((count, wide, len(band)), (_DOWN * line, 1, line), left),
                band.expand(count, -1, -1),
                second[left : left + wide].view(wide, count, _DOWN).transpose(0, 1),
            )
            for left in range(0, line, wide)
        ]
        blocks, band = line // _COLUMNS, _band(_COLUMNS, device)
        windows = second.as_strided((blocks, band.shape[1], _ROWS), (_COLUMNS * _ROWS, _ROWS, 1))
        across = first.view(-1)[: line * _ROWS].view(blocks, _COLUMNS, _ROWS)
        self._filters.append(product(band.expand(blocks, -1, -1), windows, across))
        self._means = across.view(2, 2, padded, _ROWS)[:, :, : width - WINDOW + 1]
        self._room = second.view(-1)
        self._rows = 0

    def _set_up(self, rows: int) -> None:
        """Views for strips that give ``rows`` rows of the map."""
        self._sum, self._difference = self._input[: rows + WINDOW - 1, :2].unbind(1)
        self._plain, self._squares = torch.split(self._input[: rows + WINDOW - 1], 2, dim=1)
        means = self._means[..., :rows]
        self._map = _Map(means, self._room[: means.numel()].view(means.shape))
        self._rows = rows

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum over the map of ``x`` and ``y`` ``(rows + 10, W)``, float64, 0-dimensional."""
        rows = x.shape[0] - WINDOW + 1
        if rows != self._rows:
            self._set_up(rows)
        torch.add(x, y, out=self._sum)
        torch.sub(x, y, out=self._difference)
        torch.mul(self._plain, self._plain, out=self._squares)
        for apply in self._filters:
            apply()
        return self._map.sum()


class _Map:
    """SSIM of the windowed means of s and d and of their squares.

    Both fractions are taken times two, numerators and denominators side by side.

    Args:
        means: ``(2, 2, …)``, overwritten.
        room: of the same shape, for intermediate results.
    """

    def __init__(self, means: Tensor, room: Tensor) -> None:
        self._plain, self._squares = means.unbind(0)
        self._of_sum, self._of_difference = means.unbind(1)
        self._constants = _constants(means.device)
        self._numerators, self._denominators = room.unbind(0)
        self._luminance, self._structure = self._numerators.unbind(0)
        self._brightness, self._spread = self._denominators.unbind(0)

    def sum(self) -> Tensor:
        """Over the map, 0-dimensional."""
        self._squares.sub_(self._plain.square_())  # now a and b, p and q
        self._of_sum.add_(self._constants)
        torch.sub(self._of_sum, self._of_difference, out=self._numerators)
        torch.add(self._of_sum, self._of_difference, out=self._denominators)
        return self._luminance.mul_(self._structure).div_(self._brightness.mul_(self._spread)).sum()


@constant
def _constants(device: torch.device) -> Tensor:
    """Twice the stabilising constants of the luminance and the structure term, ``(2, 1, 1)``."""
    return torch.tensor((2 * _C1, 2 * _C2), dtype=torch.float64, device=device).view(2, 1, 1)


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
    x, y = sr.detach(), hr.detach()
    count, channels, height, width = x.shape

    def maps(parts: Sequence[tuple[int, int, slice]]) -> Iterator[Tensor]:
        sum_map = _Strips(width, x.device)
        for image, channel, rows in parts:
            yield sum_map(x[image, channel, rows].to(torch.float64), y[image, channel, rows].to(torch.float64))

    def sums(parts: Sequence[tuple[int, int, slice]]) -> list[float]:
        return [float(one) for one in maps(parts)]  # numbers, as in PSNR

    rows = list(strips(height, _ROWS, overlap=WINDOW - 1))
    parts = [(image, channel, part) for image in range(count) for channel in range(channels) for part in rows]
    if x.device.type == "cpu":
        found = torch.tensor(share_out(sums, parts, x.numel()), dtype=torch.float64)
    else:
        found = torch.stack(list(maps(parts)))
    return _mean(found, x)


def _mean(sums: Tensor, sr: Image) -> Tensor:
    """The mean of the maps of what their strips add up to: image after image, channel after channel, strips downwards."""
    count, channels, height, width = sr.shape
    total = sums.view(count, -1).sum(dim=1)
    return numbers("ssim", total / (channels * (height - WINDOW + 1) * (width - WINDOW + 1)))


def _begin(sr: Image, _hr: Image) -> Callable[[Tensor, Tensor], list[float]]:
    """The sums of the maps of each pair of strips, of every image and channel."""
    sum_map = _Strips(sr.shape[-1], sr.device)

    def sums(x: Tensor, y: Tensor) -> list[float]:
        planes = (pair.to(torch.float64).flatten(0, 1) for pair in (x, y))
        return [float(sum_map(one, other)) for one, other in zip(*planes, strict=True)]

    return sums


def _end(sums: Sequence[list[float]], sr: Image) -> Tensor:
    return _mean(torch.tensor(sums, dtype=torch.float64).T.contiguous(), sr)


SUMS = Sums(_ROWS, WINDOW - 1, _begin, _end)
"""SSIM in strips."""


METRICS.register(
    Metric(
        name="ssim",
        prepare=keep_hr,
        score=ssim,
        by_rows=SUMS,
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
