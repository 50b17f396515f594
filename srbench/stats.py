"""How certain a mean is, and whether two models differ: per-image scores in, intervals and p-values out.

Images differ by 4 dB and models by 0.1, so the interval of a mean says how far another set of such images might move it,
whereas two models are compared image by image. Infinite scores (identical images) are allowed everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from srbench.errors import InputError

Floats = NDArray[np.float64]

ALPHA = 0.05
"""Two models count as different if the paired test's p is at most this."""


SMALL = 10
"""Below this many images the bootstrap has too few distinct resamples: at n = 5 its intervals reach 50 dB."""


def mean_interval(values: ArrayLike, level: float = 0.95, seed: int = 0) -> tuple[float, float] | None:
    """Interval of the mean over images: the studentised bootstrap from ``SMALL`` images on, Student's t below.

    Args:
        values: ``(n,)`` scores, one an image; inf allowed, NaN not.
        level: as in ``bootstrap_interval``.
        seed: as in ``bootstrap_interval``.

    Returns:
        (low, high) around the mean; None if it is undefined: an infinite score or fewer than 3 images.
    """
    from scipy.special import stdtrit

    sample = _finite_or_infinite(values)
    n = sample.size
    if n >= SMALL:
        return bootstrap_interval(sample, level, seed)
    if n < 3 or not np.isfinite(sample).all():
        return None
    reach = float(stdtrit(n - 1, (1 + level) / 2) * sample.std(ddof=1) / np.sqrt(n))
    return float(sample.mean()) - reach, float(sample.mean()) + reach


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = 9999
) -> tuple[float, float] | None:
    """Studentised bootstrap interval (bootstrap-t) of the mean over images.

    Each resample's distance from the sample's mean is measured in the resample's own standard error; the quantiles of that
    ratio, times the sample's standard error, give the interval. It follows a skewed sample and covers close to ``level``
    at the n = 14 of Set14, where the plain percentile interval is too short.

    Args:
        values: ``(n,)`` scores, one an image; inf allowed, NaN not.
        level: the share of samples whose interval should hold the true mean.
        seed: the resamples are a function of seed and n, so a report does not change from run to run.
        resamples: their number, fewer for very large n.

    Returns:
        (low, high) around the mean; None if it is undefined: an infinite score, fewer than 5 images (with 4 it is
        known to be hundreds of dB wide), or so many equal scores that too many resamples have no spread. If all
        scores are equal, the interval is a point.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 12.5.
    """
    sample = _finite_or_infinite(values)
    n = sample.size
    if n < 5 or not np.isfinite(sample).all():
        return None
    mean = float(sample.mean())
    deviation = sample - mean
    variance = float(np.mean(deviation**2))
    if variance <= (1e-12 * max(1.0, abs(mean))) ** 2:
        return mean, mean
    counts = _resample_counts(n, min(resamples, max(999, 5_000_000 // n)), seed)
    shift = counts @ deviation / n
    spread = counts @ deviation**2 / n - shift**2
    flat = spread <= 1e-9 * variance  # one image n times, or equal ones: its ratio is unbounded on that side
    ratio = np.where(flat, np.copysign(np.inf, shift), shift / np.sqrt(np.where(flat, 1.0, spread) / (n - 1)))
    tail = (1 - level) / 2
    low, high = np.quantile(ratio, [tail, 1 - tail], method="inverted_cdf")
    if not np.isfinite([low, high]).all():
        return None
    error = float(np.sqrt(variance / (n - 1)))
    return mean - float(high) * error, mean - float(low) * error


def paired_test(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p of the Wilcoxon signed-rank test that two models score alike on the same images.

    Exact up to 200 images, ties included: the distribution of the rank sum over all 2ⁿ sign patterns is built up rank by
    rank. Beyond that, the normal approximation is used. Images with equal scores are dropped, as Wilcoxon did; two infinite
    scores are equal, and an infinite difference has the highest rank. If nothing differs, p is 1.

    Args:
        a: ``(n,)`` scores of one model.
        b: ``(n,)`` scores of the other, on the same images in the same order.

    Raises:
        InputError: lengths differ, or a score is NaN.

    >>> paired_test([30.0, 31, 32, 33, 34], [30.1, 31.2, 32.3, 33.4, 34.5])
    0.0625
    """
    difference = differences(a, b)
    difference = difference[difference != 0]
    n = difference.size
    if n == 0:
        return 1.0
    _, order, counts = np.unique(np.abs(difference), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(counts) - counts + 1)[order]  # twice the mean rank, a whole number also for ties
    total = int(doubled.sum())
    positive = int(doubled[difference > 0].sum())
    least = min(positive, total - positive)
    if n > 200:
        deviations = (total / 2 - least) / math.sqrt(float(np.sum(doubled.astype(np.float64) ** 2)) / 4)
        return math.erfc(deviations / math.sqrt(2))
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chance)
        moved[rank:] = chance[:-rank]
        chance = (chance + moved) / 2
    return min(1.0, 2 * float(chance[: least + 1].sum()))


def differences(a: ArrayLike, b: ArrayLike) -> Floats:
    """``a − b`` image by image, ``(n,)``; 0 if both are infinite. Raises InputError as ``paired_test`` does."""
    first, second = _finite_or_infinite(a), _finite_or_infinite(b)
    if first.size != second.size:
        raise InputError(f"a paired test needs the same images: {first.size} scores against {second.size}")
    result = np.zeros(first.size)
    np.subtract(first, second, out=result, where=first != second)
    return result


def least_p(n: int) -> float:
    """The smallest p that the paired test can give for n images: .0625 for n = 5, so Set5 separates nothing."""
    return min(1.0, 2.0 ** (1 - n))


def share_rank(scores: Sequence[ArrayLike], higher_is_better: bool = True, alpha: float = ALPHA) -> list[int]:
    """Ranks by mean, shared by models that the paired test cannot tell apart from the best of their group.

    The best mean opens the first group with rank 1. Going down the means, a model that the test cannot tell apart from
    the group's *first* model (p > alpha) joins the group and shares its rank; one that differs opens the next group, and
    its rank is its place in the order. So ranks read 1, 1, 3: two models share the top and the third has two above it. Each
    model is tested once, against one opponent, without a correction for the number of models.

    Args:
        scores: for each model its ``(n,)`` scores on the same images in the same order.
        higher_is_better: the metric's direction.
        alpha: two models count as different if p is at most this.

    Returns:
        The rank of each model, in the order given.

    >>> images = [28.0, 29, 30, 31, 32, 33]
    >>> share_rank([images, [v + 1.5 + v / 100 for v in images], [v + 1.5 for v in images]])
    [3, 1, 2]
    """
    arrays = [_finite_or_infinite(values) for values in scores]
    means = [float(values.mean()) for values in arrays]
    order = sorted(range(len(arrays)), key=lambda i: -means[i] if higher_is_better else means[i])
    ranks = [0] * len(arrays)
    leader = -1
    for place, i in enumerate(order, start=1):
        if leader < 0 or paired_test(arrays[leader], arrays[i]) <= alpha:
            leader = i
            ranks[i] = place
        else:
            ranks[i] = ranks[leader]
    return ranks


def _finite_or_infinite(values: ArrayLike) -> Floats:
    array: Floats = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or np.isnan(array).any():
        raise InputError("expected a list of one score an image, none of them NaN")
    return array


@functools.lru_cache(maxsize=8)
def _resample_counts(n: int, resamples: int, seed: int) -> Floats:
    """``(resamples, n)``: how often each image was drawn. Counts turn the statistics of all resamples into products."""
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    rows: NDArray[Any] = np.arange(resamples)[:, None] * n
    counts = np.bincount((drawn + rows).ravel(), minlength=resamples * n).reshape(resamples, n)
    return counts.astype(np.float64)
