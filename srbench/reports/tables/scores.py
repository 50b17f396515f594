"""Columns of a table: means with their intervals, differences to the best row, and ranks. All rows of a column at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from srbench.reports.tables.cells import Cell
from srbench.reports.tables.published import Figure
from srbench.reports.tables.rows import Difference, MetricInfo, Rank, Score
from srbench.stats import (
    ALPHA,
    SMALL,
    Floats,
    Interval,
    differences,
    holm,
    least_p,
    mean_intervals,
    paired_test,
    rank_intervals,
    share_rank,
)

Key = tuple[str, str]


def scores_of(
    cells: Sequence[Cell], info: MetricInfo, published: Callable[[Cell], Figure | None]
) -> Mapping[Key, Score]:
    """One metric of every cell, by the cell's key.

    Args:
        cells: those with numbers, all measured on the same images.
        info: the metric.
        published: the figure to stand beside a cell's mean.
    """
    found = {cell.key: _without(cell, info) for cell in cells}
    having = [cell for cell in cells if info.name in cell.scores]
    if not having:
        return found
    values = [cell.scores[info.name] for cell in having]
    means = [cell.means[info.name] for cell in having]
    leader = best_of(means, info)
    apart = [differences(row, values[leader]) for row in values]
    best = f"{means[leader]:.{info.digits}f}"
    few = values[0].size < SMALL
    reaches = mean_intervals(apart) if few else [None] * len(apart)
    columns = zip(having, values, means, mean_intervals(values), apart, reaches, strict=True)
    for i, (cell, row, mean, interval, away, reach) in enumerate(columns):
        found[cell.key] = Score(
            mean=mean,
            interval=_within(interval, info),
            values=tuple(row.tolist()),
            best=f"{mean:.{info.digits}f}" == best,
            behind=None if i == leader else Difference(float(away.mean()), reach),
            published=published(cell),
        )
    return found


def best_of(means: Sequence[float], info: MetricInfo) -> int:
    """Index of the best mean, the first of equal ones."""
    array = np.array(means)
    return int(np.argmax(array if info.higher_is_better else -array))


def ranks_of(cells: Sequence[Cell], info: MetricInfo) -> Mapping[Key, Rank]:
    """The rank of every cell that has the metric, by the cell's key; with intervals where the images are enough for a test."""
    having = [cell for cell in cells if info.name in cell.scores]
    if not having:
        return {}
    values = [cell.scores[info.name] for cell in having]
    means = np.array([cell.means[info.name] for cell in having])
    better = means if info.higher_is_better else -means
    places = [1 + int((better > mine).sum()) for mine in better]
    if least_p(values[0].size) > ALPHA:
        return {cell.key: Rank(place, alike=place) for cell, place in zip(having, places, strict=True)}
    intervals = rank_intervals(np.stack(values), info.higher_is_better)
    shared = share_rank(values, info.higher_is_better)
    columns = zip(having, places, intervals, shared, _against_best(values, means, info), strict=True)
    return {
        cell.key: Rank(place, reach.low, reach.high, reach.first, alike, p) for cell, place, reach, alike, p in columns
    }


def _against_best(values: Sequence[Floats], means: Floats, info: MetricInfo) -> list[float | None]:
    """Each row's p of the paired test against the best, by Holm's method over all of them; None for the best."""
    leader = best_of(means.tolist(), info)
    raised = iter(holm([paired_test(row, values[leader]) for i, row in enumerate(values) if i != leader]))
    return [None if i == leader else next(raised) for i in range(len(values))]


def _without(cell: Cell, info: MetricInfo) -> Score:
    status, reason = cell.why.get(info.name, ("not_measured", f"{info.name} was not asked for"))
    return Score(status=status, reason=reason)


def _within(interval: Interval | None, info: MetricInfo) -> Interval | None:
    """An interval cut at the ends of the metric's range, beyond which the mean cannot be: its coverage stays."""
    if interval is None:
        return None
    low, high = interval
    least = low if info.least is None else max(low, info.least)
    greatest = high if info.greatest is None else min(high, info.greatest)
    return least, greatest
