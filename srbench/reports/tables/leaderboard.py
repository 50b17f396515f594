"""From stored scores to ranked tables: one table a dataset × scale × protocol. Renderers see only these.

Nothing is rounded here. A cell without a number is no row: it stands in ``Table.absent`` with status and reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from srbench.facts import metric_facts
from srbench.reports.tables.absent import absent_of
from srbench.reports.tables.cells import Cell, cells_of, current_weights, newest_metrics, split_version
from srbench.reports.tables.entrants import entrant_of, entrant_of_model
from srbench.reports.tables.published import Figure, find_figure, is_published_form, published_models
from srbench.reports.tables.rows import Entrant, MetricInfo, Provenance, PublishedRow, Row, Speed, Table
from srbench.reports.tables.scores import ranks_of, scores_of
from srbench.reports.tables.seeds import with_seeds
from srbench.reports.tables.speed import pick_device, speeds
from srbench.results import Result, record_name
from srbench.speed_results import SpeedResult
from srbench.stats import ALPHA, least_p
from srbench.zoo import Card

_ORDER = ("psnr", "ssim", "lpips")
Key = tuple[str, int, str]
Timed = Mapping[tuple[str, int, str], Mapping[str, Speed]]


def build_tables(
    results: Iterable[Result],
    speed: Sequence[SpeedResult] = (),
    cards: Sequence[Card] | None = None,
    own: bool = True,
    derive: bool = True,
) -> list[Table]:
    """Ranked tables, sorted by dataset (Set5 before Set14), scale and protocol.

    Ranked are the cells measured on the same images (those of most cells) with the greatest version of each metric and of
    the protocol and with the weights that the zoo has; the others are in ``absent``, with the status ``other_data``,
    ``outdated`` or ``contradiction``.

    Args:
        results: records of any datasets, scales and protocols.
        speed: speed records of any devices.
        cards: of the zoo. None leaves the zoo out: nothing is known of any training, and no cell is derived.
        own: whether records that are not the zoo's are wanted (``Result.of_zoo``).
        derive: whether cells without record that can have no number are wanted in ``Table.absent``.
    """
    kept = [result for result in results if own or result.of_zoo]
    known = list(cards or ())
    weights = current_weights(kept, known)
    times, device = _timed(speed, known)
    groups: dict[Key, list[Result]] = {}
    for result in kept:
        groups.setdefault((result.dataset, result.scale, split_version(result.protocol)[0]), []).append(result)
    by_name = {card.name: card for card in known}
    tables = []
    for key in sorted(groups, key=_natural):
        table = _table(groups[key], by_name, weights, times, cards if derive else None)
        shown = device if any(device in row.speeds for row in table.rows) else ""
        tables.append(replace(table, device=shown))
    return tables


def _natural(key: Key) -> tuple[list[str | int], int, str]:
    """Set5 before Set14."""
    parts = re.split(r"(\d+)", key[0])
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], key[1], key[2]


def _table(
    results: list[Result],
    cards: Mapping[str, Card],
    weights: Mapping[str, str],
    times: Timed,
    zoo: Sequence[Card] | None,
) -> Table:
    cells = cells_of(results, weights)
    infos = _metrics(results, cells)
    newest = max((result.protocol for result in results), key=split_version)
    one = next((r for r in results if r.protocol == newest and r.protocol_fields), results[0])
    numbered = [cell for cell in cells if cell.scores]
    images = numbered[0].result.images if numbered else []
    who = {cell.key: entrant_of(cell.result, _card(cell, cards)) for cell in cells}
    rows = with_seeds(_rows(numbered, infos, who, times))
    table = Table(
        dataset=one.dataset,
        scale=one.scale,
        protocol=newest,
        protocol_fields=one.protocol_fields,
        images=tuple(images),
        metrics=infos,
        rows=rows,
        separable=bool(images) and least_p(len(images)) <= ALPHA,
    )
    absent = absent_of(table, [cell for cell in cells if not cell.scores], who, zoo)
    return replace(table, absent=absent, published=_published_rows(table))


def _card(cell: Cell, cards: Mapping[str, Card]) -> Card | None:
    """The card of a cell's checkpoint; of other weights it says nothing."""
    card = cards.get(cell.result.checkpoint)
    if card is None or cell.result.own or (cell.result.weights_sha256 and cell.result.weights_sha256 != card.sha256):
        return None
    return card


