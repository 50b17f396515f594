"""``srbench halve``: weights of the zoo in half precision, where that loses nothing."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import data_root_option, print_table


@click.command()
@click.argument("checkpoints", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every checkpoint of the zoo that is still in float32.")
@click.option("--zoo", type=click.Path(file_okay=False, path_type=Path), help="Zoo folder [zoo/].")
@data_root_option
def command(checkpoints: tuple[str, ...], every: bool, zoo: Path | None, data_root: str | None) -> None:
    """Store CHECKPOINTS in half precision where PSNR changes by less than 0.002 dB.

    Measured on a checkpoint's validation images; the change is written to its card either way. Training
    does the same at its end, so this is for older checkpoints. Results measured with the earlier file are replaced by
    `srbench eval`.
    """
    from srbench.training.after.half import halve
    from srbench.zoo import find_checkpoint, list_checkpoints

    if every == bool(checkpoints):
        raise click.UsageError("name CHECKPOINTS, or give --all")
    if every:
        cards = [card for card in list_checkpoints(root=zoo) if card.weights == "float32" and card.config]
    else:
        cards = [find_checkpoint(name, zoo) for name in checkpoints]
    done = [halve(card, zoo, data_root) for card in cards]
    rows = [(card.name, card.weights, _change(card.half_change)) for card in done]
    print_table("", ("checkpoint", "stored as", "change in float16"), rows)


def _change(change: float | None) -> str:
    return "float16 cannot hold them" if change is None else f"{change:+.6f} dB"
