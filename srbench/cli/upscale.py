"""``srbench upscale``: super-resolve an image or a folder."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import constructor_option, inference_options, parse_options
from srbench.inference import Inference


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path())
@click.option("--checkpoint", required=True, help="A checkpoint, interpolator, file of weights or class of your own.")
@click.option("--scale", type=click.IntRange(2, 8), help="For interpolators and others that work at several scales.")
@click.option("--model", help="Architecture of a file of weights.")
@click.option("--channels", type=click.Choice(["y", "rgb"]), help="What your own file or class works on.")
@constructor_option
@inference_options
def command(
    source: str,
    target: str,
    checkpoint: str,
    scale: int | None,
    model: str | None,
    channels: str | None,
    given_options: tuple[str, ...],
    inference: Inference,
) -> None:
    """Upscale the image IN to the file OUT, or every image of the folder IN into the folder OUT (as PNG).

    Every input is read and checked in full before the first image is written; none is overwritten by its own output.
    """
    from rich.progress import track

    from srbench.errors import InputError
    from srbench.images import SUFFIXES, list_images, read_image, write_image
    from srbench.subjects import load
    from srbench.upscaler import upscale_array

    upscaler = load(
        checkpoint, scale, model=model, channels=channels, options=parse_options(given_options), inference=inference
    )
    inputs = list_images(source) if Path(source).is_dir() else [Path(source)]
    if not inputs:
        raise InputError(f"{source}: no images; expected {', '.join(SUFFIXES)}")
    folder = Path(source).is_dir()
    outputs = [Path(target) / f"{path.stem}.png" if folder else Path(target) for path in inputs]
    if not folder and Path(target).is_dir():
        outputs = [Path(target) / f"{inputs[0].stem}.png"]
    writers: dict[str, Path] = {}
    for path, out in zip(inputs, outputs, strict=True):
        other = writers.setdefault(out.name.lower(), path)  # in any case: not every disk tells A.png from a.png
        if other is not path:
            raise InputError(f"{source}: {other.name} and {path.name} would both be written to {out}; rename one")
    for path, out in zip(inputs, outputs, strict=True):
        if out.resolve() == path.resolve():
            raise InputError(f"{out}: would overwrite its own input; choose another OUT")
        if out.suffix.lower() not in SUFFIXES:
            raise InputError(
                f"{out}: cannot write {out.suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}"
            )
        read_image(path)
    jobs = list(zip(inputs, outputs, strict=True))
    for path, out in track(jobs, description="upscaling", disable=len(jobs) == 1):
        write_image(out, upscale_array(upscaler, read_image(path)))
    click.echo(f"wrote {outputs[0] if len(outputs) == 1 else f'{len(outputs)} images to {target}'}")
