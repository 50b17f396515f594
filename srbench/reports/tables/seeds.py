"""How far apart training with other seeds ends: a family is one network, one recipe, several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from srbench.reports.tables.rows import Row, Seeds


def with_seeds(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of one table, each of a family with what its family's seeds reached."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        if row.who.seed is not None:
            families.setdefault(row.who.family, []).append(row)
    found = {family: _seeds(members) for family, members in families.items() if len(members) > 1}
    return tuple(replace(row, seeds=found.get(row.who.family) if row.who.seed is not None else None) for row in rows)


def _seeds(members: Sequence[Row]) -> Seeds | None:
    mean: dict[str, float] = {}
    spread: dict[str, float] = {}
    for metric in members[0].scores:
        means = [score.mean for row in members if (score := row.scores[metric]).mean is not None]
        values = [value for value in means if value is not None and abs(value) != float("inf")]
        if len(values) > 1:
            mean[metric], spread[metric] = statistics.fmean(values), statistics.stdev(values)
    return Seeds(len(members), mean, spread) if mean else None
