"""What NIQE and BRISQUE have in common: contrast-normalised luma and the generalised Gaussians that are fitted to it.

Mittal, Moorthy, Bovik: No-Reference Image Quality Assessment in the Spatial Domain, IEEE TIP 2012, doi:10.1109/TIP.2012.2214050.
All in float64, as the authors' MATLAB code has it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from srbench.metrics._images import check_finite, check_image, check_size

Floats = NDArray[np.float64]

# What is 0 but for the order of a sum is 0. The fits count positive and negative values, and where an image is flat, the last bit
# of the mean would decide which they are: the authors' code gives other numbers there on other machines.
_ROUNDING = 1e-9

_SIGMA = 7 / 6
_RADIUS = 3
_GRAY = (0.298936021293775, 0.587043074451121, 0.114020904255103)  # of MATLAB's rgb2gray


def gray_levels(
    metric: str, sr: Tensor, minimum: int, weights: tuple[float, float, float] = _GRAY, offset: float = 0.0
) -> Floats:
    """Gray images ``(N, H, W)``, rounded to whole levels as MATLAB rounds uint8.

    Args:
        metric: the name that messages begin with.
        sr: ``(N, 3, H, W)`` RGB or ``(N, 1, H, W)`` gray (as RGB of equal channels) on the 0–255 scale; rounded to 8 bits first.
        minimum: the smallest height and width.
        weights: of red, green and blue.
        offset: added to the weighted sum.

    Raises:
        InputError: not of this form, or too small.
        UnavailableError: an image holds NaN or infinity.
    """
    check_image(metric, "SR", sr)
    check_size(metric, sr.shape, (1, 3), minimum)
    check_finite(metric, sr)
    planes: Floats = np.floor(sr.detach().cpu().double().clamp(0, 255).numpy() + 0.5)
    planes = np.broadcast_to(planes, (planes.shape[0], 3, *planes.shape[2:]))
    return np.floor(np.tensordot(planes, np.array(weights), axes=(1, 0)) + offset + 0.5)


def normalised(gray: Floats, edges: str) -> Floats:
    """Luma less its local mean, over its local deviation and 1: ``(H, W)``, window 7×7, σ 7/6.

    Args:
        gray: ``(H, W)`` on the 0–255 scale.
        edges: ``"edge"`` repeats the border (NIQE), ``"constant"`` has zeros beyond it (BRISQUE).
    """
    mean = _filtered(gray, edges)
    apart = gray - mean
    apart[np.abs(apart) < _ROUNDING] = 0.0
    return apart / (np.sqrt(np.abs(_filtered(gray**2, edges) - mean**2)) + 1.0)


def _filtered(plane: Floats, edges: str) -> Floats:
    """The Gaussian window over a plane, which keeps its size. The window is separable."""
    steps = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(steps**2) / (2 * _SIGMA**2))
    window /= window.sum()
    padded = np.pad(plane, _RADIUS, mode=edges)  # type: ignore[call-overload]
    height, width = plane.shape
    rows = sum(weight * padded[i : i + height] for i, weight in enumerate(window))
    found: Floats = sum(weight * rows[:, i : i + width] for i, weight in enumerate(window))
    return found


@cache
def _table() -> tuple[Floats, Floats, Floats]:
    """Shapes from 0.2 to 10 in steps of 0.001; their ratio (E|x|)²/E[x²]; and the logarithms of Γ(1/α), Γ(2/α), Γ(3/α)."""
    from scipy.special import gammaln

    shapes = np.arange(200, 10001) / 1000.0
    logs = np.stack([gammaln(k / shapes) for k in (1, 2, 3)])
    return shapes, np.exp(2 * logs[1] - logs[0] - logs[2]), logs


def shape_of(ratio: Floats, inverse: bool = False) -> NDArray[np.intp]:
    """Place in the table of the shape whose ratio is nearest; of the inverse ratio where that is what is compared.

    Args:
        ratio: ``(E|x|)²/E[x²]``, any shape of array; NaN gives the first place.
        inverse: the ratio is ``E[x²]/(E|x|)²``.
    """
    table = 1.0 / _table()[1][::-1] if inverse else _table()[1]
    after = np.clip(np.searchsorted(table, ratio), 1, table.size - 1)
    nearest = np.where(np.abs(table[after - 1] - ratio) <= np.abs(table[after] - ratio), after - 1, after)
    return table.size - 1 - nearest if inverse else nearest


def symmetric_fit(values: Floats) -> tuple[Floats, Floats]:
    """Shape and variance of a generalised Gaussian, of each row of ``(rows, n)``."""
    variance = np.mean(values**2, axis=1)
    with np.errstate(all="ignore"):
        place = shape_of(variance / np.mean(np.abs(values), axis=1) ** 2, inverse=True)
    return _table()[0][place], variance


def asymmetric_fit(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """An asymmetric generalised Gaussian, of each row of ``(rows, n)``.

    Returns:
        Its shape, the root mean squares of its negative and positive side, and the factor ``Γ(2/α)/√(Γ(1/α)Γ(3/α))`` that makes a
        mean of their difference. NaN where a row has no negative or no positive value.
    """
    below, above = values < 0, values > 0
    squares = values**2
    with np.errstate(all="ignore"):
        left = np.sqrt((squares * below).sum(axis=1) / below.sum(axis=1))
        right = np.sqrt((squares * above).sum(axis=1) / above.sum(axis=1))
        skew = left / right
        ratio = np.mean(np.abs(values), axis=1) ** 2 / np.mean(squares, axis=1)
        found = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, _, logs = _table()
    place = shape_of(found)
    first, second, third = (line[place] for line in logs)
    shape = np.where(np.isnan(found), np.nan, shapes[place])
    return shape, left, right, np.exp(second - (first + third) / 2)
