"""From stored scores to ranked tables: one table a dataset × scale × protocol. Renderers see only these.

Nothing is rounded here. A cell without a number keeps its row, with status and reason and no rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.reports.published import find_figure, published_models
from srbench.reports.seeds import add_seeds
from srbench.results import MetricScores, Result
from srbench.stats import ALPHA, Floats, least_p, mean_interval, share_rank

if TYPE_CHECKING:
    import pandas as pd

SPEED_COLUMNS = ("mult_adds", "latency_ms", "throughput", "memory_mb")
"""Columns that are taken from speed results where there are some."""

_ORDER = ("psnr", "ssim", "lpips")


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown: as it was declared when it was measured."""

    name: str
    unit: str
    higher_is_better: bool
    digits: int


@dataclass(frozen=True)
class Table:
    """One ranked table.

    Attributes:
        protocol_fields: what the protocol's id stands for.
        images: how many the ranked rows were measured on.
        metrics: in the order shown; ``primary`` is the one that ranks.
        rows: ranked rows first, then those without rank. Columns: ``rank``, ``checkpoint``, ``model``, ``variant``, ``kind``
            (``model``, ``interpolator`` or ``published``), ``options`` (text), ``parameters``, ``status``, ``reason``,
            ``recipe``, ``trained_on``, ``precision``, ``protocol``, ``images``, and for every metric m: ``m`` (mean),
            ``m_low``, ``m_high`` (95 % interval), ``m_published``, ``m_source``, ``m_delta``, ``m_status``, ``m_reason``;
            NaN where there is none.
        by_image: the primary metric of the ranked rows, best first: one row an image, one column a row of ``rows``, named by
            its ``(checkpoint, variant)``.
        separable: whether the paired test could tell two models apart with so few images.
        timed_on: the device of the speed columns; empty where there are none.
    """

    dataset: str
    scale: int
    protocol: str
    protocol_fields: dict[str, Any]
    images: int
    metrics: tuple[MetricInfo, ...]
    primary: str
    rows: pd.DataFrame
    by_image: pd.DataFrame
    separable: bool
    timed_on: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [{str(key): value for key, value in row.items()} for row in self.rows.to_dict("records")]


def build_leaderboard(results: Iterable[Result], speed: pd.DataFrame | None = None) -> list[Table]:
    """Ranked tables, sorted by dataset, scale and protocol.

    Args:
        results: records of any datasets, scales and protocols.
        speed: one row a checkpoint (and ``scale`` and ``variant``, where it has these columns) with any of
            ``SPEED_COLUMNS``, all of one device, which ``timed_on`` names.

    Ranked are the cells measured on the same images (those of most cells) with the greatest version of each metric and of
    the protocol; the others keep their rows, with the status ``other_data`` or ``outdated``. A model without weights has no
    row where one of its checkpoints has a number.
    """
    groups: dict[tuple[str, int, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.dataset, result.scale, _version(result.protocol)[0]), []).append(result)
    tables = [_table(groups[key]) for key in sorted(groups)]
    if speed is not None and not speed.empty:
        tables = [_with_speed(table, speed) for table in tables]
    return tables


def _with_speed(table: Table, speed: pd.DataFrame) -> Table:
    keys = [key for key in ("checkpoint", "variant") if key in speed]
    columns = [name for name in SPEED_COLUMNS if name in speed]
    fitting = speed[speed["scale"] == table.scale] if "scale" in speed else speed
    joined = table.rows.merge(fitting[[*keys, *columns]].drop_duplicates(keys), on=keys, how="left")
    for name in columns:
        table.rows[name] = joined[name].to_numpy()
    on = fitting["timed_on"].iloc[0] if "timed_on" in fitting and joined[columns].notna().any(axis=None) else ""
    return replace(table, timed_on=on)


