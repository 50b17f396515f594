"""The leaderboard's tables on this terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from srbench.reports.tables.rows import Table

PIPED = 240
"""Width where the output is no terminal."""


def print_tables(
    tables: Sequence[Table], wide: bool = False, condense: bool = False, asked: Collection[str] = ()
) -> None:
    """Print tables as wide as the terminal is; see ``srbench.reports.terminal.render``."""
    from srbench.reports.terminal import render

    style = (lambda text: click.style(text, bold=True)) if sys.stdout.isatty() else None
    click.echo(render(tables, columns_of_terminal(), wide, condense, style, asked), nl=False)


def columns_of_terminal() -> int:
    """How wide the terminal is."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED
