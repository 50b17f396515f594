"""The leaderboard in a notebook or a script: ``leaderboard("set5", scale=4)`` shows itself, and is tables and a frame."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.errors import InputError, UnknownNameError
from srbench.reports.plain import leaderboard_rows
from srbench.reports.tables import build_tables
from srbench.reports.tables.rows import Table
from srbench.reports.terminal import render
from srbench.reports.view import Shown, view
from srbench.results import read_results
from srbench.speed_results import read_speeds
from srbench.zoo import list_checkpoints

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Leaderboard:
    """Ranked tables of stored results, one a dataset, scale and protocol."""

    tables: tuple[Table, ...]

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __getitem__(self, index: int) -> Table:
        return self.tables[index]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a model, unrounded, as ``srbench report --json`` has them."""
        import pandas as pd

        return pd.DataFrame(leaderboard_rows(self.tables))

    def __repr__(self) -> str:
        return render(self.tables, 100) or "no results"

    def _repr_html_(self) -> str:
        return "".join(map(_html, self.tables)) or "<p>no results</p>"


def leaderboard(
    dataset: str | None = None,
    *,
    scale: int | None = None,
    protocol: str | None = None,
    root: Path | str | None = None,
) -> Leaderboard:
    """The leaderboard of stored results; nothing is measured.

    Args:
        dataset: only this one.
        scale: only this one.
        protocol: only this one, by name or id.
        root: the results folder; home's by default.

    Raises:
        UnknownNameError: no results on that dataset.
        InputError: none at that scale or protocol; a broken record.
    """
    found = build_tables(read_results(root), read_speeds(root), list_checkpoints(), derive=False)
    known = {table.dataset for table in found}
    if dataset is not None and dataset not in known:
        raise UnknownNameError("dataset", dataset, known, "the results")
    kept = [
        table
        for table in found
        if dataset in (None, table.dataset)
        and scale in (None, table.scale)
        and protocol in (None, table.protocol, table.protocol_name)
    ]
    if found and not kept:
        raise InputError(
            f"no results on {dataset or 'any dataset'} at x{scale or '…'} under {protocol or 'any protocol'}"
        )
    return Leaderboard(tuple(kept))


def _html(table: Table) -> str:
    shown = view(table)
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in shown.heads)
    rows = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in shown.rows)
    statuses = "".join(f"<li><code>{html.escape(name)}</code>: {html.escape(who)}</li>" for name, who in shown.statuses)
    return (
        f"<p><b>{html.escape(shown.title)}</b>: {html.escape(shown.remark)}</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><ul>{statuses}</ul>"
    )


def _cell(cell: Shown) -> str:
    text = html.escape(cell.text)
    text = f"<b>{text}</b>" if cell.best else text
    small = f" <small>{html.escape(cell.small)}</small>" if cell.small else ""
    return f"<td>{text}{small}</td>"
