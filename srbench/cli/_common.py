"""What several commands share: options, tables and JSON output."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from srbench.errors import InputError
from srbench.inference import Inference, options

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
data_root_option = click.option(
    "--data-root",
    type=click.Path(file_okay=False),
    envvar="SRBENCH_DATA",
    help="Folder with the datasets (SRBENCH_DATA); without it, the download cache.",
)
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")


def inference_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each field of ``Inference``; the command takes the whole as ``inference``."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        asked = {}
        for name, option in options().items():
            asked[name] = given.pop(name)
            if option.formerly and (former := given.pop(f"former_{name}")) not in (None, False):
                hint(option.formerly, f"--{name}")
                asked[name] = former
        return command(**given, inference=Inference.of(asked))

    defaults = Inference.__dataclass_fields__
    for name, option in reversed(options().items()):
        default = "auto" if name == "device" else defaults[name].default
        kind: Any = {"type": click.IntRange(0)}
        if isinstance(default, bool):
            kind = {"is_flag": True}
        elif isinstance(default, str):
            choices = click.Choice([default, *map(str, option.words.values())]) if option.words else str
            kind = {"type": choices, "show_default": True}
        run = click.option(f"--{name}", name, default=default, help=option.help, **kind)(run)
        if option.formerly:
            run = click.option(option.formerly, f"former_{name}", default=None, hidden=True, **kind)(run)
    return run


def hint(former: str, now: str) -> None:
    """Say that an option has another name now; the former one goes on working."""
    click.echo(f"Note: {former} is {now} now", err=True)


constructor_option = click.option(
    "--option", "given_options", multiple=True, metavar="KEY=VALUE", help="For the constructor of a class or a model."
)


def parse_options(given: Iterable[str]) -> Mapping[str, str | int | float | bool | None]:
    """``KEY=VALUE`` pairs; a value is read as JSON where it is some, else it is text."""
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--option {text!r}: expected KEY=VALUE such as width=64")
        try:
            read = json.loads(value)
        except ValueError:
            read = value
        if not isinstance(read, str | int | float | bool | None):
            raise InputError(f"--option {text!r}: expected a number, true, false, null or text")
        found[key] = read
    return found


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
