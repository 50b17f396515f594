"""``srbench score``: measure images that any other program made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table, split

if TYPE_CHECKING:
    from srbench.results import Result


@click.command()
@click.option("--sr", required=True, type=click.Path(exists=True), help="Folder (or file) of super-resolved images.")
@click.option("--hr", required=True, help="Folder (or file) of HR images, or a catalog name such as set5.")
@click.option("--scale", required=True, type=click.IntRange(1, 16), help="The upscaling factor.")
@click.option("--protocol", default="standard", show_default=True, help="A preset or a TOML file.")
@click.option("--metrics", default="psnr,ssim,lpips,lr-psnr", show_default=True, help="Names; `srbench ls metrics`.")
@data_root_option
@json_option
def command(
    sr: str, hr: str, scale: int, protocol: str, metrics: str, data_root: str | None, as_json: bool
) -> None:  # fmt: skip
    """Measure the images in a folder against HR, matched by name.

    baby.png matches baby, babyx4, baby_x4 and, where there is only one such file, baby_<anything>. What does not match is
    listed; the exit code is 1 where an HR image has no SR image.
    """
    from srbench.evaluation import score

    made = Path(sr)
    label = made.name or made.resolve().name
    result = score(made, hr, scale, protocol, split(metrics), data_root=data_root, name=label)
    missing = [name for name in result.provenance.get("hr_only", "").split(", ") if name]
    extra = [name for name in result.provenance.get("sr_only", "").split(", ") if name]
    if as_json:
        print_json({**result.model_dump(mode="json"), "means": _means(result), "hr_only": missing, "sr_only": extra})
    else:
        names = list(result.metrics)
        rows = [[image, *_row(result, i)] for i, image in enumerate(result.images)]
        rows.append(["mean", *(_mean(result, name) for name in names)])
        title = f"{label} ×{scale} · {result.protocol} · {len(result.images)} images"
        print_table(title, ["image", *names], rows)
        for name, scores in result.metrics.items():
            if scores.status != "ok":
                click.echo(f"{name}: {scores.status}: {scores.reason}", err=True)
    if extra:
        click.echo(f"SR images without HR: {', '.join(extra)}", err=True)
    if missing:
        click.echo(f"HR images without SR: {', '.join(missing)}", err=True)
        click.get_current_context().exit(1)


def _row(result: Result, index: int) -> list[str]:
    return [
        f"{scores.values[index]:.{scores.digits}f}" if scores.status == "ok" else scores.status
        for scores in result.metrics.values()
    ]


def _mean(result: Result, name: str) -> str:
    scores = result.metrics[name]
    return f"{result.mean(name):.{scores.digits}f}" if scores.status == "ok" else scores.status


def _means(result: Result) -> dict[str, object]:
    means = {name: result.mean(name) for name, scores in result.metrics.items() if scores.status == "ok"}
    return {name: "inf" if value == float("inf") else value for name, value in means.items()}