def _table(results: list[Result]) -> Table:
    import pandas as pd

    newest = max((result.protocol for result in results), key=_version)
    versions: dict[str, MetricScores] = {}
    for result in results:
        for name, scores in result.metrics.items():
            if name not in versions or scores.version > versions[name].version:
                versions[name] = scores
    cells = [_Cell(result, newest, versions) for result in results]
    current = {cell.key for cell in cells if cell.result.protocol == newest}
    cells = [cell for cell in cells if cell.result.protocol == newest or cell.key not in current]
    count = _set_other_data_aside(cells)

    # A metric that no cell has a number for is a column of statuses; it never ranks where another one can.
    numbered = {name for cell in cells for name in cell.scores}
    place = {name: i for i, name in enumerate(_ORDER)}
    found = {name: {r.metrics[name].status for r in results if name in r.metrics} for name in versions}
    possible = [
        name for name in versions if found[name] != {"unsupported_protocol"}
    ]  # none of a protocol of luma is LPIPS
    order = sorted(possible, key=lambda name: (name not in numbered, place.get(name, len(place)), name))
    infos = tuple(MetricInfo(m, versions[m].unit, versions[m].higher_is_better, versions[m].digits) for m in order)
    _rank(cells, infos)
    have_numbers = {cell.result.model for cell in cells if cell.scores}
    shown = [c for c in cells if c.scores or c.status != "no_weights" or c.result.model not in have_numbers]
    rows = [cell.summary(infos) for cell in sorted(shown, key=lambda cell: cell.order(infos))]
    one = next(result for result in results if result.protocol == newest)
    for model in published_models(one.dataset, one.scale, newest):
        if model not in {row["model"] for row in rows}:
            rows.append(_published_row(model, one, infos))
    add_seeds(rows, infos)
    whole = {"rank": "Int64", "parameters": "Int64", "images": "Int64", "seeds": "Int64"}
    table = pd.DataFrame(rows).astype(whole)
    primary = order[0] if order else ""
    ranked = sorted((cell for cell in cells if cell.rank), key=lambda cell: cell.order(infos))
    images = ranked[0].result.images if ranked else []
    columns = (
        pd.MultiIndex.from_tuples([cell.key for cell in ranked], names=["checkpoint", "variant"]) if ranked else None
    )
    by_image = pd.DataFrame(np.array([cell.scores[primary] for cell in ranked]).T, index=images, columns=columns)
    separable = least_p(max(count, 1)) <= ALPHA
    fields = one.protocol_fields
    return Table(one.dataset, one.scale, newest, fields, count, infos, primary, table, by_image, separable)


class _Cell:
    """One record in one table: the scores that count there, or why it has none."""

    def __init__(self, result: Result, newest: str, versions: Mapping[str, MetricScores]) -> None:
        self.result = result
        self.key = (result.checkpoint, result.variant)
        self.data = (result.data_sha256, tuple(result.images))
        self.rank: int | None = None
        self.status, self.reason = result.status, result.reason
        self.scores: dict[str, Floats] = {}
        self.means: dict[str, float] = {}
        self.why: dict[str, tuple[str, str]] = {}
        for name, scores in result.metrics.items() if result.ok else ():
            latest = versions[name].version
            if scores.status != "ok":
                self.why[name] = (scores.status, scores.reason)
            elif scores.version < latest:
                self.why[name] = ("outdated", f"measured with version {scores.version} of {name}; now {latest}")
            else:
                self.scores[name] = np.array(scores.values, dtype=np.float64)
                self.means[name] = result.mean(name)
        if result.ok and result.protocol != newest:
            self.drop("outdated", f"measured under {result.protocol}; now {newest}")
        elif result.ok and not self.scores:
            self.drop(*next(iter(self.why.values())))

    def drop(self, status: str, reason: str) -> None:
        """Take the numbers out of the table and say why."""
        self.scores, self.means, self.why = {}, {}, {}
        self.status, self.reason = status, reason

    def summary(self, infos: Sequence[MetricInfo]) -> dict[str, Any]:
        """The row of the table: who, how sure, and what was published."""
        result = self.result
        options = {k: v for k, v in sorted(result.options.items()) if v not in (None, "", "none")}
        row: dict[str, Any] = {"rank": self.rank}
        row |= {"checkpoint": result.checkpoint, "model": result.model, "variant": result.variant}
        row["kind"] = "interpolator" if result.parameters == 0 and result.checkpoint == result.model else "model"
        row["options"] = ", ".join(f"{name}={value}" for name, value in options.items())
        row |= {"parameters": result.parameters, "status": self.status, "reason": self.reason}
        row |= {"recipe": result.recipe, "trained_on": result.trained_on, "precision": result.precision}
        row |= {"protocol": result.protocol, "images": len(result.images) or None}
        for info in infos:
            m = info.name
            mean = self.means.get(m, math.nan)
            low, high = (m in self.scores and mean_interval(self.scores[m])) or (math.nan, math.nan)
            unmeasured = (
                ("not_measured", f"{m} was not asked for") if self.status == "ok" else (self.status, self.reason)
            )
            status, reason = ("ok", "") if m in self.scores else self.why.get(m, unmeasured)
            row |= {m: mean, f"{m}_low": low, f"{m}_high": high, f"{m}_status": status, f"{m}_reason": reason}
            row |= _published(result, m, mean) if set(options) <= {"skip"} else _published(None, m, mean)
        return row

    def order(self, infos: Sequence[MetricInfo]) -> tuple[Any, ...]:
        """Ranked rows by mean, then rows with numbers but without rank, then the rest; names break ties."""
        mean = self.means[infos[0].name] if self.rank else 0.0
        mean = -mean if infos and infos[0].higher_is_better else mean
        return self.rank is None, mean, not self.scores, self.key


