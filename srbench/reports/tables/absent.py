"""Cells that have no number: those whose records say so, and those that follow from the zoo and the protocol alone.

No record is needed to know that a network without checkpoint, or one of RGB where only luma exists, has no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from srbench.facts import ModelFacts, read_facts
from srbench.reports.tables.cells import Cell
from srbench.reports.tables.entrants import entrant_of_card, entrant_of_model
from srbench.reports.tables.rows import Absent, Entrant, Table
from srbench.zoo import Card

DERIVED = ("no_weights", "unsupported_protocol", "unsupported_scale")
"""Statuses that follow from the zoo and the protocol; a record of one says nothing that the zoo does not say better."""


def absent_of(
    table: Table, cells: Sequence[Cell], who: Mapping[tuple[str, str], Entrant], zoo: Sequence[Card] | None
) -> tuple[Absent, ...]:
    """Every cell of a table that has no number, by status and name.

    Args:
        table: with its rows.
        cells: those without numbers.
        who: entrants by key.
        zoo: the cards; None derives nothing.
    """
    numbered = {row.who.model for row in table.rows}
    measured = {row.who.checkpoint for row in table.rows}
    found: dict[tuple[str, str], Absent] = {}
    for entry in _derived(table, zoo) if zoo is not None else ():
        if entry.who.checkpoint not in measured and not (entry.status == "no_weights" and entry.who.model in numbered):
            found[entry.who.key] = entry
    derived = {entry.who.model for entry in found.values()}
    for cell in cells:
        model = cell.result.model
        if cell.status in DERIVED and model in numbered | derived:
            continue
        found[cell.key] = Absent(who[cell.key], cell.status, cell.reason)
    return tuple(sorted(found.values(), key=lambda entry: (entry.status, entry.who.key)))


def _derived(table: Table, zoo: Sequence[Card]) -> Iterator[Absent]:
    luma_alone = table.protocol_fields.get("lr") == "float"
    cards = [card for card in zoo if table.scale in card.scales]
    if luma_alone:
        for card in cards:
            if card.channels == "rgb":
                yield Absent(entrant_of_card(card), "unsupported_protocol", _luma(table, card.name), derived=True)
    having = {card.model for card in cards}
    for model in read_facts().models.values():
        if not model.interpolator and table.scale in model.scales and model.name not in having:
            yield _without_weights(table, model, luma_alone and model.channels == "rgb")


def _without_weights(table: Table, model: ModelFacts, impossible: bool) -> Absent:
    status = "unsupported_protocol" if impossible else "no_weights"
    why = f"the zoo has no checkpoint of {model.name} at x{table.scale}; `srbench train {model.name}` makes one"
    reason = _luma(table, model.name) if impossible else why
    return Absent(entrant_of_model(model.name, scale=table.scale), status, reason, derived=True)


def _luma(table: Table, name: str) -> str:
    return f"{table.protocol} gives networks luma alone; {name} works on RGB"
