"""Power by simulation: how many images a difference needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, wilcoxon

from srbench.errors import InputError
from srbench.power import WANTED, _critical, power_of
from srbench.stats import paired_test

NORMAL = norm.ppf((np.arange(400) + 0.5) / 400)  # as normal as 400 differences can be, with standard deviation 1


@pytest.mark.parametrize("difference", [0.3, 0.5])
def test_normal_differences_need_what_the_formula_says(difference: float) -> None:
    """The t-test's formula, divided by the signed-rank test's efficiency of 3/π on normal data."""
    exact = ((norm.ppf(0.975) + norm.ppf(WANTED)) / difference) ** 2 * math.pi / 3
    found = power_of(NORMAL, difference)
    assert found is not None
    assert found.needed == pytest.approx(exact, rel=0.1, abs=2)
    assert found.enough


def test_power_is_the_share_of_sets_in_which_the_test_finds_it() -> None:
    rng = np.random.default_rng(5)
    found = power_of(NORMAL, 0.5)
    sets = rng.choice(NORMAL + 0.5, (400, 20))
    here = np.mean([wilcoxon(one).pvalue <= 0.05 for one in sets])
    few = power_of(np.random.default_rng(0).permutation(NORMAL)[:20], 0.5)
    assert found is not None
    assert few is not None
    assert found.power == 1.0
    assert few.power == pytest.approx(here, abs=0.15)  # the spread is that of 20 images here, not of 400


def test_half_the_difference_needs_four_times_the_images() -> None:
    whole, half = power_of(NORMAL, 0.4), power_of(NORMAL, 0.2)
    assert whole is not None
    assert half is not None
    assert whole.needed is not None
    assert half.needed == pytest.approx(4 * whole.needed, rel=0.15)


def test_a_difference_that_no_set_shows_has_no_number() -> None:
    tiny = power_of(NORMAL, 0.01)
    assert tiny is not None
    assert tiny.needed is None
    assert not tiny.enough
    assert 0.03 < tiny.power < 0.15


@pytest.mark.parametrize("given", [[0.1] * 4, [0.1, 0.2, math.inf, 0.3, 0.1, 0.2], [1.0, -1.0, 2.0, -2.0, 0.0]])
def test_it_can_be_undefined(given: list[float]) -> None:
    assert power_of(given) is None


@pytest.mark.parametrize("difference", [0.0, math.nan, math.inf])
def test_a_difference_that_is_none_is_refused(difference: float) -> None:
    with pytest.raises(InputError, match="other than 0"):
        power_of(NORMAL, difference)


def test_five_images_never_suffice() -> None:
    found = power_of([0.1, 0.11, 0.12, 0.09, 0.1])
    assert found is not None
    assert found.power == 0.0
    assert found.needed == 6


def test_the_sign_does_not_matter_and_a_stricter_level_needs_more() -> None:
    up, down, strict = power_of(NORMAL, 0.5), power_of(-NORMAL, -0.5), power_of(NORMAL, 0.5, alpha=0.01)
    assert up is not None
    assert down is not None
    assert strict is not None
    assert up.needed is not None
    assert strict.needed is not None
    assert down.needed == pytest.approx(up.needed, rel=0.1)
    assert strict.needed > up.needed


@pytest.mark.parametrize("n", [6, 14, 60, 150])
def test_critical_sums_are_those_of_the_test(n: int) -> None:
    """The test's own p just at the critical rank sum and one beyond it."""
    limit = _critical(n, 0.05)

    def p(least: int) -> float:
        """Of n differences whose negative ones have ranks that add up to ``least``."""
        left, signs = least, np.ones(n)
        for rank in range(n, 0, -1):
            if rank <= left:
                signs[rank - 1], left = -1.0, left - rank
        return paired_test(signs * np.arange(1, n + 1), np.zeros(n))

    assert p(limit) <= 0.05 < p(limit + 2)
