"""Clips: one table a set × scale × protocol, of means over the clips' means, and each clip's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from srbench.clip_results import ClipResult
from srbench.errors import UnavailableError
from srbench.facts import metric_facts
from srbench.reports.tables.cells import Cell, cells_of, current_weights, split_version
from srbench.reports.tables.entrants import entrant_of
from srbench.reports.tables.rows import Entrant, MetricInfo
from srbench.results import Fields, MetricScores
from srbench.zoo import Card


@dataclass(frozen=True)
class ClipRow:
    """One network.

    Attributes:
        who: the network.
        means: mean of the clips' means, by metric; None where there is none.
        clips: by clip, the means of its frames or pairs.
    """

    who: Entrant
    means: Mapping[str, float | None]
    clips: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class ClipTable:
    """What was measured alike.

    Attributes:
        dataset: name of the set.
        scale: the upscaling factor.
        protocol: its id.
        protocol_fields: what it stands for.
        trim: frames left out at either end of each clip.
        clips: frames that were measured of each clip.
        metrics: the columns; those of frames, then those of neighbouring frames.
        rows: the best mean of the first metric first.
        absent: who has no number, with status and reason.
    """

    dataset: str
    scale: int
    protocol: str
    protocol_fields: Fields
    trim: int
    clips: Mapping[str, int]
    metrics: tuple[MetricInfo, ...]
    rows: tuple[ClipRow, ...]
    absent: tuple[tuple[Entrant, str, str], ...]


def build_clip_tables(records: Iterable[ClipResult], cards: Sequence[Card] = (), own: bool = False) -> list[ClipTable]:
    """Tables by set, scale and protocol.

    Within one, the newest versions of protocol and metrics, the zoo's weights and the frames of most records count, as for
    images; what does not is in ``absent``.

    Args:
        records: of any sets.
        cards: of the zoo.
        own: whether the tables with networks or clips of the user's own are wanted, or those of the zoo alone.
    """
    found = list(records)
    places = {_place(record) for record in found if not record.frames.of_zoo}
    kept = [r for r in found if (_place(r) in places if own else r.frames.of_zoo)]
    weights = current_weights([record.frames for record in kept], cards)
    groups: dict[tuple[str, int, str], list[ClipResult]] = {}
    for record in kept:
        groups.setdefault((*_place(record), split_version(record.frames.protocol)[0]), []).append(record)
    return [_table(groups[key], weights, {card.name: card for card in cards}) for key in sorted(groups)]


def _place(record: ClipResult) -> tuple[str, int]:
    return record.frames.dataset, record.frames.scale


def _table(records: list[ClipResult], weights: Mapping[str, str], cards: Mapping[str, Card]) -> ClipTable:
    of = {id(record.frames): record for record in records}
    cells = cells_of([record.frames for record in records], weights)
    counted = [(cell, of[id(cell.result)]) for cell in cells if cell.scores]
    one = counted[0][1] if counted else records[0]
    newest = _newest_temporal([record for _, record in counted])
    names = [*dict.fromkeys(name for cell, _ in counted for name in cell.scores), *newest]
    infos = tuple(_info(name, next(r.metrics[name] for _, r in counted if name in r.metrics)) for name in names)
    rows = [_row(cell, record, infos, newest, cards) for cell, record in counted]
    first = infos[0] if infos else None
    rows.sort(key=lambda row: (_badness(row, first), row.who.key))
    absent = [(_who(cell, cards), cell.status, cell.reason) for cell in cells if not cell.scores]
    return ClipTable(
        dataset=one.frames.dataset,
        scale=one.frames.scale,
        protocol=one.frames.protocol,
        protocol_fields=one.frames.protocol_fields,
        trim=one.trim,
        clips={clip: sum(name.startswith(f"{clip}/") for name in one.frames.images) for clip in one.clips},
        metrics=infos,
        rows=tuple(rows),
        absent=tuple(absent),
    )


def _newest_temporal(records: Sequence[ClipResult]) -> dict[str, int]:
    """Versions that count of the measures of neighbouring frames."""
    found: dict[str, int] = {}
    for record in records:
        for name, scores in record.temporal.items():
            found[name] = max(found.get(name, 0), scores.version)
    return found


def _info(name: str, scores: MetricScores) -> MetricInfo:
    facts = metric_facts(name)
    return MetricInfo(name, scores.unit, scores.higher_is_better, scores.digits, facts.least, facts.greatest)


def _who(cell: Cell, cards: Mapping[str, Card]) -> Entrant:
    card = cards.get(cell.result.checkpoint)
    same = card is not None and not cell.result.own and cell.result.weights_sha256 in ("", card.sha256)
    return entrant_of(cell.result, card if same else None)


def _row(
    cell: Cell, record: ClipResult, infos: Sequence[MetricInfo], newest: Mapping[str, int], cards: Mapping[str, Card]
) -> ClipRow:
    there = {
        info.name
        for info in infos
        if info.name in cell.scores
        or (info.name in record.temporal and record.temporal[info.name].version == newest[info.name])
    }

    def number(name: str, clip: str = "") -> float | None:
        if name not in there:
            return None
        try:
            return record.clip_mean(clip, name) if clip else record.mean(name)
        except UnavailableError:
            return None

    means = {info.name: number(info.name) for info in infos}
    clips = {clip: {info.name: number(info.name, clip) for info in infos} for clip in record.clips}
    return ClipRow(_who(cell, cards), means, clips)


def _badness(row: ClipRow, info: MetricInfo | None) -> float:
    value = row.means.get(info.name) if info else None
    if value is None or info is None:
        return float("inf")
    return -value if info.higher_is_better else value
