"""``srbench runs``: what runs there are, and ``srbench runs show RUN``: one run's curves and sample images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import json_option, name_broken, print_json, print_table

if TYPE_CHECKING:
    from srbench.errors import SrbenchError
    from srbench.training.after.runs import Run


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the training runs in runs/: state, step, best PSNR on validation images.

    \b
    srbench runs
    srbench runs show fsrcnn_x4.tuned        curves and sample images as PNG
    """
    if ctx.invoked_subcommand:
        return
    from srbench.training.after.runs import list_runs

    broken: list[SrbenchError] = []
    found = list_runs(broken=broken)
    _say_faults(found)
    if as_json:
        print_json([_facts(run) for run in found])
    elif not found:
        click.echo("no runs yet")
    else:
        columns = ["run", "state", "step", "of", "best dB", "bicubic dB", "minutes"]
        rows = (
            [run.name, run.status, run.step, run.steps, _db(run.best), _db(run.bicubic), f"{run.seconds / 60:.1f}"]
            for run in found
        )
        print_table("", columns, rows)
    if name_broken(broken):
        ctx.exit(1)


@command.command()
@click.argument("run")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The PNG file [curves.png in the run].")
@json_option
def show(run: str, out: Path | None, as_json: bool) -> None:
    """Draw RUN's curves and its sample images as a PNG file; works while it runs."""
    from srbench.training.after.figures import draw_run
    from srbench.training.after.runs import find_run

    found = find_run(run)
    _say_faults([found])
    written = draw_run(found, out or found.folder / "curves.png")
    if as_json:
        print_json({**_facts(found), "file": str(written)})
    else:
        click.echo(f"{found.name}: step {found.step} of {found.steps}, {found.status}; wrote {written}")


def _facts(run: Any) -> dict[str, Any]:
    return {
        "name": run.name,
        "state": run.status,
        "step": run.step,
        "steps": run.steps,
        "best_psnr": run.best,
        "bicubic_psnr": run.bicubic,
        "seconds": run.seconds,
        "collapse": run.collapse,
    }


def _say_faults(runs: Iterable[Run]) -> None:
    for run in runs:
        if run.fault:
            click.echo(f"Note: {run.fault}", err=True)


def _db(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
