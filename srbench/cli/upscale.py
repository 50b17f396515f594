"""``srbench upscale``: super-resolve an image or a folder."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import device_option


@click.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True))
@click.argument("target", metavar="OUT", type=click.Path())
@click.option("--checkpoint", required=True, help="A checkpoint of the zoo, or an interpolator such as bicubic.")
@click.option("--scale", type=click.IntRange(2, 8), help="For interpolators and multi-scale checkpoints.")
@click.option("--tile", type=click.IntRange(0), default=0, help="Edge of tiles in pixels; 0: the whole image.")
@click.option("--tile-overlap", type=click.IntRange(0), help="Pixels; default: the receptive field, which is exact.")
@click.option("--self-ensemble", is_flag=True, help="Mean over the eight flips and turns.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Number format of the network's arithmetic.",
)
@device_option
def command(
    source: str,
    target: str,
    checkpoint: str,
    scale: int | None,
    tile: int,
    tile_overlap: int | None,
    self_ensemble: bool,
    precision: str,
    device: str,
) -> None:
    """Enlarge the image IN to the file OUT, or every image of the folder IN into the folder OUT (as PNG).

    Every input is read and checked in full before the first image is written; none is overwritten by its own output.
    """
    from rich.progress import track

    from srbench.errors import InputError
    from srbench.evaluation.targets import named, settings_of
    from srbench.images import SUFFIXES, list_images, read_image, write_image
    from srbench.inference import upscale_array

    settings = settings_of(
        device, tile=tile, tile_overlap=tile_overlap, ensemble=self_ensemble, precision=precision
    )  # fmt: skip
    found = [t for t in named(checkpoint, settings) if scale is None or scale in t.scales] or named(
        checkpoint, settings
    )
    if len(found) > 1:
        raise InputError(f"{checkpoint} has several checkpoints: {', '.join(t.checkpoint for t in found)}; name one")
    if scale is None and len(found[0].scales) > 1 and found[0].identity:
        raise InputError(f"{checkpoint} works at several scales: give one with --scale")
    upscaler = found[0].upscaler(scale or found[0].scales[0])
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
