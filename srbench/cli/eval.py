"""``srbench eval``: measure checkpoints and interpolators, store a record a cell, print and write the leaderboard."""

from __future__ import annotations

import os
from pathlib import Path

import click

from srbench.cli._common import data_root_option, device_option, json_option, split, split_datasets


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every checkpoint of the zoo and every interpolator.")
@click.option("--datasets", default="sample", show_default=True, help="Catalog names or folders, comma-separated.")
@click.option("--scale", type=click.IntRange(2, 8), help="Only this scale; needed for weights and classes of your own.")
@click.option("--protocol", default="standard", show_default=True, help="Presets or TOML files, comma-separated.")
@click.option("--metrics", default="psnr,ssim,lpips,lr-psnr", show_default=True, help="Names; `srbench ls metrics`.")
@click.option("--model", help="Architecture of the weights given with --checkpoint.")
@click.option("--checkpoint", type=click.Path(dir_okay=False), help="Weights from elsewhere, .pth or .safetensors.")
@click.option("--channels", type=click.Choice(["y", "rgb"]), help="What your own weights or class works on.")
@click.option("--tile", type=click.IntRange(0), default=0, help="Edge of tiles in LR pixels; 0: whole images.")
@click.option("--tile-overlap", type=click.IntRange(0), help="LR pixels; default: the receptive field, which is exact.")
@click.option("--self-ensemble", is_flag=True, help="Mean over the eight flips and turns.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Number format of the network's arithmetic.",
)
@click.option(
    "--fast", is_flag=True, help="Checkpoints in their fastest variant that costs under 0.01 dB; it is named."
)
@click.option("--lr-files", is_flag=True, help="Take LR from the folder that came with the dataset.")
@click.option("--save-images", type=click.Path(file_okay=False), help="Folder for the SR images (PNG).")
@click.option("--overwrite", is_flag=True, help="Measure again what is stored already.")
@click.option("--no-report", is_flag=True, help="Leave reports/ as it is.")
@data_root_option
@device_option
@json_option
def command(
    targets: tuple[str, ...],
    every: bool,
    datasets: str,
    scale: int | None,
    protocol: str,
    metrics: str,
    model: str | None,
    checkpoint: str | None,
    channels: str | None,
    tile: int,
    tile_overlap: int | None,
    self_ensemble: bool,
    precision: str,
    fast: bool,
    lr_files: bool,
    save_images: str | None,
    overwrite: bool,
    no_report: bool,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure TARGETS (checkpoints, models, interpolators, package.module:Class) on datasets.

    \b
    srbench eval --all --datasets set5,set14
    srbench eval fsrcnn_x4.common bicubic --datasets path/to/images --protocol standard,classic
    srbench eval --model edsr --checkpoint EDSR_x4.pth --scale 4 --datasets set5
    srbench eval mypackage.nets:MyNet --scale 4 --datasets set5

    A cell that is stored in results/ with the same weights, data, protocol and metric versions is not measured again.
    Without --scale a checkpoint runs at its own scale, interpolators at the scales of the checkpoints and of results/.
    Under torchrun the cells are shared out among the processes. A cell that cannot be measured is stored with the reason.
    """
    from srbench.evaluation.run import Plan, run, wait
    from srbench.evaluation.targets import settings_of

    own = [name for name in targets if ":" in name]
    if checkpoint and not ((model or len(own) == 1) and scale):
        raise click.UsageError("--checkpoint needs --scale, and --model or one class of your own")
    if model and not checkpoint:
        raise click.UsageError(f"--model needs --checkpoint FILE; for the zoo's checkpoints: srbench eval {model}")
    if not (targets or every or checkpoint):
        raise click.UsageError("nothing to measure: name checkpoints or models, or give --all")
    if fast and precision != "fp32":
        raise click.UsageError(f"--fast chooses the precision: leave out --precision {precision}")
    settings = settings_of(
        device, tile=tile, tile_overlap=tile_overlap, ensemble=self_ensemble, precision=precision
    )  # fmt: skip
    plan = Plan(
        names=targets,
        every=every,
        model=model,
        weights=Path(checkpoint) if checkpoint else None,
        channels=channels,
        datasets=tuple(split_datasets(datasets)),
        scale=scale,
        protocols=tuple(split(protocol)),
        metrics=tuple(split(metrics)),
        lr_files=lr_files,
        settings=settings,
        save_images=Path(save_images) if save_images else None,
        overwrite=overwrite,
        data_root=data_root,
        fast=fast,
    )
    outcome = run(plan, quiet=as_json)
    if outcome.rank == 0:
        _show(outcome.keys, as_json, write=not no_report, every=every)
    wait(int(os.environ.get("WORLD_SIZE", "1")))  # torchrun ends all processes when one has failed
    for line in outcome.notes:
        click.echo(f"Note: {line}", err=True)
    if outcome.errors:
        for line in outcome.errors:
            click.echo(f"Error: {line}", err=True)
        click.get_current_context().exit(1)


def _show(keys: set[tuple[str, int, str]], as_json: bool, write: bool, every: bool) -> None:
    """Print the leaderboard of the cells of this run and refresh reports/."""
    from srbench.cli._common import print_json
    from srbench.cli._tables import print_tables
    from srbench.reports import build_tables, write_reports
    from srbench.reports.plain import leaderboard_rows
    from srbench.results import read_results
    from srbench.speed_results import read_speeds
    from srbench.zoo import list_checkpoints

    results = read_results()
    chosen = [r for r in results if (r.dataset, r.scale, r.protocol) in keys]
    tables = build_tables(chosen, read_speeds(), list_checkpoints(), derive=every)
    if as_json:
        print_json(leaderboard_rows(tables))
    else:
        print_tables(tables, condense=every)
    if write:
        for path in write_reports(results):
            click.echo(f"wrote {path}", err=True)
