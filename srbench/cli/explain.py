"""``srbench explain``: which protocol gives a published figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli._common import data_root_option, json_option, print_json, print_table
from srbench.cli._subjects import inference_options, subject_options
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.evaluation.explain import Explanation, Tried
    from srbench.evaluation.scoring import Item
    from srbench.subjects import SubjectOptions

_SHOWN = 12


@click.command()
@click.option("--sr", type=click.Path(exists=True, file_okay=False), help="Folder of the SR images of the figure.")
@click.option("--checkpoint", help="In the place of --sr: a checkpoint, interpolator, file of weights or class.")
@click.option("--hr", required=True, help="Folder of HR images, or a catalog name such as set5.")
@click.option("--scale", required=True, type=click.IntRange(2, 8), help="The upscaling factor.")
@click.option("--figure", required=True, help="PSNR, or PSNR/SSIM, as it is printed: 32.13/0.8948.")
@click.option("--thorough", is_flag=True, help="Go on after the first way of making LR that gives the figure.")
@data_root_option
@subject_options
@inference_options
@json_option
def command(
    sr: str | None,
    checkpoint: str | None,
    hr: str,
    scale: int,
    figure: str,
    thorough: bool,
    data_root: str | None,
    named: SubjectOptions,
    inference: Inference,
    as_json: bool,
) -> None:
    """Say which protocol gives a figure: try what papers and scripts do otherwise until one reproduces its last digit.

    \b
    srbench explain --sr out/ --hr set5 --scale 4 --figure 32.13/0.8948
    srbench explain --checkpoint VDSR.mat --model vdsr \\
      --hr set5 --scale 4 --figure 31.35/0.8838

    With --sr the channel, luma, border, crop, gray files and average are tried; with --checkpoint also how LR is made and SR
    is rounded. "by chance" is the probability that a combination among as simple ones gives the figure by accident: the more
    were tried near it, the less a hit says. SSIM beside PSNR makes chance hits rare. The exit code is 1 without a hit.
    """
    from srbench.evaluation.explain import explain_images, explain_subject
    from srbench.evaluation.figure import Figure

    if (sr is None) == (checkpoint is None):
        raise click.UsageError("give --sr FOLDER or --checkpoint NAME, one of them")
    sought = Figure.parse(figure)
    if sr is not None:
        items = _items(Path(sr), hr, scale, data_root)
        names = [(f"SR {item.where}", f"HR {item.name}") for item in items]
        found = explain_images(((item.sr(), item.hr()) for item in items), scale, sought, names)
    else:
        from srbench.datasets.local import find_dataset
        from srbench.subjects import resolve_one

        subject = resolve_one(str(checkpoint), scale, **named).at(scale)
        images = find_dataset(hr, data_root)
        images.check()
        found = explain_subject(
            subject,
            images,
            sought,
            inference,
            thorough=thorough,
            on_way=lambda text: click.echo(f"trying {text}", err=True),
        )
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found, figure)
    if not found.hits:
        click.get_current_context().exit(1)


def _items(sr: Path, hr: str, scale: int, data_root: str | None) -> tuple[Item, ...]:
    from srbench.errors import InputError
    from srbench.evaluation.scoring import jobs

    found = jobs(sr, hr, scale, data_root)
    if len(found) > 1:
        raise InputError(
            f"{sr} has images of {len(found)} methods ({', '.join(job.name for job in found)}): give one alone"
        )
    return found[0].items


def _print(found: Explanation, figure: str) -> None:
    click.echo(f"{found.tried} combinations tried: {'; '.join(found.ways)}")
    for text in found.skipped:
        click.echo(f"not tried: {text}")
    ssim = any(one.ssim is not None for one in (*(hit for hit, _ in found.hits), *found.nearest))
    columns = ["PSNR", *(["SSIM"] if ssim else []), "protocol", "what differs from it"]
    if found.hits:
        rows = [
            [*_cells(hit, ssim), f"{chance:.1%}" if chance >= 0.001 else "< 0.1%"]
            for hit, chance in found.hits[:_SHOWN]
        ]
        print_table(f"what gives {figure}", [*columns, "by chance"], rows)
        if len(found.hits) > _SHOWN:
            click.echo(f"and {len(found.hits) - _SHOWN} more, less simple; --json lists all")
        return
    click.echo(f"none gives {figure}")
    print_table("nearest", columns, [_cells(one, ssim) for one in found.nearest])


def _cells(one: Tried, ssim: bool) -> list[str]:
    similar = [] if not ssim else [f"{one.ssim:.5f}" if one.ssim is not None else ""]
    return [f"{one.psnr:.3f}", *similar, one.preset, ", ".join(one.differs) or "–"]


def _as_json(found: Explanation) -> dict[str, object]:
    def fields(one: Tried) -> dict[str, object]:
        return {
            "psnr": one.psnr, "ssim": one.ssim, "preset": one.preset, "differs": list(one.differs), "average": one.average,
            "protocol": one.protocol.model_dump(exclude={"name"}),
        }  # fmt: skip

    return {
        "tried": found.tried,
        "ways": list(found.ways),
        "skipped": list(found.skipped),
        "hits": [{**fields(hit), "chance": chance} for hit, chance in found.hits],
        "nearest": [fields(one) for one in found.nearest],
    }
