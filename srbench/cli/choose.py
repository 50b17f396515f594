"""``srbench choose``: the best network for a budget, from what was measured on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from srbench.cli._common import Finite, json_option, print_json

if TYPE_CHECKING:
    from srbench.reports.tables.choose import Budget, Choice
    from srbench.reports.tables.rows import Speed, Table


@click.command()
@click.option("--max-ms", type=Finite(0, min_open=True), help="Milliseconds of one pass, at most.")
@click.option("--max-mb", type=Finite(0, min_open=True), help="Megabytes that it takes, at most.")
@click.option("--min-psnr", type=Finite(min=0), help="Mean PSNR in dB on the dataset, at least.")
@click.option("--scale", type=click.IntRange(2, 8), default=4, show_default=True, help="The upscaling factor.")
@click.option("--dataset", default="set14", show_default=True, help="Whose PSNR counts.")
@click.option("--protocol", default="standard", show_default=True, help="A protocol's name or id.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, or a folder of results/speed.")
@click.option("--measure", is_flag=True, help="Time and measure first what has no record here.")
@click.option("--seconds", type=Finite(0, min_open=True), default=4.0, help="Of a variant, with --measure.")
@json_option
def command(
    max_ms: float | None,
    max_mb: float | None,
    min_psnr: float | None,
    scale: int,
    dataset: str,
    protocol: str,
    device: str,
    measure: bool,
    seconds: float,
    as_json: bool,
) -> None:
    """Choose a network for a budget: the frontier of time and PSNR on this machine, with the command that applies each.

    \b
    srbench choose --max-ms 50 --max-mb 200
    srbench choose --min-psnr 28 --device amd-epyc-2-threads
    srbench choose --max-ms 20 --measure   measures and times what has no record

    Times are of one pass for 1280x720 output. Every network stands in its fastest variant that changes PSNR by less than
    0.01 dB (reduced precision, exact rewrites, memory layout).
    """
    from srbench.cli._tables import columns_of_terminal
    from srbench.reports import build_tables
    from srbench.reports.tables import speeds
    from srbench.reports.tables.choose import Budget, choices, frontier, without_seeds
    from srbench.reports.tables.pick import pick_table
    from srbench.reports.terminal import listed
    from srbench.results import read_results
    from srbench.speed_results import read_speeds
    from srbench.zoo import list_checkpoints

    folder = _folder(device)
    if measure:
        _measure(device, scale, seconds, dataset, protocol)
    found = speeds(read_speeds(), list_checkpoints())
    tables = build_tables(read_results(), cards=list_checkpoints(), derive=False)
    table = pick_table(tables, dataset, scale, protocol)
    where = _where(found, folder, scale)
    budget = Budget(max_ms, max_mb, min_psnr)
    timed = without_seeds(choices(table, found, folder))
    kept = frontier(timed, budget)
    if as_json:
        print_json([_plain(choice) for choice in kept])
        return
    _print(kept, table, budget, where)
    rest = [choice.who.name for choice in timed if choice not in kept and choice.excess(budget) <= 1]
    if rest:
        click.echo("\n" + listed("Within the budget, too, but slower and no better: ", rest, columns_of_terminal()))


def _print(kept: Sequence[Choice], table: Table, budget: Budget, where: str) -> None:
    from srbench.reports.terminal import Column, lines
    from srbench.reports.units import number, short

    columns = [
        Column("model", [choice.who.name for choice in kept], 0, left=True),
        Column("PSNR", [number(choice.psnr, 2) for choice in kept], 1),
        Column("ms", [("~" if c.speed.doubts else "") + short(c.speed.latency_ms) for c in kept], 2),
        Column("MB", [short(choice.speed.memory_mb) for choice in kept], 3),
        Column("images/s", [short(choice.speed.images_per_s) for choice in kept], 4),
        Column("variant", [choice.speed.variant or "eager" for choice in kept], 5, left=True),
    ]
    click.echo(f"Within {budget}: x{table.scale} to 1280x720 on {where}")
    click.echo(f"PSNR (dB) on {table.dataset}, {table.protocol}; ~: few passes, or they drifted or spread")
    click.echo("\n".join(lines(columns)))
    click.echo("")
    for choice in kept:
        click.echo(choice.command)


def _folder(device: str) -> str:
    """The folder of results/speed that is meant: this machine's, or the one named."""
    from srbench.speed_results import read_speeds

    if device in {record.device for record in read_speeds()}:
        return device
    from srbench.evaluation.device import describe
    from srbench.inference import pick_device

    return describe(pick_device(device)).slug


def _where(found: Sequence[Speed], folder: str, scale: int) -> str:
    """The device in words; InputError where it has no times at the scale, with the devices that have some."""
    from srbench.errors import InputError

    here = [speed for speed in found if speed.device == folder and speed.scale == scale]
    if here:
        return here[0].device_text
    others = sorted({speed.device for speed in found if speed.scale == scale})
    known = f"; --device takes {', '.join(others)}, whose times are not this machine's" if others else ""
    raise InputError(f"nothing was timed on {folder} at x{scale}: --measure does it{known}")


def _measure(device: str, scale: int, seconds: float, dataset: str, protocol: str) -> None:
    """Measure and time every checkpoint and interpolator at a scale that has no record that holds."""
    from srbench.evaluation.run import EvalPlan
    from srbench.evaluation.run import run as measure
    from srbench.evaluation.speed import run
    from srbench.evaluation.speed_rows import Limits
    from srbench.evaluation.variants import default_variants
    from srbench.inference import pick_device
    from srbench.subjects import everything

    where = pick_device(device)
    name = protocol.partition(".v")[0]
    measure(
        EvalPlan(every=True, datasets=(dataset,), scale=scale, protocols=(name,), metrics=("psnr", "ssim", "lpips"))
    )
    run(
        everything(scale),
        default_variants(where),
        where,
        Limits(seconds=seconds),
        progress=lambda text: click.echo(text, err=True),
    )


def _plain(choice: Choice) -> dict[str, object]:
    speed = choice.speed
    return {
        "checkpoint": choice.who.checkpoint,
        "variant": speed.variant,
        "psnr": choice.psnr,
        "ms": speed.latency_ms,
        "mb": speed.memory_mb,
        "images_per_s": speed.images_per_s,
        "device": speed.device,
        "doubts": list(speed.doubts),
        "command": choice.command,
    }