def _rank(cells: list[_Cell], infos: Sequence[MetricInfo]) -> None:
    ranked = [cell for cell in cells if infos and infos[0].name in cell.scores]
    scores = [cell.scores[infos[0].name] for cell in ranked]
    for cell, rank in zip(ranked, share_rank(scores, not infos or infos[0].higher_is_better), strict=True):
        cell.rank = rank


def _set_other_data_aside(cells: list[_Cell]) -> int:
    """Keep the scores of the cells measured on the images of most (of the latest where as many); returns how many."""
    votes: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for cell in cells:
        if cell.scores:
            votes.setdefault(cell.data, []).append(cell.result.created)
    if not votes:
        return 0
    chosen = max(votes, key=lambda data: (len(votes[data]), max(votes[data]), data))
    for cell in cells:
        if cell.scores and cell.data != chosen:
            digest, images = cell.data
            cell.drop("other_data", f"measured on {len(images)} other images (sha256 {digest[:8] or 'unknown'})")
    return len(chosen[1])


def _published(result: Result | None, metric: str, mean: float) -> dict[str, Any]:
    """Published figure, source and difference; empty where there is none under this protocol."""
    figure = None
    if result is not None:
        inference = "" if result.variant == "lrfiles" else result.variant
        figure = find_figure(result.model, result.dataset, result.scale, result.protocol, metric, inference)
    value, note = (figure.value, figure.note) if figure else (math.nan, "")
    return {f"{metric}_published": value, f"{metric}_source": note, f"{metric}_delta": mean - value}


def _published_row(model: str, like: Result, infos: Sequence[MetricInfo]) -> dict[str, Any]:
    row: dict[str, Any] = {"rank": None, "checkpoint": model, "model": model, "variant": "", "kind": "published"}
    row |= {"options": "", "parameters": None, "status": "published", "reason": "not measured here"}
    row |= {"recipe": "", "trained_on": "", "precision": "", "protocol": like.protocol, "images": None}
    source = like.model_copy(update={"model": model, "variant": ""})
    for info in infos:
        m = info.name
        row |= dict.fromkeys((m, f"{m}_low", f"{m}_high"), math.nan)
        row |= {f"{m}_status": "published", f"{m}_reason": "not measured here", **_published(source, m, math.nan)}
    return row


def _version(protocol: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.+)\.v(\d+)", protocol)
    return (match[1], int(match[2])) if match else (protocol, 0)
