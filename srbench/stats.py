"""How certain a mean is, and whether two models differ: per-image scores in, intervals and p-values out.

Images differ by 4 dB and models by 0.1, so the interval of a mean says how far another set of such images might move it,
whereas two models are compared image by image. Infinite scores (identical images) are allowed everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from srbench.errors import InputError

Floats = NDArray[np.float64]
Interval = tuple[float, float]

ALPHA = 0.05
"""Two models count as different if the paired test's p is at most this."""


SMALL = 10
"""Below this many images the bootstrap has too few distinct resamples: at n = 5 its intervals reach 50 dB."""

RESAMPLES = 1999
"""Of the bootstrap: the ends of an interval then move by two hundredths of its width from seed to seed."""

_CHUNK = 16  # rows whose resamples are in the processor's cache at once


def mean_interval(values: ArrayLike, level: float = 0.95, seed: int = 0) -> Interval | None:
    """Interval of the mean over images: the studentised bootstrap from ``SMALL`` images on, Student's t below.

    Args:
        values: ``(n,)`` scores, one an image; inf allowed, NaN not.
        level: as in ``bootstrap_interval``.
        seed: as in ``bootstrap_interval``.

    Returns:
        (low, high) around the mean; None if it is undefined: an infinite score or fewer than 3 images.
    """
    return mean_intervals([values], level, seed)[0]


def mean_intervals(rows: Sequence[ArrayLike], level: float = 0.95, seed: int = 0) -> list[Interval | None]:
    """``mean_interval`` of many rows of scores, ``(n,)`` each, of the same images: one pass for all of them."""
    if not len(rows):
        return []
    scores = np.stack([_finite_or_infinite(row) for row in rows])
    n = scores.shape[1]
    if n >= SMALL:
        return bootstrap_intervals(scores, level, seed)
    if n < 3:
        return [None] * len(scores)
    from scipy.special import stdtrit

    usable: NDArray[np.bool_] = np.all(np.isfinite(scores), axis=1)
    safe = np.where(usable[:, None], scores, 0.0)
    means = safe.mean(axis=1)
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * safe.std(axis=1, ddof=1) / math.sqrt(n)
    return [
        (float(mean - r), float(mean + r)) if ok else None for mean, r, ok in zip(means, reach, usable, strict=True)
    ]


