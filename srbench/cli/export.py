"""``srbench export``: a network as a file of another runtime, measured at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import Finite, data_root_option, json_option, print_json, print_table
from srbench.cli._subjects import subject_options
from srbench.errors import counted

if TYPE_CHECKING:
    from srbench.exporting.make import Exported
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("subject")
@click.option("--format", "kind", metavar="NAME", help="onnx, litert or ncnn; default: as the output's suffix says.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; default: the subject's name.")
@click.option("--scale", type=click.IntRange(2, 8), help="Of a subject that works at several.")
@click.option("--whole", is_flag=True, help="The whole upscaler: RGB in, RGB out.")
@click.option("--dtype", default="float32", show_default=True, help="Of a whole upscaler's images: float32 or uint8.")
@click.option("--fused", is_flag=True, help="The fused form, which is faster and equal but for rounding.")
@click.option("--precision", default="fp32", show_default=True, help="fp32, fp16 or int8.")
@click.option(
    "--size", metavar="HxW", help="LR size: of a file of fixed size, and of what is timed; default: 512/scale."
)
@click.option(
    "--calibrate", default="t91", show_default=True, metavar="SET", help="Training images for int8: name or folder."
)
@click.option("--dataset", default="sample", show_default=True, help="Images that the loss is measured on.")
@click.option("--images", type=click.IntRange(1), help="Only the first N of them.")
@click.option("--seconds", type=Finite(0, min_open=True), default=2.0, show_default=True, help="Time of a clock.")
@click.option("--untrained", is_flag=True, help="A model's name stands for random weights: times without dB.")
@subject_options
@data_root_option
@json_option
def command(
    subject: str,
    kind: str | None,
    output: Path | None,
    scale: int | None,
    size: str | None,
    images: int | None,
    named: SubjectOptions,
    as_json: bool,
    **how: Any,
) -> None:
    """Write SUBJECT (a checkpoint, a file of weights, a class of your own) for another runtime.

    \b
    srbench export fsrcnn_x4.tuned --format onnx -o fsrcnn.onnx
    srbench export edsr_baseline_x4.tuned --whole --dtype uint8 -o edsr.tflite
    srbench export fsrcnn_x4.tuned --precision int8 --calibrate t91 -o int8.onnx
    srbench eval fsrcnn.onnx --datasets set5

    The file is run at once by its own runtime and compared with PyTorch: greatest difference, dB lost, ms and MB. What was found
    lies beside it as a card (FILE.toml), which also says how it is to be fed. Each format needs its extra:
    pip install 'srbench[onnx]', 'srbench[litert]' or 'srbench[ncnn]'.
    """
    from srbench.door import export
    from srbench.evaluation.cost import parse_size

    def progress(text: str) -> None:
        click.echo(text, err=True)

    made = export(
        subject,
        output,
        kind,
        scale=scale,
        size=parse_size(size) if size else None,
        images=images or 0,
        progress=progress,
        **named,
        **how,
    )
    if as_json:
        print_json({"path": str(made.path), **made.card.model_dump(mode="json")})
        return
    _show(made)


def _show(made: Exported) -> None:
    card = made.card
    found = card.measured
    assert found is not None
    height, width = found.input
    free = "any" if not card.height else f"{card.width}×{card.height}"
    what = "whole upscaler" if card.whole else "network of already enlarged images" if card.pre_upsampled else "network"
    click.echo(
        f"{made.path}: {what}, ×{card.scale}, {card.channels}, {card.dtype} {card.layout}, size {free}, {card.precision}"
        f"{', fused' if card.fused else ''}"
    )
    best = f"{found.ms_best:.1f}" if found.ms_best is not None else ""
    columns = ("", "ms", "MB", "PSNR")
    rows = [
        ("file", f"{found.ms:.1f}", f"{found.mb:.2f}", _db(found.psnr)),
        ("PyTorch", f"{found.ms_torch:.1f}", f"{found.mb_torch:.2f}", _db(found.psnr_torch)),
    ]
    if best:
        rows.append((f"PyTorch, {found.best_variant}", best, "", ""))
    print_table("", columns, rows)
    lost = "random weights: no dB" if found.loss_db is None else f"{round(found.loss_db, 4) + 0.0:+.4f} dB lost"
    click.echo(
        f"{lost}; greatest difference {found.max_difference:.3g} of 255 ({counted(found.images, 'image')} of {found.dataset}, "
        f"{found.protocol}); times of an LR image of {width}×{height}, {counted(found.threads, 'thread')}, "
        f"{found.clock} time, medians of {found.passes} passes"
    )
    if found.lossy:
        click.echo(f"Note: it loses {found.loss_db:.3f} dB, which is more than 0.01", err=True)


def _db(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
