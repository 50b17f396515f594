"""Options by which a command runs in jobs on many machines instead of here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from srbench.machines.cluster import Cluster

Command = Callable[..., Any]

_OPTIONS = (
    click.option(
        "--launcher",
        type=click.Choice(["submitit"]),
        help="Run in jobs on other machines, requeued when they are preempted (docs/machines.md).",
    ),
    click.option(
        "--cluster",
        type=click.Choice(["slurm", "local"]),
        help="Of --launcher: SLURM, or processes of this machine.  [default: slurm]",
    ),
    click.option("--jobs", type=click.IntRange(1), help="Of --launcher: the most jobs at a time.  [default: 8]"),
    click.option("--partition", metavar="NAME", help="Of --launcher: SLURM's partition."),
    click.option(
        "--job-time", metavar="TIME", help="Of --launcher: until a job is requeued, such as 90m.  [default: 4h]"
    ),
    click.option(
        "--slurm",
        "slurm",
        multiple=True,
        metavar="KEY=VALUE",
        help="Of --launcher: account=…, qos=…, cpus_per_task=…, mem_gb=…, gpus_per_node=0 and other options of sbatch.",
    ),
)


def launch_options(command: Command) -> Command:
    """The options; the command takes them as ``cluster``, which is None where it runs here."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        names = ("launcher", "cluster", "jobs", "partition", "job_time", "slurm")
        return command(
            **{k: v for k, v in given.items() if k not in names}, cluster=_cluster(*(given[n] for n in names))
        )

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _cluster(
    launcher: str | None,
    kind: Any,
    jobs: int | None,
    partition: str | None,
    job_time: str | None,
    slurm: tuple[str, ...],
) -> Cluster | None:
    given = {"--cluster": kind, "--jobs": jobs, "--partition": partition, "--job-time": job_time, "--slurm": slurm}
    if launcher is None:
        if named := [name for name, value in given.items() if value]:
            raise click.UsageError(f"{named[0]} is of --launcher submitit: give that, too")
        return None
    if kind == "local" and (partition or slurm):
        raise click.UsageError(f"{'--partition' if partition else '--slurm'} is of SLURM; --cluster local has none")
    from srbench.cli._subjects import read_pairs
    from srbench.machines.cluster import Cluster
    from srbench.training.loop.budget import parse_budget

    options: Any = read_pairs(slurm, "--slurm")
    return Cluster(kind or "slurm", jobs or 8, parse_budget(job_time or "4h", "--job-time"), partition or "", options)


def print_where(folders: list[Path]) -> None:
    """On standard error: what ran where."""
    from srbench.cli._common import print_table
    from srbench.cli.jobs import COLUMNS, cells
    from srbench.machines.journal import what_ran_where

    for folder in folders:
        print_table(f"{folder.name}: what ran where", COLUMNS, (cells(row) for row in what_ran_where(folder)), err=True)
