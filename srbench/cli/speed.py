"""``srbench speed``: what networks cost on this machine, and what each faster way of running them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import Finite, device_option, json_option, print_json, print_table, split
from srbench.cli._subjects import subject_options
from srbench.errors import counted
from srbench.inference import pick_device

if TYPE_CHECKING:
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every checkpoint, and every model that has none.")
@click.option("--scale", type=click.IntRange(2, 8), help="Only this scale; default: 4, and a checkpoint's own.")
@click.option("--input", "size", metavar="HxW", help="Size of the LR image; default: what gives 1280×720.")
@click.option("--variants", help="Comma-separated, such as eager,bf16+channels_last; default: all that make sense.")
@click.option("--quick", is_flag=True, help="A glance: 5 s a variant, no memory, no batches.")
@click.option("--seconds", type=Finite(0, min_open=True), help="Time of a variant; default: 60, quick 5.")
@click.option("--max-batch", type=click.IntRange(1), help="Largest batch of the sweep; default: 64, quick 1.")
@click.option("--overwrite", is_flag=True, help="Measure again what is stored already.")
@subject_options
@device_option
@json_option
def command(
    names: tuple[str, ...],
    every: bool,
    size: str | None,
    scale: int | None,
    variants: str | None,
    quick: bool,
    seconds: float | None,
    max_batch: int | None,
    overwrite: bool,
    named: SubjectOptions,
    device: str,
    as_json: bool,
) -> None:
    """Time NAMES (as `srbench eval` takes them; a model has random weights) on this machine.

    \b
    srbench speed fsrcnn_x4.tuned edsr_baseline --quick
    srbench speed --all --scale 4 --seconds 8    goes on where it was stopped
    srbench speed srcnn --variants eager,bf16+channels_last --input 180x320

    One pass of the network over one image of 1280x720 output: variants and models interleaved, the base once more at the end.
    First call and peak memory come from a process of their own, the PSNR change from the sample images (checkpoints only).
    Records go to results/speed/<device>/. Ratios hold within a run; nothing is compared across devices.
    """
    from dataclasses import replace

    from srbench.evaluation.cost import parse_size
    from srbench.evaluation.speed import run
    from srbench.evaluation.speed_rows import QUICK, Limits
    from srbench.evaluation.variants import default_variants, parse_ways
    from srbench.results import FAULTS
    from srbench.subjects import resolve_timed

    if not (names or every):
        raise click.UsageError("nothing to time: name models or checkpoints, or give --all")
    where = pick_device(device)
    shape = parse_size(size) if size else None
    ways = parse_ways(split(variants), where) or default_variants(where)
    subjects = resolve_timed(names, scale, every=every, **named)
    limits = QUICK if quick else Limits()
    given: dict[str, Any] = {"seconds": seconds, "largest_batch": max_batch, "patient": bool(variants)}
    limits = replace(limits, **{key: value for key, value in given.items() if value is not None})

    def progress(text: str) -> None:
        click.echo(text, err=True)

    records = run(subjects, ways, where, limits, shape, None, overwrite, progress)
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
    else:
        for record in records:
            _show(record)
    if any(variant.status in FAULTS for record in records for variant in record.variants.values()):
        click.get_current_context().exit(1)


def _show(record: Any) -> None:
    load = ", ".join(f"{value:.1f}" for value in record.load_average) or "unknown"
    twin = f", times of {record.same_as}" if record.same_as else ""
    again = "" if record.drift is None else f"; base once more at the end: {record.drift:+.1%}"
    weights = "random weights: no dB" if record.random_weights else f"dB: {record.psnr_set}" if record.psnr_set else ""
    title = (
        f"{record.name} ×{record.scale}{twin}: {record.input[1]}×{record.input[0]} → "
        f"{record.output[1]}×{record.output[0]}, {record.device_name}, {counted(record.threads, 'thread')}, "
        f"torch {record.torch}, load {load}{again}. {weights}"
    )
    columns = (
        "variant",
        "ms",
        "p10",
        "p90",
        "n",
        "ratio",
        "MP/s",
        "first ms",
        "peak MB",
        "dB",
        "max of 255",
        "batches",
    )
    click.echo(title)
    print_table("", columns, (_cells(name, variant) for name, variant in record.variants.items() if variant.ok))
    reasons: dict[str, list[str]] = {}
    for name, variant in record.variants.items():
        if not variant.ok:
            reasons.setdefault(f"{variant.status}: {variant.reason}", []).append(name)
    for reason, names in reasons.items():
        click.echo(f"{', '.join(names)}: {reason}")
    click.echo("")


def _cells(name: str, variant: Any) -> list[str]:
    best = max(variant.sweep, key=lambda step: step.images_per_s, default=None)
    batches = f"{best.images_per_s:.2f}/s at {best.batch}; {variant.sweep_end}" if best else variant.sweep_end
    return [
        name + (" (noisy)" if variant.noisy else ""),
        _number(variant.median_ms, 1),
        _number(variant.p10_ms, 1),
        _number(variant.p90_ms, 1),
        str(variant.n),
        _number(variant.ratio, 2),
        _number(variant.megapixels_per_s, 2),
        _number(variant.first_call_ms, 0),
        "" if variant.peak_memory_bytes is None else f"{variant.peak_memory_bytes / 1e6:.0f}",
        "" if variant.psnr_change is None else f"{variant.psnr_change:+.4f}",
        "" if variant.max_difference is None else f"{variant.max_difference:.2g}",
        batches,
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
