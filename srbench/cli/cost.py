"""``srbench cost``: parameters, multiply-adds and the like, counted without computing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from srbench.cli._common import json_option, print_json, print_table
from srbench.cli._subjects import subject_options

if TYPE_CHECKING:
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("names", nargs=-1)
@click.option("--scale", type=click.IntRange(2, 8), help="Only this scale; default: 4, and a checkpoint's own.")
@click.option("--input", "size", metavar="HxW", help="Size of the LR image; default: what gives 1280×720.")
@subject_options
@json_option
def command(
    names: tuple[str, ...], scale: int | None, size: str | None, named: SubjectOptions, as_json: bool
) -> None:  # fmt: skip
    """Count what networks cost on any machine (NAMES as `srbench eval` takes them; all models by default).

    \b
    srbench cost                          every model at x4, 1280x720 output
    srbench cost fsrcnn btsrn --scale 2
    srbench cost fsrcnn_x4.tuned --json

    Mult-adds are those really done. Beside them the papers' convention, at exactly 1280x720 output: a transposed convolution's
    kernel counts once an output pixel, and BTSRN's blocks alone are counted.
    """
    from dataclasses import asdict

    from srbench.evaluation.cost import parse_size, subject_cost
    from srbench.models import MODELS
    from srbench.subjects import resolve_timed

    shape = parse_size(size) if size else None
    names = names or tuple(model.name for model in MODELS if (scale or 4) in model.scales)
    subjects = resolve_timed(names, scale, **named)
    found = [subject_cost(subject, shape) for subject in subjects]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    columns = (
        "name", "scale", "input", "parameters", "mult-adds", "as in papers", "FLOPs", "activations", "weights",
        "receptive field",
    )  # fmt: skip
    print_table("", columns, (_cells(one) for one in found))


def _cells(one: Any) -> list[str]:
    side = one.receptive_field
    return [
        one.name,
        f"x{one.scale}",
        f"{one.input[1]}×{one.input[0]}",
        f"{one.parameters:,}",
        f"{one.mult_adds / 1e9:.2f} G",
        "–" if one.paper_mult_adds is None else f"{one.paper_mult_adds / 1e9:.1f} G",
        f"{one.flops / 1e9:.2f} G",
        f"{one.activations / 1e6:.1f} M",
        f"{one.weight_bytes / 1e6:.2f} MB",
        "unknown" if side is None else f"{side}×{side}",
    ]
