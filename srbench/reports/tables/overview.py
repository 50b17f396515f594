"""One row an architecture: its best checkpoint on a few datasets at one scale, beside what was published and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from srbench.reports.tables.published import Figure, is_published_form, published_figure
from srbench.reports.tables.rows import Entrant, Row, Speed, Table

DATASETS = ("set5", "set14", "sample")
REFERENCE = "bicubic"
"""The interpolator that stands beside the networks."""


@dataclass(frozen=True)
class OverviewCell:
    """One architecture on one dataset.

    Attributes:
        row: of its best checkpoint; of several seeds the first.
        mean: of the table's first metric, over the seeds where there are several.
        spread: standard deviation over the seeds, None where there is one alone.
        published: the figure of the table's first metric, and ``protocol``, which it was measured under: ``standard``, or
            ``classic`` where there is none; only the former may be subtracted.
        best: whether it reads as the best of its column.
    """

    row: Row
    mean: float | None
    spread: float | None
    published: Figure | None = None
    protocol: str = ""
    best: bool = False

    def value(self, metric: str) -> float | None:
        """The mean of any metric, over the seeds where there are several."""
        return family_mean(self.row, metric)


@dataclass(frozen=True)
class OverviewRow:
    """One architecture.

    Attributes:
        who: its best checkpoint.
        seeds: how many trainings are merged.
        cells: by dataset; None where it was not measured.
        speed: of the checkpoint on the tables' device.
    """

    who: Entrant
    seeds: int
    cells: Mapping[str, OverviewCell | None]
    speed: Speed | None


@dataclass(frozen=True)
class Overview:
    """The first table that a reader sees.

    Attributes:
        tables: one a dataset, in the order of the columns; the last of most images orders the rows.
        rows: best first.
        left_out: names of architectures that were measured and do not stand here, best first.
    """

    tables: tuple[Table, ...]
    rows: tuple[OverviewRow, ...]
    left_out: tuple[str, ...]

    @property
    def scale(self) -> int:
        """The scale of all columns."""
        return self.tables[0].scale

    @property
    def protocol(self) -> str:
        """The id of the protocol of all columns."""
        return self.tables[0].protocol


def overview(
    tables: Sequence[Table],
    datasets: Sequence[str] = DATASETS,
    scale: int = 4,
    protocol: str = "standard",
    most: int = 12,
) -> Overview | None:
    """The best checkpoint of each architecture, or None where nothing of it was measured.

    The best is the one with the best mean of the first metric on the largest of the datasets; trainings that differ in
    the seed alone count as one, by their mean. Of the interpolators bicubic alone stands here.

    Args:
        tables: of ``build_tables``.
        datasets: the columns.
        scale: of all columns.
        protocol: of all columns, by name.
        most: rows at most; bicubic is one of them.
    """
    by_name = {t.dataset: t for t in tables if t.scale == scale and t.protocol_name == protocol and t.rows}
    columns = tuple(by_name[name] for name in datasets if name in by_name)
    if not columns:
        return None
    chosen = _chosen(columns)
    order = sorted(chosen, key=lambda model: (-chosen[model][0], model))
    networks = [model for model in order if chosen[model][1].who.kind == "network"]
    room = most - (REFERENCE in chosen)
    shown = [model for model in order if model in networks[:room] or model == REFERENCE]
    rows = [_row(chosen[model][1], columns) for model in shown]
    left = tuple(chosen[model][1].who.display for model in order if model not in shown)
    return Overview(columns, tuple(_marked(rows, columns)), left)


def _chosen(columns: Sequence[Table]) -> dict[str, tuple[float, Row]]:
    """Of each architecture how good its best training is, and its row, by the largest table that has one."""
    chosen: dict[str, tuple[float, Row]] = {}
    for table in sorted(columns, key=lambda table: -len(table.images)):
        for row in best_rows(table):
            chosen.setdefault(row.who.model, (_goodness(table, row), row))
    return chosen


def shown_checkpoints(tables: Sequence[Table], dataset: str) -> list[str]:
    """Networks whose images of a dataset are shown: those of the overview, of each architecture the best on the dataset, and of
    each adversarial one the training of the lowest LPIPS, which the one of most PSNR hides.

    Args:
        tables: of one scale and protocol.
        dataset: one of theirs.

    Returns:
        names of checkpoints, best on the dataset first; none of the user's own.
    """
    own = next(table for table in tables if table.dataset == dataset)
    named = {
        row.who.key for _, row in _chosen([table for table in tables if table.dataset in (*DATASETS, dataset)]).values()
    }
    named |= {row.who.key for row in best_rows(own)}
    named |= {min(found, key=_lpips).who.key for found in _adversarial(own).values()}
    rows = [row for row in own.rows if row.who.key in named and row.who.kind == "network" and not row.who.own]
    return [row.who.checkpoint for row in sorted(rows, key=lambda row: (-_goodness(own, row), row.who.key))]


def _adversarial(table: Table) -> dict[str, list[Row]]:
    """Plain rows of networks that a discriminator trained, by architecture."""
    found: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.who.adversarial and not row.who.variant:
            found.setdefault(row.who.model, []).append(row)
    return found


def _lpips(row: Row) -> float:
    mean = family_mean(row, "lpips")
    return float("inf") if mean is None else mean


def best_rows(table: Table) -> list[Row]:
    """Of each architecture the row of its best training run plainly; the user's own rows each stand for themselves."""
    best: dict[str, Row] = {}
    for row in table.rows:
        if row.who.variant or row.rank is None:
            continue
        key = row.who.checkpoint if row.who.own else row.who.model
        rival = best.get(key)
        if rival is None or _order(table, row) > _order(table, rival):
            best[key] = row
    return sorted(best.values(), key=lambda row: (-_goodness(table, row), row.who.key))


