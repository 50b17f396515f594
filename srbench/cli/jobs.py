"""``srbench jobs``: what the jobs of a launch did and where, and ``srbench jobs plan``: how long a campaign would take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import json_option, print_json, print_table

if TYPE_CHECKING:
    from srbench.machines.journal import Where

COLUMNS = (
    "job",
    "id",
    "machine",
    "device",
    "done",
    "failed",
    "lacking",
    "of the work",
    "minutes",
    "processor",
    "starts",
)


def cells(row: Where) -> list[object]:
    """A job's row of the table."""
    return [
        row.number,
        row.id,
        " ".join(row.hosts) or "–",
        " ".join(row.devices) or "–",
        f"{row.done}/{row.planned}",
        row.failed,
        row.lacking,
        f"{row.share:.0%}",
        f"{row.seconds / 60:.1f}",
        f"{row.cpu_seconds / 60:.1f}",
        row.attempts,
    ]


@click.group(invoke_without_command=True)
@click.option("--launch", metavar="NAME", default="", help="A folder of jobs/.  [default: the last one]")
@click.option("--each", is_flag=True, help="A row a cell or network.")
@json_option
@click.pass_context
def command(ctx: click.Context, launch: str, each: bool, as_json: bool) -> None:
    """Show what the jobs of a launch did, and where: a row a job.

    \b
    srbench jobs         the last `eval` or `train` with --launcher submitit
    srbench jobs --launch eval-20261126-071500 --each
    srbench jobs plan    1,000 checkpoints on 64 GPUs, simulated

    Times are those of the cells: wall time and processor time, in minutes. Lacking is what no job has done yet; the same
    `eval` or `train` command does it.
    """
    if ctx.invoked_subcommand:
        return
    from srbench.machines.journal import find_launch, journal_path, read_journal, read_launch, what_ran_where

    folder = find_launch(launch)
    if not each:
        rows = what_ran_where(folder)
        if as_json:
            print_json([asdict(row) for row in rows])
        else:
            print_table(folder.name, COLUMNS, (cells(row) for row in rows))
        return
    entries = [
        (number, entry)
        for number in range(len(read_launch(folder).jobs))
        for entry in read_journal(journal_path(folder, number))
    ]
    if as_json:
        print_json([{"job": number, **entry.model_dump(mode="json")} for number, entry in entries])
        return
    columns = ("job", "work", "state", "machine", "device", "started", "seconds", "reason")
    table = ([n, e.work, e.state, e.host, e.device, e.started, f"{e.seconds:.1f}", e.reason] for n, e in entries)
    print_table(folder.name, columns, table)


@command.command()
@click.option(
    "--checkpoints", type=click.IntRange(1), default=1000, show_default=True, help="Of the registered networks."
)
@click.option("--sets", type=click.IntRange(1), default=20, show_default=True, help="Of images, drawn.")
@click.option("--scales", type=click.IntRange(1, 3), default=3, show_default=True, help="x2, x3, x4.")
@click.option("--workers", type=click.IntRange(1), default=64, show_default=True, help="GPUs that take jobs.")
@click.option("--seed", default=0, show_default=True, help="Of what is drawn.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="A page whose marked part is replaced.")
@json_option
def plan(checkpoints: int, sets: int, scales: int, workers: int, seed: int, write: Path | None, as_json: bool) -> None:
    """Simulate a campaign: how long it takes in jobs that are packed in several ways, and the least that is possible.

    The cost of a cell is a model fitted to the cells in jobs/, those of this machine; what it gets wrong of a network that it was
    not fitted to is drawn into the simulated times.
    """
    from srbench.evaluation.simulate import Campaign, simulate, write_into

    simulated = simulate(Campaign(checkpoints, sets, scales, workers, seed))
    if write:
        write_into(write, simulated)
    if as_json:
        print_json(asdict(simulated))
    else:
        click.echo(simulated.markdown())
