"""``python -m tests.campaign [NAME …] --n 10000``: damage, kill, write at once; exit code 1 where anything went wrong."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tempfile
from pathlib import Path

import click

import tests.campaign
from srbench.files import write_text
from srbench.markdown import table
from tests.campaign import Fuzzer, Tally, Verdict, campaign
from tests.campaign.crashes import VICTIMS
from tests.campaign.kills import Killed, kill
from tests.campaign.writers import WRITERS, Rounds, write_at_once

CRASHES, WRITE = "crashes", "writers"


def fuzzers() -> dict[str, Fuzzer]:
    """Every fuzzer of this package's modules, by name."""
    found = {}
    for module in pkgutil.iter_modules(tests.campaign.__path__):
        if module.name != "__main__":
            things = vars(importlib.import_module(f"tests.campaign.{module.name}")).values()
            found |= {thing.name: thing for thing in things if isinstance(thing, Fuzzer)}
    return dict(sorted(found.items()))


def show(tallies: list[Tally]) -> str:
    """A row a fuzzer."""
    heads = ["damaged", "tried", *(verdict.value for verdict in Verdict)]
    rows = [[t.name, f"{t.tried:,}", *(f"{t.counts[v]:,}" for v in Verdict)] for t in tallies]
    return table(heads, rows, "l" + "r" * (len(heads) - 1))


def show_killed(tallies: list[Killed]) -> str:
    """A row a command."""
    heads = ["killed", "SIGKILLs", "places ended and compared", "torn or lost", "other bits"]
    rows = [[t.name, f"{t.kills:,}", f"{t.ended:,}", f"{t.torn:,}", f"{t.other:,}"] for t in tallies]
    total = [sum(column) for column in zip(*((t.kills, t.ended, t.torn, t.other) for t in tallies), strict=True)]
    return table(heads, [*rows, ["all", *(f"{value:,}" for value in total)]], "lrrrr")


def show_rounds(rounds: Rounds) -> str:
    """One row."""
    return table(
        ["writers at once", "rounds", "wrong"], [[str(WRITERS), f"{rounds.done:,}", f"{len(rounds.wrong):,}"]], "rrr"
    )


def put(page: Path, kind: str, text: str) -> None:
    """Replace a marked part of a page. Rows of fuzzers that did not run now stay as they are."""
    start, end = f"<!-- {kind}:start -->", f"<!-- {kind}:end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(f"{start}\n")
    old, found, after = rest.partition(end)
    if not found:
        raise click.UsageError(f"{page} has no {start} with {end} behind it")
    if kind == "campaign":
        text = merged(old, text)
    write_text(page, f"{before}{start}\n{text}\n{end}{after}")


def merged(old: str, new: str) -> str:
    """Two tables as one: the rows of the second go before those of the first of the same name."""
    head = new.splitlines()[:2]
    lines = [line for text in (old, new) for line in text.splitlines() if line.startswith("|") and line not in head]
    rows = {line.split("|")[1].strip(): line for line in lines if not re.match(r"\| (:?-|damaged)", line)}
    return "\n".join([*head, *(rows[name] for name in sorted(rows))]) + "\n"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--n", "count", default=1000, show_default=True, help="Tries of each fuzzer.")
@click.option("--kills", default=50, show_default=True, help="SIGKILLs, shared by the commands.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of writers.")
@click.option("--seed", default=0, show_default=True, help="Another seed damages and kills otherwise.")
@click.option("--only", type=int, help="One try by its number.")
@click.option("--write", type=click.Path(path_type=Path), help="A page whose marked tables are replaced by these.")
def main(
    names: tuple[str, ...], count: int, kills: int, rounds: int, seed: int, only: int | None, write: Path | None
) -> None:
    """Damage files by the thousand (NAMES of fuzzers), kill commands (crashes), let several write (writers)."""
    known = fuzzers()
    chosen = names or (*known, CRASHES, WRITE)
    if unknown := [name for name in chosen if name not in (*known, CRASHES, WRITE)]:
        raise click.UsageError(f"no {unknown[0]!r}; known: {', '.join(known)}, {CRASHES}, {WRITE}")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first, many = (0, count) if only is None else (only, 1)
        tallies = [campaign(known[name], folder / name, many, seed, first) for name in chosen if name in known]
        if tallies:
            wrong += [line for tally in tallies for line in tally.wrong]
            _tell(show(tallies), "campaign", write)
        if CRASHES in chosen:
            share = -(-kills // len(VICTIMS))
            killed = [kill(one, folder / f"victim{i}", share, seed) for i, one in enumerate(VICTIMS)]
            wrong += [line for tally in killed for line in tally.wrong]
            _tell(show_killed(killed), CRASHES, write)
        if WRITE in chosen:
            crowd = write_at_once(folder / WRITE, rounds)
            wrong += crowd.wrong
            _tell(show_rounds(crowd), WRITE, write)
    for line in wrong[:50]:
        click.echo(line, err=True)
    if wrong:
        raise SystemExit(1)


def _tell(text: str, kind: str, page: Path | None) -> None:
    click.echo(f"{text}")
    if page:
        put(page, kind, text)


if __name__ == "__main__":
    main()
