"""``python -m tests.campaign [NAME …] --n 10000``: damage, kill, write at once; exit code 1 where anything went wrong."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

import tests.campaign
from srbench.errors import InputError
from srbench.files import write_text
from srbench.markdown import marked_part, table
from tests.campaign import Fuzzer, Tally, Verdict, campaign
from tests.campaign.crashes import VICTIMS
from tests.campaign.kills import Killed, kill
from tests.campaign.writers import WRITERS, write_at_once

WRITE = "writers"
KILLED = {victim.name: victim for victim in VICTIMS}
_HEADS = {
    "campaign": ["damaged", "tried", *(verdict.value for verdict in Verdict)],
    "crashes": ["killed", "SIGKILLs", "places ended and compared", "torn or lost", "other bits"],
    "writers": ["writers at once", "rounds", "wrong"],
}
Rows = dict[str, list[int]]
"""First cell of a row → its numbers."""


def fuzzers() -> dict[str, Fuzzer]:
    """Every fuzzer of this package's modules, by name."""
    found = {}
    for module in pkgutil.iter_modules(tests.campaign.__path__):
        if module.name != "__main__":
            things = vars(importlib.import_module(f"tests.campaign.{module.name}")).values()
            found |= {thing.name: thing for thing in things if isinstance(thing, Fuzzer)}
    return dict(sorted(found.items()))


def rows_of(tallies: Iterable[Tally]) -> Rows:
    """A row a fuzzer."""
    return {t.name: [t.tried, *(t.counts[verdict] for verdict in Verdict)] for t in tallies}


def rows_of_kills(tallies: Iterable[Killed]) -> Rows:
    """A row a command."""
    return {t.name: [t.kills, t.ended, t.torn, t.other] for t in tallies}


def show(kind: str, rows: Rows) -> str:
    """One of the campaign's tables, with a last row of sums where commands were killed."""
    shown = dict(sorted(rows.items()))
    if kind == "crashes":
        shown["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    heads = _HEADS[kind]
    return table(
        heads, [[name, *(f"{n:,}" for n in numbers)] for name, numbers in shown.items()], "l" + "r" * (len(heads) - 1)
    )


def put(page: Path, kind: str, rows: Rows) -> None:
    """Replace rows of a page's marked table; those of fuzzers and commands that did not run now stay as they are."""
    try:
        before, old, after = marked_part(page.read_text(encoding="utf-8"), kind, page)
    except InputError as error:
        raise click.UsageError(str(error)) from None
    write_text(page, f"{before}\n{show(kind, read_rows(old) | rows)}\n{after}")


def read_rows(text: str) -> Rows:
    """The rows of a table that :func:`show` made, without the sums."""
    rows = {}
    for line in text.splitlines():
        name, *numbers = [cell.strip() for cell in line.strip("|").split("|")]
        if name != "all" and numbers and all(re.fullmatch(r"[\d,]+", number) for number in numbers):
            rows[name] = [int(number.replace(",", "")) for number in numbers]
    return rows


@click.command()
@click.argument("names", nargs=-1)
@click.option("--n", "count", default=1000, show_default=True, help="Tries of each fuzzer.")
@click.option("--kills", default=10, show_default=True, help="SIGKILLs of each command.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of writers.")
@click.option("--seed", default=0, show_default=True, help="Another seed damages and kills otherwise.")
@click.option("--only", type=int, help="One try by its number.")
@click.option("--write", type=click.Path(path_type=Path), help="A page whose marked tables get these rows.")
def main(
    names: tuple[str, ...], count: int, kills: int, rounds: int, seed: int, only: int | None, write: Path | None
) -> None:
    """Damage files by the thousand, kill commands, let several write at once: all of it, or NAMES."""
    known = fuzzers()
    everything = (*known, *KILLED, WRITE)
    if unknown := [name for name in names if name not in everything]:
        raise click.UsageError(f"no {unknown[0]!r}; known: {', '.join(everything)}")
    wrong: list[str] = []
    first, many = (0, count) if only is None else (only, 1)
    with tempfile.TemporaryDirectory() as folder:
        for name in names or everything:
            place = Path(folder) / name
            if name in known:
                tally = campaign(known[name], place, many, seed, first)
                kind, rows, said = "campaign", rows_of([tally]), tally.wrong
            elif name in KILLED:
                killed = kill(KILLED[name], place, kills, seed)
                kind, rows, said = "crashes", rows_of_kills([killed]), killed.wrong
            else:
                crowd = write_at_once(place, rounds)
                kind, rows, said = "writers", {str(WRITERS): [crowd.done, len(crowd.wrong)]}, crowd.wrong
            wrong += said
            click.echo(show(kind, rows))
            if write:
                put(write, kind, rows)
    for line in wrong[:50]:
        click.echo(line, err=True)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
