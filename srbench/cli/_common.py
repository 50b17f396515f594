"""What several commands share: options, tables and JSON output."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from srbench.errors import counted

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
data_root_option = click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="SRBENCH_DATA",
    help="Folder with the datasets (SRBENCH_DATA); without it, the download cache.",
)


class Finite(click.FloatRange):
    """A finite float of a range. click's own range takes NaN, which no bound refuses, and infinity where it is open to it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number; expected {self._describe_range()}", param, ctx)
        return number


def _set_cache_memory(_: click.Context, __: click.Parameter, value: float | None) -> None:
    if value is not None:
        os.environ["SRBENCH_CACHE_MEMORY"] = str(value)


cache_memory_option = click.option(
    "--cache-memory",
    type=Finite(min=0),
    metavar="GIB",
    expose_value=False,
    callback=_set_cache_memory,
    help="Images, and what is prepared of them, in memory for the next checkpoint [SRBENCH_CACHE_MEMORY, else 1].",
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


def name_written(written: Sequence[Path]) -> None:
    """Say on standard error how many files of reports/ were written, the first by name; nothing where there are none."""
    if written:
        files = ", ".join(path.name for path in written[:3]) + (" …" if len(written) > 3 else "")
        click.echo(f"wrote {counted(len(written), 'file')} of reports/: {files}", err=True)


def warn_of_presets(names: Iterable[str]) -> None:
    """Say on standard error why a preset that exists to explain a figure is none to measure by."""
    from srbench.protocol import WARNINGS

    for name in names:
        if name in WARNINGS:
            click.echo(f"Note: {name}: {WARNINGS[name]}", err=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output; infinity is the string ``inf``."""
    click.echo(json.dumps(value, indent=2, default=str, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], err: bool = False) -> None:
    """A table that breaks no number and no name; piped output is as wide as its content.

    On a terminal that is too narrow, prose wraps between words first; then columns are left out from the right, and named.
    ``err`` prints on standard error.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=err)
    if not console.is_terminal:
        console = Console(width=240, stderr=err)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths, hidden = fit_columns(columns, cells, console.width)
    table = Table(
        title=title, title_justify="left", box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for i, width in widths.items():
        table.add_column(columns[i], overflow="fold", min_width=width, max_width=width)
    for row in cells:
        table.add_row(*(Text(row[i]) for i in widths))  # as Text, since a name such as cat[hr].png would be markup
    console.print(table)
    if hidden:
        names = ", ".join(columns[i] for i in hidden)
        console.print(Text(f"not shown at {console.width} columns: {names} (--json, or a wider terminal)"))


_GAP = 2  # between columns
_PROSE = 24  # prose gets no narrower


def fit_columns(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> tuple[dict[int, int], list[int]]:
    """Which columns a terminal has room for.

    Args:
        columns: their heads.
        cells: rows of as many cells.
        width: of the terminal.

    Returns:
        index → width of the columns shown; indices of those left out.
    """
    contents = [[columns[i], *(row[i] for row in cells)] for i in range(len(columns))]
    natural = [max(map(len, column)) for column in contents]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in contents]
    prose = [
        i for i, column in enumerate(contents) if any(cell.count(" ") > 1 for cell in column) or natural[i] > width // 2
    ]
    shown = list(range(len(columns)))
    while True:
        spare = width - sum(natural[i] for i in shown) - _GAP * (len(shown) - 1)
        room = {i: natural[i] for i in shown}
        for i in sorted((i for i in prose if i in shown), key=lambda i: -natural[i]):
            least = min(natural[i], max(_PROSE, words[i] if words[i] <= width // 2 else 0))
            given = min(max(-spare, 0), natural[i] - least)
            room[i], spare = natural[i] - given, spare + given
        if spare >= 0 or len(shown) == 1:
            return room, [i for i in range(len(columns)) if i not in shown]
        shown.pop()
