"""``srbench eval``: measure checkpoints and interpolators, store a record a cell, print and write the leaderboard."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from srbench.cli._common import (
    cache_memory_option,
    data_root_option,
    json_option,
    name_broken,
    name_written,
    split,
    split_datasets,
    warn_of_presets,
)
from srbench.cli._launch import launch_options, print_where
from srbench.cli._subjects import hint, inference_options, subject_options
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.errors import SrbenchError
    from srbench.evaluation.run import EvalOutcome, EvalPlan
    from srbench.machines.cluster import Cluster
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every checkpoint of the zoo and every interpolator.")
@click.option("--datasets", default="sample", show_default=True, help="Catalog names or folders, comma-separated.")
@click.option(
    "--scale", type=click.IntRange(2, 8), help="Only this scale; needed by files and classes that do not say theirs."
)
@click.option("--protocol", default="standard", show_default=True, help="Presets or TOML files, comma-separated.")
@click.option("--metrics", default="psnr,ssim,lpips,lr-psnr", show_default=True, help="Names; `srbench ls metrics`.")
@click.option("--checkpoint", type=click.Path(dir_okay=False), hidden=True)
@subject_options
@click.option(
    "--fast", is_flag=True, help="Checkpoints in their fastest variant that costs under 0.01 dB; it is named."
)
@click.option("--lr-files", is_flag=True, help="Take LR from the folder that came with the dataset (docs/layouts.md).")
@click.option("--lr-folder", type=click.Path(exists=True, file_okay=False), help="Take LR from this folder.")
@click.option("--recursive", is_flag=True, help="Take the images of a folder's subfolders as well.")
@click.option("--save-images", type=click.Path(file_okay=False), help="Folder for the SR images (PNG).")
@click.option("--overwrite", is_flag=True, help="Measure again what is stored already.")
@click.option("--name", default="", help="Name of the records of your own file or class.")
@click.option("--private", is_flag=True, help="Keep the records in results/private, out of all reports.")
@click.option(
    "--results", type=click.Path(file_okay=False), help="Keep the records in this folder, out of all reports."
)
@click.option("--wide", is_flag=True, help="Print every column and row, however wide the terminal.")
@click.option("--no-report", is_flag=True, help="Leave reports/ as it is.")
@cache_memory_option
@data_root_option
@inference_options
@launch_options
@json_option
def command(
    targets: tuple[str, ...],
    every: bool,
    datasets: str,
    scale: int | None,
    protocol: str,
    metrics: str,
    checkpoint: str | None,
    named: SubjectOptions,
    fast: bool,
    lr_files: bool,
    lr_folder: str | None,
    recursive: bool,
    save_images: str | None,
    overwrite: bool,
    name: str,
    private: bool,
    results: str | None,
    wide: bool,
    no_report: bool,
    data_root: str | None,
    inference: Inference,
    cluster: Cluster | None,
    as_json: bool,
) -> None:
    """Measure TARGETS on datasets.

    A target is a checkpoint (fsrcnn_x4.tuned), a pattern of them ('*_x4.tuned'), a model (all its checkpoints), an
    interpolator, a file of weights, or a class of your own (package.module:Class, path/file.py:Class).

    \b
    srbench eval --all --datasets set5,set14
    srbench eval fsrcnn_x4.tuned --datasets photos/ --protocol standard,classic
    srbench eval EDSR_x4.pth --datasets set5
    srbench eval mynet.py:MyNet --weights mynet.pth --name mynet-1 \\
      --scale 4 --option width=64 --datasets set5
    srbench eval --all --datasets set5 --launcher submitit --partition gpu

    A cell that is stored in results/ with the same weights, data, protocol and metric versions is not measured again.
    Without --scale a checkpoint runs at its own scale, interpolators at the scales of the checkpoints and of results/.
    Under torchrun the cells are shared out among the processes; --launcher submitit packs them into jobs of similar cost, and
    the same command measures what a lost job did not. What can have no number (no checkpoint, another scale, a
    protocol of luma for a network of RGB) is said and leaves no record. What is measured of your own stands in reports/own.md
    and in none of the zoo's reports; --private and --results keep it out of that, too.
    """
    from srbench.evaluation.run import EvalPlan, wait

    if checkpoint:
        hint("--checkpoint", "--weights" if targets else "an argument: srbench eval FILE --model NAME")
        named["weights"] = checkpoint
    _refuse_contradictions(bool(targets) or every, named, fast, inference)
    protocols = tuple(split(protocol))
    warn_of_presets(protocols)
    plan = EvalPlan(
        names=targets,
        every=every,
        named=named,
        datasets=tuple(split_datasets(datasets)),
        scale=scale,
        protocols=protocols,
        metrics=tuple(split(metrics)),
        lr_files=lr_files,
        lr_folder=Path(lr_folder) if lr_folder else None,
        recursive=recursive,
        inference=inference,
        save_images=Path(save_images) if save_images else None,
        overwrite=overwrite,
        data_root=data_root,
        fast=fast,
        name=name,
    )
    root = _folder_of_records(private, results)
    outcome = _measure(plan, cluster, root, as_json)
    if outcome.rank == 0:
        shown = View(every, wide, as_json, write=root is None and not no_report, asked=_named(plan))
        faults = name_broken(_show(plan, outcome, root, shown))
        outcome.errors += [f"{faults} of the records are broken and left out"] * bool(faults)
    wait(int(os.environ.get("WORLD_SIZE", "1")))  # torchrun ends all processes when one has failed
    _say(outcome)


def _measure(plan: EvalPlan, cluster: Cluster | None, root: Path | None, quiet: bool) -> EvalOutcome:
    """Here, or in jobs."""
    if cluster is None:
        from srbench.evaluation.run import run

        return run(plan, quiet=quiet, root=root)
    from srbench.evaluation.jobs import run_in_jobs

    context = click.get_current_context()
    if "RANK" in os.environ:
        raise click.UsageError("--launcher submitit starts its own processes: leave out torchrun")
    device = context.params["device"]  # as it was written: the jobs' machines have devices of their own
    try:
        outcome, folders = run_in_jobs(
            plan, cluster, device, root=root, quiet=quiet, say=lambda text: click.echo(text, err=True)
        )
    except KeyboardInterrupt:
        click.echo("Jobs of SLURM go on; the same command waits for them, and measures what is lacking.", err=True)
        raise
    print_where(folders)
    return outcome


def _folder_of_records(private: bool, results: str | None) -> Path | None:
    """Where records go; None for results/."""
    from srbench.results import results_root

    if private and results:
        raise click.UsageError("--private is a folder of its own: leave out --results")
    return Path(results) if results else results_root() / "private" if private else None


def _say(outcome: EvalOutcome) -> None:
    """Notes and errors; exit code 1 where there are errors."""
    for line in outcome.notes:
        click.echo(f"Note: {line}", err=True)
    for line in outcome.errors:
        click.echo(f"Error: {line}", err=True)
    if outcome.errors:
        click.get_current_context().exit(1)


def _refuse_contradictions(any_target: bool, named: SubjectOptions, fast: bool, inference: Inference) -> None:
    if not any_target and "weights" not in named:
        if model := named.get("model"):
            raise click.UsageError(f"--model needs a file of weights; for the zoo's checkpoints: srbench eval {model}")
        raise click.UsageError("nothing to measure: name checkpoints or models, or give --all")
    if fast and inference.precision != "fp32":
        raise click.UsageError(f"--fast chooses the precision: leave out --precision {inference.precision}")


@dataclass(frozen=True)
class View:
    """How the results of a run are shown.

    Attributes:
        condense: the best of each architecture alone.
        wide: every column and row.
        as_json: JSON in the place of tables.
        write: whether reports/ is refreshed.
        asked: metrics that were named, which have room before others.
    """

    condense: bool
    wide: bool
    as_json: bool
    write: bool
    asked: tuple[str, ...]


def _named(plan: EvalPlan) -> tuple[str, ...]:
    """The metrics of ``--metrics``; none where they are those that are measured by default."""
    by_default = click.get_current_context().get_parameter_source("metrics") is ParameterSource.DEFAULT
    return () if by_default else plan.metrics


def _show(plan: EvalPlan, outcome: EvalOutcome, root: Path | None, shown: View) -> list[SrbenchError]:
    """Print the leaderboard of the cells of this run and refresh reports/; what is wrong with records that were left out."""
    from srbench.cli._common import print_json
    from srbench.cli._tables import print_tables
    from srbench.reports import build_tables, write_reports
    from srbench.reports.plain import leaderboard_rows
    from srbench.results import read_results
    from srbench.speed_results import read_speeds
    from srbench.zoo import list_checkpoints

    broken: list[SrbenchError] = []
    results = read_results(root, broken)
    chosen = [r for r in results if (r.checkpoint, r.dataset, r.scale, r.protocol) in outcome.cells]
    if not plan.fast:  # whose variants were chosen for each network
        chosen = [r for r in chosen if r.variant == plan.variant]
    tables = build_tables(chosen, read_speeds(broken=broken), list_checkpoints(broken=broken), derive=plan.every)
    if shown.as_json:
        print_json(leaderboard_rows(tables))
    else:
        print_tables(tables, shown.wide, shown.condense, shown.asked)
    if shown.write:
        name_written(write_reports(results, broken=broken))
    return broken
