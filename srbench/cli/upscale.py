"""``srbench upscale``: super-resolve an image or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._subjects import inference_options, subject_options
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path())
@click.option("--checkpoint", required=True, help="A checkpoint, interpolator, file of weights or class of your own.")
@click.option("--scale", type=click.IntRange(2, 8), help="For interpolators and others that work at several scales.")
@click.option("--skip-bad", is_flag=True, help="Leave out images of a folder that cannot be read; they are listed.")
@subject_options
@inference_options
def command(
    source: str,
    target: str,
    checkpoint: str,
    scale: int | None,
    skip_bad: bool,
    named: SubjectOptions,
    inference: Inference,
) -> None:
    """Upscale the image IN to the file OUT, or every image of the folder IN into the folder OUT (as PNG).

    Every input is read and checked in full before the first image is written; none is overwritten by its own output.
    """
    from rich.progress import track

    from srbench.datasets.folders import left_out
    from srbench.subjects import load
    from srbench.upscale_files import plan_files, upscale_files

    upscaler = load(checkpoint, scale, inference=inference, **named)
    skipped: list[str] = []
    jobs = plan_files(source, target, skipped if skip_bad else None)
    written = upscale_files(
        upscaler, jobs, lambda jobs: track(jobs, description="upscaling", disable=len(jobs) == 1)
    )  # fmt: skip
    if Path(source).is_dir() and (other := left_out(Path(source))):
        click.echo(f"left out: {other}", err=True)
    for text in skipped:
        click.echo(f"left out: {text}", err=True)
    click.echo(f"wrote {written[0] if len(written) == 1 else f'{len(written)} images to {target}'}")
