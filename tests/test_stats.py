"""Intervals that cover what they promise, and a paired test that agrees with SciPy's and with counting by hand."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from srbench.errors import InputError
from srbench.stats import (
    SMALL,
    Floats,
    bootstrap_interval,
    differences,
    holm,
    least_p,
    mean_interval,
    mean_intervals,
    paired_test,
    rank_intervals,
    seeded_difference,
    seeded_test,
    share_rank,
)

decibels = st.floats(15, 50).map(lambda v: round(v, 3))
sets = st.lists(decibels, min_size=1, max_size=30)


@given(sets)
def test_interval_surrounds_the_mean(values: list[float]) -> None:
    interval = bootstrap_interval(values, resamples=499)
    if interval is None:
        assert len(values) < 5 or len(set(values)) < len(values)
    else:
        assert interval[0] <= np.mean(values) <= interval[1]


def test_interval_is_reproducible_and_follows_shift_and_scale() -> None:
    values = np.random.default_rng(3).gamma(2, 2, 14)
    low, high = bootstrap_interval(values) or (math.nan, math.nan)
    assert bootstrap_interval(values.tolist()) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)
    assert bootstrap_interval(10 + 3 * values) == pytest.approx((10 + 3 * low, 10 + 3 * high))
    assert bootstrap_interval(-values) == pytest.approx((-high, -low), abs=0.2)


@pytest.mark.parametrize("values", [[30.0] * 4, [30.0, 31.0, 32.0, 33.0, math.inf], [30.0]])
def test_interval_can_be_undefined(values: list[float]) -> None:
    assert bootstrap_interval(values) is None


def test_equal_scores_give_a_point() -> None:
    low, high = bootstrap_interval([0.1] * 7) or (math.nan, math.nan)
    assert low == high == pytest.approx(0.1)


def test_a_higher_level_is_wider() -> None:
    values = np.random.default_rng(4).normal(30, 4, 14)
    narrow, wide = bootstrap_interval(values, level=0.8), bootstrap_interval(values, level=0.99)
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_small_set_has_students_interval_and_a_larger_one_the_bootstrap() -> None:
    from scipy import stats as scipy_stats

    values = np.random.default_rng(5).normal(30, 4, SMALL)
    assert mean_interval(values) == bootstrap_interval(values)
    few = values[:5]
    expected = scipy_stats.t.interval(0.95, 4, few.mean(), scipy_stats.sem(few))
    assert mean_interval(few) == pytest.approx(expected)
    assert mean_interval(values[:2]) is None
    assert mean_interval([30.0, 31.0, math.inf]) is None


def test_coverage_at_the_size_of_set5() -> None:
    samples = np.random.default_rng(21).normal(30, 4, (2000, 5))
    hits = sum(low <= 30 <= high for low, high in filter(None, map(mean_interval, samples)))
    assert 0.93 < hits / 2000 < 0.97


def _percentile(values: Floats, resamples: int) -> tuple[float, float]:
    n = values.size
    drawn = np.random.default_rng(0).integers(0, n, (resamples, n))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize(("shape", "least"), [("normal", 0.935), ("skewed", 0.905)])
def test_coverage_at_the_size_of_set14(shape: str, least: float) -> None:
    rng = np.random.default_rng(20)
    samples = rng.normal(30, 4, (1500, 14)) if shape == "normal" else rng.exponential(4, (1500, 14))
    truth = 30.0 if shape == "normal" else 4.0
    hits = {"studentised": 0, "percentile": 0}
    for values in samples:
        interval = bootstrap_interval(values, resamples=999)
        assert interval is not None
        hits["studentised"] += interval[0] <= truth <= interval[1]
        low, high = _percentile(values, 999)
        hits["percentile"] += low <= truth <= high
    assert least < hits["studentised"] / 1500 < 0.97
    assert hits["percentile"] < hits["studentised"] - 15


@given(st.lists(st.tuples(decibels, decibels), min_size=1, max_size=11))
@settings(max_examples=50)
def test_p_equals_counting_all_signs(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    difference = differences(first, second)
    difference = difference[difference != 0]
    size = np.abs(difference)
    ranks = np.array([np.mean(np.flatnonzero(np.sort(size) == value)) + 1 for value in size])
    away = abs(np.sum(ranks * np.sign(difference)))
    signs = np.array(list(itertools.product([-1, 1], repeat=len(ranks))))
    expected = np.mean(np.abs(signs @ ranks) >= away - 1e-9) if len(ranks) else 1.0
    assert paired_test(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [5, 14, 40, 100, 200, 300])
def test_p_equals_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    first = rng.normal(30, 4, n)
    second = first + rng.normal(0.05, 0.2, n)
    expected = wilcoxon(first, second, method="exact" if n <= 200 else "approx").pvalue
    assert paired_test(first, second) == pytest.approx(expected, rel=1e-9)


def test_p_of_special_cases() -> None:
    inf = math.inf
    assert paired_test([30.0, inf], [30.0, inf]) == 1.0
    assert paired_test([inf, inf, inf, inf, inf, inf], [30.0, 31, 32, 33, 34, 35]) == least_p(6) == 0.03125
    assert least_p(5) == 0.0625
    assert least_p(1) == 1.0
    a, b = [30.0, 31.5, 32.1, 33.0], [29.0, 31.7, 32.0, 32.0]
    assert paired_test(a, b) == paired_test(b, a)
    with pytest.raises(InputError, match="3 scores against 2"):
        paired_test([1.0, 2, 3], [1.0, 2])
    with pytest.raises(InputError, match="NaN"):
        paired_test([1.0, math.nan], [1.0, 2])


def test_a_small_but_steady_difference_is_seen() -> None:
    images = np.random.default_rng(1).normal(30, 4, 14)
    steady = images + 0.03 + np.random.default_rng(2).normal(0, 0.01, 14)
    assert paired_test(images, steady) < 0.001
    assert share_rank([images, steady]) == [2, 1]


def test_rank_is_shared_with_the_leader_of_the_group() -> None:
    rng = np.random.default_rng(5)
    images = rng.normal(30, 4, 14)
    noise = np.tile([0.2, -0.2], 7)
    best, alike, worse = images + 0.01, images + noise, images - 0.5
    assert share_rank([worse, alike, best]) == [3, 1, 1]
    assert share_rank([-worse, -alike, -best], higher_is_better=False) == [3, 1, 1]
    assert share_rank([worse[:5], alike[:5], best[:5]]) == [1, 1, 1]
    assert share_rank([[math.inf] * 6, images[:6]]) == [1, 2]
    assert share_rank([]) == []


@given(st.lists(st.lists(decibels, min_size=7, max_size=7), min_size=1, max_size=6))
def test_ranks_follow_the_means(scores: list[list[float]]) -> None:
    ranks = share_rank(scores)
    assert min(ranks) == 1
    for (a, rank_a), (b, rank_b) in itertools.permutations(zip(scores, ranks, strict=True), 2):
        if np.mean(a) > np.mean(b):
            assert rank_a <= rank_b


def test_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import srbench.stats"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("n", [2, 5, 14])
def test_many_rows_at_once_are_each_row_alone(n: int) -> None:
    rows = np.random.default_rng(n).normal(30, 4, (40, n))
    rows[3] = math.inf
    rows[4] = 30.0
    for row, found in zip(rows, mean_intervals(list(rows)), strict=True):
        assert found == (pytest.approx(alone) if (alone := mean_interval(row)) else None)
    assert mean_intervals([]) == []


def test_a_rank_lies_between_what_resamples_give() -> None:
    rng = np.random.default_rng(6)
    images = rng.normal(30, 4, 14)
    gains = np.array([0.0, 0.02, 1.0, -1.0, 0.01])
    scores = images + gains[:, None] + rng.normal(0, 0.05, (5, 14))
    found = rank_intervals(scores)
    order = np.argsort(-scores.mean(axis=1))
    for place, i in enumerate(order, 1):
        assert found[i].low <= place <= found[i].high
    assert (found[2].low, found[2].high, found[2].first) == (1, 1, 1.0)
    assert (found[3].low, found[3].high, found[3].first) == (5, 5, 0.0)
    assert sum(one.first for one in found) == pytest.approx(1.0)
    assert found[0].high > found[0].low, "0.02 dB apart with as much noise"
    turned = rank_intervals(-scores, higher_is_better=False)
    assert turned == found
    assert rank_intervals(scores) == found, "seeded"


def test_equal_models_share_a_rank_and_their_chance_of_being_first() -> None:
    images = np.random.default_rng(8).normal(30, 4, 14)
    found = rank_intervals(np.stack([images, images, images - 1, np.full(14, math.inf)]))
    assert [(one.low, one.high, one.first) for one in found] == [(2, 2, 0.0), (2, 2, 0.0), (4, 4, 0.0), (1, 1, 1.0)]
    twins = rank_intervals(np.stack([images, images]))
    assert [one.first for one in twins] == [0.5, 0.5]
    assert rank_intervals(np.zeros((0, 5))) == []


def test_the_rank_intervals_hold_the_rank_of_the_whole_set() -> None:
    """Models 0.1 dB apart on 400 images: on samples of 20 of them the interval holds the true rank nearly always."""
    rng = np.random.default_rng(9)
    scores = rng.normal(30, 4, 400) + 0.1 * np.arange(6)[::-1, None] + rng.normal(0, 0.4, (6, 400))
    truth = 1 + np.argsort(np.argsort(-scores.mean(axis=1)))
    hits = []
    for seed in range(40):
        drawn = np.random.default_rng(seed).choice(400, 20, replace=False)
        found = rank_intervals(scores[:, drawn])
        hits += [one.low <= rank <= one.high for one, rank in zip(found, truth, strict=True)]
    assert np.mean(hits) > 0.9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_raises_and_keeps_the_order(p: list[float]) -> None:
    raised = holm(p)
    assert all(a <= b <= 1 for a, b in zip(p, raised, strict=True))
    for i, j in itertools.combinations(range(len(p)), 2):
        assert (p[i] <= p[j]) <= (raised[i] <= raised[j])


def test_seeds_and_images_are_both_samples() -> None:
    random = np.random.default_rng(0)
    rejected = {"seeded": 0, "images": 0}
    for _ in range(400):  # two recipes that are alike: seeds differ by 0.05 dB, images by 4
        images = random.normal(28, 4, 10)
        a, b = (
            images + random.normal(0, 0.05, (3, 1)) + random.normal(0, 0.05, (3, 10)) + random.normal(0, 0.03, 10)
            for _ in range(2)
        )
        rejected["seeded"] += seeded_difference(a, b).p <= 0.05
        rejected["images"] += paired_test(a[0], b[0]) <= 0.05
    assert rejected["seeded"] <= 0.05 * 400
    assert rejected["images"] > 2 * 0.05 * 400, "one seed each, tested over images: what the printed p used to be"


def test_three_seeds_are_the_fewest_that_say_anything() -> None:
    a = np.random.default_rng(1).normal(28, 1, (3, 10))
    found = seeded_difference(a + 1, a)
    assert found.mean == pytest.approx(1)
    assert found.low is not None
    assert found.low < 1 < (found.high or 0)
    assert found.p is not None
    few = seeded_difference(a[:2] + 1, a)
    assert (few.mean > 0, few.low, few.p, seeded_test(a[:2], a)) == (True, None, None, None)
    assert seeded_difference(a, a).p == 1.0
    with pytest.raises(InputError, match="same images"):
        seeded_difference(a, a[:, :5])
    with pytest.raises(InputError, match="finite"):
        seeded_difference(a, np.full((3, 10), math.inf))
