"""How far apart training with other seeds ends: a family is one network, one recipe, several seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srbench.reports.leaderboard import MetricInfo

_SEED = re.compile(r"-seed\d+$")

SEEDS_REMARK = (
    "Seeds: how many trainings that differ in the seed alone have a number here, and how far apart their means of the first "
    "metric lie (largest minus smallest)."
)


def add_seeds(rows: Sequence[dict[str, Any]], infos: Sequence[MetricInfo]) -> None:
    """Give every row of a leaderboard table ``seeds``, how many of its family have a number, and ``{metric}_spread``.

    Both are None where fewer than two have one. ``fsrcnn_x4.common`` and ``fsrcnn_x4.common-seed1`` are of one family where
    options and variant are the same, too.
    """
    families: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        row["seeds"] = None
        row |= dict.fromkeys((f"{info.name}_spread" for info in infos), None)
        if row["kind"] == "model" and row["status"] == "ok":
            key = (_SEED.sub("", row["checkpoint"]), row["options"], row["variant"], row["precision"])
            families.setdefault(key, []).append(row)
    for family in families.values():
        for info in infos:
            means = [row[info.name] for row in family if row[f"{info.name}_status"] == "ok"]
            if len(means) > 1:
                for row in family:
                    row[f"{info.name}_spread"] = max(means) - min(means)
                    row["seeds"] = max(row["seeds"] or 0, len(means))