def bootstrap_interval(
    values: ArrayLike, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
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
    return bootstrap_intervals(_finite_or_infinite(values)[None], level, seed, resamples)[0]


def bootstrap_intervals(
    scores: Floats, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> list[Interval | None]:
    """``bootstrap_interval`` of many rows of scores, ``(rows, n)``, of the same images."""
    n = scores.shape[1]
    if n < 5:
        return [None] * len(scores)
    usable: NDArray[np.bool_] = np.all(np.isfinite(scores), axis=1)
    safe = np.where(usable[:, None], scores, 0.0)
    means = safe.mean(axis=1)
    deviation = safe - means[:, None]
    variance = np.mean(deviation**2, axis=1)
    point: NDArray[np.bool_] = variance <= (1e-12 * np.maximum(1.0, np.abs(means))) ** 2
    counts = _resample_counts(n, min(resamples, max(999, 5_000_000 // n)), seed)
    tail = (1 - level) / 2
    found: list[Interval | None] = []
    for start in range(0, len(scores), _CHUNK):
        part = slice(start, start + _CHUNK)
        low, high = _ratio_quantiles(counts, deviation[part], variance[part], tail)
        error = np.sqrt(variance[part] / (n - 1))
        with np.errstate(invalid="ignore"):  # a point has no error, and its ratios may be infinite
            ends = np.stack([means[part] - high * error, means[part] - low * error], axis=1)
        found += [(float(a), float(b)) if np.isfinite((a, b)).all() else None for a, b in ends]
    spots = [(float(mean), float(mean)) for mean in means]
    return [
        None if not ok else spot if flat else interval
        for ok, flat, spot, interval in zip(usable, point, spots, found, strict=True)
    ]


def _ratio_quantiles(counts: Floats, deviation: Floats, variance: Floats, tail: float) -> tuple[Floats, Floats]:
    """Both quantiles of the studentised ratio of each row, over the resamples."""
    n = deviation.shape[1]
    shift = deviation @ counts.T / n
    spread = deviation**2 @ counts.T / n - shift**2
    flat = spread <= 1e-9 * variance[:, None]  # one image n times, or equal ones: its ratio is unbounded on that side
    ratio = np.where(flat, np.copysign(np.inf, shift), shift / np.sqrt(np.where(flat, 1.0, spread) / (n - 1)))
    low, high = np.quantile(ratio, [tail, 1 - tail], axis=1, method="inverted_cdf")
    return low, high


@dataclass(frozen=True)
class RankInterval:
    """Where a model may stand among others on another set of such images.

    Attributes:
        low: best rank of the interval, 1 for the best.
        high: worst rank of it.
        first: share of the resamples in which its mean is the best; shared where several are equal.
    """

    low: int
    high: int
    first: float


def rank_intervals(
    scores: Floats, higher_is_better: bool = True, level: float = 0.95, seed: int = 0, resamples: int = 1999
) -> list[RankInterval]:
    """Interval of each model's rank by mean, from a paired bootstrap: every resample of the images ranks all models.

    Args:
        scores: ``(models, n)`` on the same images in the same order; inf allowed, NaN not.
        higher_is_better: the metric's direction.
        level: the share of resamples whose rank the interval holds.
        seed: as in ``bootstrap_interval``.
        resamples: how many.

    >>> close = np.array([[30.0, 31, 32, 33, 34, 35], [30.1, 30.9, 32.1, 32.9, 34.1, 34.9], [20, 21, 22, 23, 24, 25]])
    >>> [(r.low, r.high) for r in rank_intervals(close)]
    [(1, 2), (1, 2), (3, 3)]
    """
    if not len(scores):
        return []
    signed = scores if higher_is_better else -scores
    finite = signed[np.isfinite(signed)]
    top = float(np.abs(finite).max()) + 1.0 if finite.size else 1.0
    signed = np.clip(signed, -1e6 * top, 1e6 * top)  # an infinite score is better than all others and can be counted
    means = np.round(_resample_counts(scores.shape[1], resamples, seed) @ signed.T / scores.shape[1], 9)
    order = np.argsort(-means, axis=1, kind="stable")
    sorted_means = np.take_along_axis(means, order, axis=1)
    place = np.tile(np.arange(1, len(scores) + 1), (len(means), 1))
    place[:, 1:][sorted_means[:, 1:] == sorted_means[:, :-1]] = 0
    np.maximum.accumulate(place, axis=1, out=place)  # equal means share the better rank
    ranks = np.empty_like(place)
    np.put_along_axis(ranks, order, place, axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    best = ranks == 1
    first = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return [RankInterval(int(a), int(b), float(p)) for a, b, p in zip(low, high, first, strict=True)]


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
    return min(1.0, 2 * float(rank_sums(tuple(sorted(doubled.tolist())))[least]))


@functools.lru_cache(maxsize=64)
def rank_sums(doubled: tuple[int, ...]) -> Floats:
    """P(rank sum ≤ s) for every s, each rank counted twice; without ties it is the same for all pairs of n images.

    Args:
        doubled: the ranks times two, sorted, so that mean ranks of ties are whole numbers.
    """
    chance = np.zeros(sum(doubled) + 1)
    chance[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chance)
        moved[rank:] = chance[:-rank]
        chance = (chance + moved) / 2
    return np.cumsum(chance)


def differences(a: ArrayLike, b: ArrayLike) -> Floats:
    """``a − b`` image by image, ``(n,)``; 0 if both are infinite. Raises InputError as ``paired_test`` does."""
    first, second = _finite_or_infinite(a), _finite_or_infinite(b)
    if first.size != second.size:
        raise InputError(f"a paired test needs the same images: {first.size} scores against {second.size}")
    result = np.zeros(first.size)
    np.subtract(first, second, out=result, where=first != second)
    return result


LEAST_SEEDS = 3
"""Below this many trained seeds nothing is said of an architecture or a recipe: how far seeds lie apart is then not known."""


@dataclass(frozen=True)
class SeededDifference:
    """How far two recipes or architectures differ, where both seeds and images are samples of more.

    Attributes:
        mean: of ``a − b`` over seeds and images.
        low: of the interval; None where it is not known.
        high: of the interval.
        p: two-sided, that they are alike; None below ``LEAST_SEEDS`` seeds on either side, or for fewer than 3 images.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


def seeded_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> SeededDifference:
    """Two sets of trained seeds, scored on the same images: the mean difference, its interval and p.

    Seeds and images are random effects that cross. The variance of the mean is the sum of three parts: over images, of the
    differences between the seeds' means; over the seeds of either side, of their means over images. The ratio of the mean to its
    root is compared with Student's t of Welch's and Satterthwaite's degrees of freedom. The sum counts the residual twice, so
    that the test errs on the side of no difference (Clark, Journal of Verbal Learning and Verbal Behavior 12, 1973).

    Args:
        a: ``(seeds, n)`` scores of one side; finite.
        b: ``(seeds, n)`` of the other, on the same images in the same order; its seeds are others and may be more or fewer.
        level: of the interval.

    Raises:
        InputError: other numbers of images, or a score that is not finite.

    >>> a = [[30.0, 31.0, 32.0], [30.1, 31.1, 32.0], [30.0, 31.1, 32.1]]
    >>> found = seeded_difference(a, [[v - 0.5 for v in row] for row in a])
    >>> round(found.mean, 3), found.p < 0.01, seeded_difference(a[:2], a).p
    (0.5, True, None)
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not first.size:
        raise InputError(
            f"expected scores (seeds, images) of the same images, not {first.shape} against {second.shape}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("a test over seeds needs finite scores")
    by_image = first.mean(axis=0) - second.mean(axis=0)
    mean = float(by_image.mean())
    if min(len(first), len(second)) < LEAST_SEEDS or len(by_image) < 3:
        return SeededDifference(mean)
    samples = (by_image, first.mean(axis=1), second.mean(axis=1))
    parts = np.array([float(np.var(sample, ddof=1)) / len(sample) for sample in samples])
    return _student(mean, parts, np.array([len(sample) - 1 for sample in samples]), level)


def seeded_test(a: ArrayLike, b: ArrayLike) -> float | None:
    """The p of :func:`seeded_difference`."""
    return seeded_difference(a, b).p


def _student(mean: float, parts: Floats, freedom: Floats, level: float) -> SeededDifference:
    """A mean and the parts of its variance, each with its degrees of freedom, as an interval and p by Student's t."""
    from scipy.special import stdtr, stdtrit

    variance = float(parts.sum())
    if variance <= (1e-12 * max(1.0, abs(mean))) ** 2:
        return SeededDifference(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    degrees = variance**2 / float((parts**2 / freedom).sum())
    reach = float(stdtrit(degrees, (1 + level) / 2)) * math.sqrt(variance)
    p = 2 * float(stdtr(degrees, -abs(mean) / math.sqrt(variance)))
    return SeededDifference(mean, mean - reach, mean + reach, min(1.0, p))


def least_p(n: int) -> float:
    """The smallest p that the paired test can give for n images: .0625 for n = 5, so Set5 separates nothing."""
    return min(1.0, 2.0 ** (1 - n))


@dataclass(frozen=True)
class Effect:
    """How large a paired difference is, apart from how sure it is. Positive where the first model's scores are greater.

    Attributes:
        rank_biserial: the share of the ranks in favour less the share against, −1 to 1: the signed-rank test's own effect size.
            0 where nothing differs.
        standardised: Cohen's d of paired samples, the mean difference over the standard deviation of the differences; infinite
            where all differences are equal, None where it is undefined (one image, an infinite score, or nothing differs).

    Source: Kerby, The simple difference formula, Comprehensive Psychology, 2014; Cohen, Statistical Power Analysis for the
    Behavioral Sciences (1988).
    """

    rank_biserial: float
    standardised: float | None


def effect_size(a: ArrayLike, b: ArrayLike) -> Effect:
    """Effect sizes of ``a`` against ``b`` on the same images; arguments and errors as ``paired_test``.

    >>> effect_size([30.0, 31, 32, 33], [29.9, 30.8, 31.7, 33.4])
    Effect(rank_biserial=0.2, standardised=0.16081688022567178)
    """
    difference = differences(a, b)
    apart = difference[difference != 0]
    if not apart.size:
        return Effect(0.0, None)
    _, order, counts = np.unique(np.abs(apart), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(counts) - counts + 1)[order]
    biserial = float((ranks * np.sign(apart)).sum() / ranks.sum())
    if difference.size < 2 or not np.isfinite(difference).all():
        return Effect(biserial, None)
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    flat = spread <= 1e-12 * max(1.0, abs(mean))
    return Effect(biserial, math.copysign(math.inf, mean) if flat else mean / spread)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """The p of several tests, raised so that their number is allowed for (Holm, Scandinavian Journal of Statistics, 1979).

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    raised = [1.0] * len(p)
    highest = 0.0
    for place, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, (len(p) - place) * p[i]))
        raised[i] = highest
    return tuple(raised)


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
