"""``python -m tests.campaign [NAME …] --n 10000``: run the fuzzers and print what came of it; exit 1 where anything is wrong."""

from __future__ import annotations

import importlib
import pkgutil
import tempfile
from pathlib import Path

import click

import tests.campaign
from srbench.files import write_text
from srbench.markdown import table
from tests.campaign import Fuzzer, Tally, Verdict, campaign

START, END = "<!-- campaign:start -->", "<!-- campaign:end -->"


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
    heads = ["damaged", "tried", *(verdict.value for verdict in Verdict), "tries/s"]
    rows = [
        [t.name, f"{t.tried:,}", *(f"{t.counts[v]:,}" for v in Verdict), f"{t.tried / max(t.seconds, 1e-9):.0f}"]
        for t in tallies
    ]
    return table(heads, rows, "l" + "r" * (len(heads) - 1))


def put(page: Path, tallies: list[Tally], seed: int) -> None:
    """Replace the marked part of a page; how fast a machine was does not stand there."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise click.UsageError(f"{page} has no {START} with {END} behind it")
    quiet = [line.split("|")[1:-2] for line in show(tallies).splitlines()]
    text = "".join(f"|{'|'.join(cells)}|\n" for cells in quiet)
    write_text(page, f"{before}{START}\nSeed {seed}:\n\n{text}\n{END}{after}")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--n", "count", default=1000, show_default=True, help="Tries of each fuzzer.")
@click.option("--seed", default=0, show_default=True, help="Another seed damages otherwise.")
@click.option("--only", type=int, help="One try by its number.")
@click.option("--write", type=click.Path(path_type=Path), help="A page whose marked table is replaced by this one.")
def main(names: tuple[str, ...], count: int, seed: int, only: int | None, write: Path | None) -> None:
    """Damage files by the thousand and see what srbench makes of them."""
    known = fuzzers()
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"no fuzzer {unknown[0]!r}; known: {', '.join(known)}")
    tallies = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names or known:
            first, many = (0, count) if only is None else (only, 1)
            tallies.append(campaign(known[name], Path(folder) / name, many, seed, first))
    click.echo(show(tallies), nl=False)
    if write:
        put(write, tallies, seed)
    wrong = [line for tally in tallies for line in tally.wrong]
    for line in wrong[:50]:
        click.echo(line, err=True)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