def _metrics(results: Sequence[Result], cells: Sequence[Cell]) -> tuple[MetricInfo, ...]:
    """The metrics of a table in the order shown; one that no cell has a number for never ranks where another one can."""
    versions = newest_metrics(results)
    numbered = {name for cell in cells for name in cell.scores}
    statuses = {name: {r.metrics[name].status for r in results if name in r.metrics} for name in versions}
    possible = [name for name in versions if statuses[name] != {"unsupported_protocol"}]  # LPIPS of luma alone
    place = {name: i for i, name in enumerate(_ORDER)}
    order = sorted(possible, key=lambda name: (name not in numbered, place.get(name, len(place)), name))
    infos = []
    for name in order:
        facts, declared = metric_facts(name), versions[name]
        ends = facts.least, facts.greatest
        infos.append(MetricInfo(name, declared.unit, declared.higher_is_better, declared.digits, *ends))
    return tuple(infos)


def _rows(
    cells: Sequence[Cell], infos: Sequence[MetricInfo], who: Mapping[tuple[str, str], Entrant], times: Timed
) -> list[Row]:
    """Ranked rows by place, then those without rank; names break ties."""
    columns = {info.name: scores_of(cells, info, partial(_figure, metric=info.name)) for info in infos}
    ranks = ranks_of(cells, infos[0]) if infos else {}
    rows = [
        Row(
            who=who[cell.key],
            scores={info.name: columns[info.name][cell.key] for info in infos},
            rank=ranks.get(cell.key),
            seeds=None,
            speeds=times.get((cell.result.checkpoint, cell.result.scale, cell.result.variant), {}),
            provenance=_provenance(cell.result),
            notes=tuple(cell.result.notes),
        )
        for cell in cells
    ]
    return sorted(rows, key=lambda row: (row.rank is None, row.rank.place if row.rank else 0, row.who.key))


def _figure(cell: Cell, metric: str) -> Figure | None:
    """The published figure of the same network, run the same way under the same protocol."""
    result = cell.result
    if result.own or not is_published_form(result.options):
        return None
    inference = "" if result.variant == "lrfiles" else result.variant
    return find_figure(result.model, result.dataset, result.scale, result.protocol, metric, inference)


def _published_rows(table: Table) -> tuple[PublishedRow, ...]:
    """Networks that have a published figure in this table and no row."""
    measured = {row.who.model for row in table.rows}
    found = []
    for model in published_models(table.dataset, table.scale, table.protocol):
        if model in measured:
            continue
        place = (model, table.dataset, table.scale, table.protocol)
        figures = {info.name: figure for info in table.metrics if (figure := find_figure(*place, info.name))}
        if figures:
            found.append(PublishedRow(entrant_of_model(model, "published", table.scale), figures))
    first = table.primary.name if table.primary else ""
    best = {row.who.model: -row.figures[first].value if first in row.figures else 0.0 for row in found}
    return tuple(sorted(found, key=lambda row: (best[row.who.model], row.who.model)))


def _provenance(result: Result) -> Provenance:
    found = result.provenance
    names = ("srbench", "commit", "torch", "python", "threads", "machine", "gpu", "tiling")
    return Provenance(
        record=record_name(result),
        created=result.created,
        device=result.device,
        seconds=result.seconds,
        data_sha256=result.data_sha256,
        cell_hash=result.cell_hash,
        **{name: found.get(name, "") for name in names},
    )


def _timed(records: Sequence[SpeedResult], cards: Sequence[Card]) -> tuple[Timed, str]:
    """Times by checkpoint, scale and variant, then device; and the device that tables show."""
    usual = [speed for speed in speeds(records, cards) if speed.usual and not speed.glance]
    found: dict[tuple[str, int, str], dict[str, Speed]] = {}
    for speed in usual:
        found.setdefault((speed.name, speed.scale, speed.variant), {})[speed.device] = speed
    return found, pick_device(usual)
