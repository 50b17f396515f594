"""What several commands share: options, tables and JSON output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
data_root_option = click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="SRBENCH_DATA",
    help="Folder with the datasets (SRBENCH_DATA); without it, the download cache.",
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")


def split(value: str | None) -> list[str]:
    """The names in a comma-separated option, without blanks, each once and in order."""
    return list(dict.fromkeys(part.strip() for part in (value or "").split(",") if part.strip()))


def split_datasets(value: str | None) -> list[str]:
    """The names and folders in a comma-separated option; a comma inside the path of a folder that exists is part of it."""
    pieces = (value or "").split(",")
    found: list[str] = []
    while pieces:
        joined = [",".join(pieces[:count]).strip() for count in range(len(pieces), 1, -1)]
        folder = next((text for text in joined if Path(text).expanduser().is_dir()), pieces[0].strip())
        pieces = pieces[folder.count(",") + 1 :]
        found += [folder] if folder else []
    return list(dict.fromkeys(found))


def name_broken(broken: Iterable[Exception]) -> int:
    """Say on standard error which records were left out, each once; how many."""
    lines = list(dict.fromkeys(map(str, broken)))
    for line in lines:
        click.echo(f"Left out: {line}", err=True)
    return len(lines)


def print_json(value: Any) -> None:
    """One JSON document on standard output; infinity is the string ``inf``."""
    click.echo(json.dumps(value, indent=2, default=str, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as its content; piped output is not wrapped at 80 columns."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # As Text, since a name such as cat[hr].png would be markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)
