"""``srbench show-filters CHECKPOINT LAYER``: a layer's convolution kernels as PNG."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import json_option, print_json


@click.command()
@click.argument("checkpoint")
@click.argument("layer")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The PNG file [CHECKPOINT.LAYER.png].")
@json_option
def command(checkpoint: str, layer: str, out: Path | None, as_json: bool) -> None:
    """Draw the kernels of LAYER of CHECKPOINT as a PNG file.

    \b
    srbench show-filters fsrcnn_x4.tuned body.0
    srbench show-filters fsrcnn_x4.tuned bdy.0   unknown: the nearest is named
    """
    from srbench.training.after.figures import draw_filters, find_layer
    from srbench.zoo import load_checkpoint

    network = load_checkpoint(checkpoint)
    name, kernels = find_layer(network, layer)
    written = draw_filters(kernels, f"{checkpoint}, {name}", out or Path(f"{checkpoint}.{name}.png"))
    if as_json:
        print_json({"checkpoint": checkpoint, "layer": name, "shape": list(kernels.shape), "file": str(written)})
    else:
        click.echo(f"{name} {tuple(kernels.shape)}: wrote {written}")
