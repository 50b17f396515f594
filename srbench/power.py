"""How many images it takes to tell a difference apart: power by simulation from the per-image differences of two models.

A pair of models that differs by 0.05 dB on average differs by −0.3 on one image and by +0.4 on the next, and it is this spread
that decides how many images a test needs. It is taken as it was measured: sets of N images are drawn from the differences, moved
so that their mean is the one in question, and the share of them in which the test finds the difference is its power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from srbench.errors import InputError
from srbench.stats import ALPHA, Floats, least_p, rank_sums

WANTED = 0.8
"""The power that a study plans for."""

LEAST_IMAGES = 5
"""Differences of fewer images say too little of their spread."""

MOST_IMAGES = 5000
"""No search goes beyond this; the answer is then None."""

_SETS = 1000
_EXACT = 100  # images up to which the test's exact distribution is used


@dataclass(frozen=True)
class Power:
    """What a number of images can show.

    Attributes:
        difference: the mean difference in question, without its sign, in the metric's unit.
        images: how many images there are.
        power: the share of such sets of images in which the paired test finds that difference.
        needed: images for a power of ``WANTED``, to two digits that count; None if ``MOST_IMAGES`` are not enough.
    """

    difference: float
    images: int
    power: float
    needed: int | None

    @property
    def enough(self) -> bool:
        """Whether the images at hand reach the power that is wanted."""
        return self.needed is not None and self.images >= self.needed


def power_of(
    differences: ArrayLike, difference: float | None = None, alpha: float = ALPHA, seed: int = 0
) -> Power | None:
    """Power of the paired test for a mean difference, and how many images it takes.

    Args:
        differences: ``(n,)``, one an image, model less model.
        difference: the mean difference to be told apart, its sign left out; that of ``differences`` if None.
        alpha: the test finds a difference where its p is at most this; less where several tests share the error.
        seed: the simulated sets are a function of it.

    Returns:
        None where it is undefined: fewer than 5 images, an infinite difference, or no difference at all.

    Raises:
        InputError: the difference in question is not a positive number.

    >>> apart = [0.3, -0.2, 0.1, 0.4, -0.3, 0.2, 0.0, 0.1, -0.1, 0.0]
    >>> power_of(apart, 0.05).needed > power_of(apart, 0.1).needed
    True
    """
    given = np.asarray(differences, dtype=np.float64)
    if difference is not None and not (math.isfinite(difference) and difference != 0):
        raise InputError(f"the difference to be told apart is {difference}; expected a number other than 0")
    if given.ndim != 1 or given.size < LEAST_IMAGES or not np.isfinite(given).all():
        return None
    asked = abs(float(given.mean()) if difference is None else difference)
    if asked == 0:
        return None
    moved = given - given.mean() + math.copysign(asked, given.mean())  # a skewed spread keeps its side
    return Power(asked, given.size, _share_found(moved, given.size, alpha, seed), _needed(moved, alpha, seed))


def _needed(moved: Floats, alpha: float, seed: int) -> int | None:
    """The least number of images with the wanted power, by bisection; rounded to two digits."""
    low = next(n for n in range(1, 64) if least_p(n) <= alpha) - 1  # with so few no p is small enough
    high = low + 1
    while _share_found(moved, high, alpha, seed) < WANTED:
        low = high
        high = min(2 * high, MOST_IMAGES)
        if low == high:
            return None
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if _share_found(moved, middle, alpha, seed) >= WANTED else (middle, high)
    step = 10 ** max(0, len(str(high)) - 2)
    return -(-high // step) * step


def _share_found(moved: Floats, n: int, alpha: float, seed: int) -> float:
    """The share of sets of ``n`` images, drawn from differences, in which the signed-rank test gives p ≤ alpha."""
    critical = _critical(n, alpha)
    if critical < 0:
        return 0.0
    sets = _SETS if n <= 1000 else _SETS // 4
    generator = np.random.default_rng(seed)
    drawn = moved[generator.integers(0, moved.size, (sets, n))]
    # An image drawn twice is two images that are much alike, not a tie: a billionth of the spread parts them.
    spread = float(moved.std()) or float(np.abs(moved).max())
    drawn = drawn + generator.standard_normal((sets, n)) * (1e-9 * spread)
    ranks = np.abs(drawn).argsort(axis=1).argsort(axis=1) + 1
    positive = np.where(drawn > 0, ranks, 0).sum(axis=1)
    least = np.minimum(positive, n * (n + 1) // 2 - positive)
    return float((least <= critical).mean())


@lru_cache(maxsize=256)
def _critical(n: int, alpha: float) -> int:
    """The greatest sum of ranks (of the rarer sign) with which the two-sided test gives p ≤ alpha; −1 if none does."""
    if n <= _EXACT:
        sums = rank_sums(tuple(range(2, 2 * n + 2, 2)))[::2]  # ranks are doubled there
        return int(np.searchsorted(2 * sums, alpha, side="right")) - 1
    from scipy.special import ndtri

    mean, deviation = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return math.floor(mean + float(ndtri(alpha / 2)) * deviation)
