"""``srbench gate CHECKPOINT``: whether adversarial training made a network better than its parent."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table


@click.command()
@click.argument("checkpoints", nargs=-1, required=True)
@click.option("--zoo", type=click.Path(file_okay=False, path_type=Path), help="Zoo folder [zoo/].")
@data_root_option
@json_option
def command(checkpoints: tuple[str, ...], zoo: Path | None, data_root: str | None, as_json: bool) -> None:
    """Compare adversarially trained CHECKPOINTS with the networks that they started from.

    On validation images, Set5 and Set14: the lattice of the upsampler must stay at 2 dB or below (or the parent's), LPIPS and
    DISTS must both be below the parent's; LR-PSNR is stated. Exit code 1 where one fails or could not be measured. Look at the
    images, too: `srbench figure` puts crops side by side.

    \b
    srbench gate srgan_x4.srgan-v2-vgg16
    """
    from dataclasses import asdict

    from srbench.training.after.gate import gate, is_open
    from srbench.zoo import find_checkpoint

    found = {name: gate(find_checkpoint(name, zoo), zoo, data_root) for name in checkpoints}
    if as_json:
        print_json({name: [_finite(asdict(line)) for line in lines] for name, lines in found.items()})
    for name, lines in found.items() if not as_json else ():
        rows = [[line.dataset, line.metric, _shown(line.parent), _shown(line.child), line.verdict] for line in lines]
        print_table(f"{name}: {'passes' if is_open(lines) else 'does not pass'}", _COLUMNS, rows)
    if not all(is_open(lines) for lines in found.values()):
        click.get_current_context().exit(1)


_COLUMNS = ("images", "metric", "parent", "child", "verdict")


def _shown(value: float) -> str:
    return "–" if value != value else f"{value:.4f}"


def _finite(line: dict[str, object]) -> dict[str, object]:
    return {key: None if value != value else value for key, value in line.items()}
