"""``srbench convert``: weights in another project's keys, refused where that project's network would compute another image."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoint")
@click.option(
    "--to", "target", type=click.Choice(["basicsr", "spandrel", "kair"]), required=True, help="Whose keys to write."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@click.option("--scale", type=click.IntRange(2, 8), help="Of a file that does not say its own.")
@click.option("--key", default="", help="Which state dict of a file of weights, where it holds several.")
def command(checkpoint: str, target: str, output: Path, scale: int | None, key: str) -> None:
    """Write the weights of CHECKPOINT (of the zoo, or any file) for BasicSR, spandrel or KAIR.

    A network that the other project does not have, or has without what this one adds (a bicubic skip), is refused.
    """
    from srbench.subjects import resolve_one
    from srbench.weights.convert import convert, write

    subject = resolve_one(checkpoint, scale, key=key)
    made = convert(subject.upscaler().network, subject.model, subject.scale, subject.options, target)
    write(made, output)
    click.echo(f"wrote {output}: {made.summary}")
