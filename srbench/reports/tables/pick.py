"""Which table a person means, and which rows: a checkpoint, one of its variants, a pattern, or an architecture (its best one)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from srbench.errors import InputError, UnknownNameError
from srbench.reports.tables.overview import best_rows
from srbench.reports.tables.rows import Entrant, Table


def pick_table(tables: Iterable[Table], dataset: str, scale: int, protocol: str) -> Table:
    """The table with numbers of a dataset, scale and protocol.

    Args:
        tables: of ``build_tables``.
        dataset: its name in records.
        scale: the upscaling factor.
        protocol: a name or an id.

    Raises:
        InputError: nothing was measured at this scale under this protocol.
        UnknownNameError: not on this dataset.
    """
    here = {t.dataset: t for t in tables if t.scale == scale and protocol in (t.protocol, t.protocol_name) and t.rows}
    if not here:
        raise InputError(f"results/ has nothing at x{scale} under protocol {protocol!r}: `srbench eval --all` makes it")
    if dataset not in here:
        raise UnknownNameError("dataset", dataset, here, f"the results at x{scale} under {protocol}")
    return here[dataset]


def pick(tables: Sequence[Table], texts: Iterable[str]) -> list[Entrant]:
    """Entrants in the order named, each once; those of a pattern in the order of the first table.

    Args:
        tables: where they may stand.
        texts: ``fsrcnn_x4.tuned``, ``fsrcnn_x4.tuned+ensemble``, ``*_x4.tuned``, or an architecture such as ``fsrcnn`` or
            ``FSRCNN``.

    Raises:
        UnknownNameError: nothing of that name has a number in the tables.
    """
    found: dict[tuple[str, str], Entrant] = {}
    for text in texts:
        meant = _matching(tables, text)
        if not meant:
            known = {row.who.name for table in tables for row in table.rows}
            known |= {row.who.model for table in tables for row in table.rows}
            where = ", ".join(table.title for table in tables) or "results/"
            raise UnknownNameError("model or checkpoint", text, known, where)
        found |= {who.key: who for who in meant}
    return list(found.values())


def pick_best(tables: Sequence[Table]) -> list[Entrant]:
    """The best checkpoint of each architecture, worst first, as the tables of papers have them."""
    found: dict[str, Entrant] = {}
    for table in sorted(tables, key=lambda table: -len(table.images)):
        for row in reversed(best_rows(table)):
            found.setdefault(row.who.checkpoint if row.who.own else row.who.model, row.who)
    return list(found.values())


def _matching(tables: Sequence[Table], text: str) -> list[Entrant]:
    everyone = {row.who.key: row.who for table in tables for row in table.rows}
    exact = [who for who in everyone.values() if text == who.name]
    if exact:
        return exact
    best = {row.who.key: row.who for table in tables for row in best_rows(table)}
    model = [who for who in best.values() if text.lower() in (who.model, who.display.lower())]
    if model:
        return model[:1]
    return [who for who in everyone.values() if fnmatch.fnmatch(who.name, text)]