def family_mean(row: Row, metric: str) -> float | None:
    """The mean of a metric over the seeds of a row's family, or the row's own."""
    seeds, score = row.seeds, row.scores.get(metric)
    if seeds and metric in seeds.mean:
        return seeds.mean[metric]
    return score.mean if score else None


def _order(table: Table, row: Row) -> tuple[float, int]:
    return _goodness(table, row), -(row.who.seed or 0)


def _goodness(table: Table, row: Row) -> float:
    info = table.primary
    mean = family_mean(row, info.name) if info else None
    if info is None or mean is None:
        return float("-inf")
    return mean if info.higher_is_better else -mean


def _row(chosen: Row, columns: Sequence[Table]) -> OverviewRow:
    cells = {table.dataset: _cell(table, chosen.who) for table in columns}
    speed = next((found for table in columns if (found := table.speed(chosen))), None)
    return OverviewRow(chosen.who, chosen.seeds.count if chosen.seeds else 1, cells, speed)


def _cell(table: Table, who: Entrant) -> OverviewCell | None:
    row = table.row(*who.key)
    info = table.primary
    if row is None or info is None:
        return None
    comparable = not who.own and is_published_form(who.options)
    figure = published_figure(who.model, table.scale, table.dataset, info.name) if comparable else None
    spread = row.seeds.spread.get(info.name) if row.seeds else None
    value, protocol = figure if figure else (None, "")
    return OverviewCell(row, family_mean(row, info.name), spread, value, protocol)


def _marked(rows: Sequence[OverviewRow], columns: Sequence[Table]) -> list[OverviewRow]:
    """The rows with the best of each column marked; what reads the same is equally good."""
    found = list(rows)
    for table in columns:
        info = table.primary
        means = [cell.mean for row in rows if (cell := row.cells[table.dataset]) and cell.mean is not None]
        if info is None or not means:
            continue
        best = f"{(max if info.higher_is_better else min)(means):.{info.digits}f}"
        for i, row in enumerate(found):
            cell = row.cells[table.dataset]
            if cell and cell.mean is not None and f"{cell.mean:.{info.digits}f}" == best:
                found[i] = replace(row, cells={**row.cells, table.dataset: replace(cell, best=True)})
    return found
