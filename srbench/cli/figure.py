"""``srbench figure``: crops of several networks beside HR, for a paper."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli._common import device_option


@click.command()
@click.option("--dataset", required=True, help="Catalog name or a folder.")
@click.option("--image", "images", required=True, help="Names of images, comma-separated: a row each.")
@click.option(
    "--models", required=True, help="Checkpoints, models with one checkpoint, or interpolators, comma-separated."
)
@click.option("-o", "--output", required=True, type=click.Path(), help="File to write: .pdf, .png or .svg.")
@click.option(
    "--crop",
    "crops",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="x,y,w,h in HR pixels, or auto: where the models differ most. Once for all images, or once each.",
)
@click.option("--scale", type=click.IntRange(2, 8), default=4, show_default=True, help="Upscaling factor.")
@click.option("--metrics", default="", help="Scores beneath the crops, from the records; PSNR and LPIPS by default.")
@click.option("--dpi", type=click.IntRange(50, 1200), default=300, show_default=True, help="Density of a PNG.")
@click.option("--data-root", type=click.Path(exists=True, file_okay=False), help="Folder with the datasets.")
@device_option
def command(
    dataset: str,
    images: str,
    models: str,
    output: str,
    crops: tuple[str, ...],
    scale: int,
    metrics: str,
    dpi: int,
    data_root: str | None,
    device: str,
) -> None:
    """Draw crops of several networks beside HR, with their scores.

    \b
    srbench figure --dataset set14 --image ppt3 \\
      --models bicubic,fsrcnn_x4.tuned,edsr_baseline -o ppt3.pdf
    srbench figure --dataset set14 --image ppt3,baboon \\
      --crop 240,130,72,54 --crop auto --models bicubic,vdsr -o two.png

    The first column is HR with the box; then come the magnified crops of HR and of every model, whose image is made anew. The
    scores are those of the records in results/, of the whole image.
    """
    from srbench.evaluation.upscaled import upscaled
    from srbench.reports.paper.crops_of import Asked, crop_rows
    from srbench.reports.paper.figure import draw_crops, suffix_of

    asked = Asked(
        dataset=dataset, images=_names(images), models=_names(models), crops=crops, scale=scale, metrics=_names(metrics)
    )
    suffix_of(Path(output))
    asked.check()
    made = upscaled(asked.models, dataset, scale, images=asked.images, device=device, data_root=data_root)
    rows, remarks = crop_rows(asked, made)
    draw_crops(rows, Path(output), dpi)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(f"wrote {output}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
