"""``srbench reproduce``: measure stored records anew and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import data_root_option, device_option

if TYPE_CHECKING:
    from srbench.evaluation.reproduce import Again, Reproduction
    from srbench.results import Result


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="RECORD.json|CHECKPOINT…")
@click.option("--dataset", help="Of a checkpoint: only this dataset; of a record of a folder: the folder.")
@click.option("--scale", type=click.IntRange(1), help="Of a checkpoint: only this scale.")
@click.option("--protocol", help="Of a checkpoint: only this protocol, by name or id.")
@click.option("--keep", type=click.Path(file_okay=False), help="Store the new records below this folder.")
@click.option("--images", is_flag=True, help="Every image of every record, not of a single one alone.")
@click.option("--leaderboard", is_flag=True, help="Print the leaderboard of the new records.")
@data_root_option
@device_option
def command(
    records: tuple[str, ...],
    dataset: str | None,
    scale: int | None,
    protocol: str | None,
    keep: str | None,
    images: bool,
    leaderboard: bool,
    data_root: str | None,
    device: str,
) -> None:
    """Measure stored results anew and compare them, score by score; nothing in results/ changes.

    \b
    srbench reproduce results/quality/set5_x4/standard.v1/fsrcnn_x4.tuned.json
    srbench reproduce fsrcnn_x4.tuned       all that is stored of a checkpoint
    srbench reproduce bicubic --dataset sample --scale 4 --protocol standard

    The exit code is 0 where every score is within its metric's tolerance (0.001 dB of PSNR), else 1, and what differs is
    listed: weights, images, versions, machine. A metric that cannot be measured here, such as LPIPS without its weights, is
    named and not counted.
    """
    from srbench.evaluation.reproduce import reproduce
    from srbench.results import write_result

    found = [record for text in records for record in _records(text, dataset, scale, protocol)]
    done = []
    for record in found:
        folder = dataset if record.dataset.startswith("dir-") else None
        one = reproduce(record, data_root=data_root, dataset=folder, device=device)
        if keep:
            write_result(one.new, Path(keep))
        _print(one, images or len(found) == 1)
        done.append(one)
    if leaderboard:
        _leaderboard([one.new for one in done])
    click.echo(_summary(done))
    if not all(one.equal for one in done):
        click.get_current_context().exit(1)


def _summary(done: list[Reproduction]) -> str:
    good = [one for one in done if one.equal]
    largest = max(done, key=lambda one: one.largest)
    first = largest.measured[0] if largest.measured else None
    unit = f" {first.unit}" if first and first.unit else ""
    without = dict.fromkeys(metric.metric for one in done for metric in one.metrics if metric.missing)
    text = f"{len(good)} of {len(done)} reproduced, largest difference {largest.largest:.3f}{unit}"
    return text + (f" (without {', '.join(without)}: see above)" if without else "")


def _records(text: str, dataset: str | None, scale: int | None, protocol: str | None) -> list[Result]:
    """The record in a file, or all of a checkpoint that the options leave."""
    from srbench.errors import InputError, UnknownNameError
    from srbench.results import read_result, read_results

    if text.endswith(".json"):
        try:
            return [read_result(text)]
        except FileNotFoundError:
            raise InputError(f"{text}: no such record") from None
    stored = [r for r in read_results() if r.ok]
    named = [r for r in stored if text in (r.checkpoint, f"{r.checkpoint}+{r.variant}")]
    if not named:
        raise UnknownNameError("checkpoint", text, {r.checkpoint for r in stored}, "results/")
    kept = [
        r
        for r in named
        if dataset in (None, r.dataset)
        and scale in (None, r.scale)
        and protocol in (None, r.protocol, r.protocol.partition(".v")[0])
    ]
    if not kept:
        raise InputError(
            f"{text} has no record of {dataset or 'any dataset'} at x{scale or '…'} under {protocol or 'any'}"
        )
    return kept


def _print(one: Reproduction, images: bool) -> None:
    record = one.stored
    name = f"{record.checkpoint}{'+' if record.variant else ''}{record.variant}"
    click.echo(f"{name} on {record.dataset} x{record.scale}, {record.protocol}")
    for metric in one.metrics:
        click.echo(_line(metric))
        if images and not metric.missing:
            click.echo("\n".join(_table(metric)))
    if not one.equal:
        for text in one.differs or ("nothing that is known of the two runs differs",):
            click.echo(f"  {text}")


def _line(metric: Again) -> str:
    if metric.missing:
        return f"  {metric.metric}: not measured here: {metric.missing}"
    verdict = "reproduced" if metric.equal else "NOT reproduced"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"  {metric.metric}: {verdict}, at most {metric.largest:.2g}{unit} apart ({metric.tolerance:g} allowed)"


def _table(metric: Again) -> list[str]:
    from srbench.reports.terminal import Column, lines
    from srbench.reports.units import number

    digits = metric.digits + 2
    apart = [None if old is None or new is None else 0.0 if old == new else new - old for _, old, new in metric.scores]
    columns = [
        Column("    image", [f"    {image}" for image, _, _ in metric.scores], 0, left=True),
        Column("stored", [number(old, digits) for _, old, _ in metric.scores], 1),
        Column("new", [number(new, digits) for _, _, new in metric.scores], 2),
        Column("difference", [number(value, digits, sign=True) for value in apart], 3),
    ]
    return list(lines(columns))


def _leaderboard(results: list[Result]) -> None:
    from srbench.cli._tables import print_tables
    from srbench.reports import build_tables
    from srbench.speed_results import read_speeds
    from srbench.zoo import list_checkpoints

    click.echo("")
    print_tables(build_tables(results, read_speeds(), list_checkpoints(), derive=False))
    click.echo("")
