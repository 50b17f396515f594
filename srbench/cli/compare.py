"""``srbench compare``: two checkpoints on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from srbench.cli._common import json_option, print_json, print_table

if TYPE_CHECKING:
    from srbench.reports.tables.comparison import Comparison


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--dataset", default="set14", show_default=True, help="A dataset that both were measured on.")
@click.option("--metric", default="psnr", show_default=True, help="A metric that both were measured with.")
@click.option("--scale", type=click.IntRange(1), help="Needed only where both were measured at several scales.")
@click.option("--protocol", default="standard", show_default=True, help="A protocol's name or id.")
@json_option
def command(a: str, b: str, dataset: str, metric: str, scale: int | None, protocol: str, as_json: bool) -> None:
    """Compare checkpoints A and B image by image, from the records in results/.

    \b
    srbench compare fsrcnn_x4.common espcn_x4.common --dataset set14 --metric psnr

    Prints the mean difference with its 95 % interval, the p of the Wilcoxon signed-rank test, and each image.
    """
    from srbench.reports.tables.comparison import compare
    from srbench.results import read_results

    found = compare(read_results(), a, b, dataset, metric, scale, protocol)
    if as_json:
        print_json(_plain(found))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    from srbench.reports.units import number

    digits = found.digits + 1
    rows = [(name, number(x, digits), number(y, digits), _difference(x, y, digits)) for name, x, y in found.images]
    means = (number(found.mean_a, digits), number(found.mean_b, digits), number(found.difference, digits, sign=True))
    unit = f" ({found.unit})" if found.unit else ""
    title = f"{found.metric.upper()}{unit} on {found.dataset} x{found.scale}, {found.protocol}"
    print_table(title, ["image", found.a, found.b, "difference"], [*rows, ("mean", *means)])
    interval = "undefined"
    if found.interval:
        interval = f"[{number(found.interval[0], digits, sign=True)}, {number(found.interval[1], digits, sign=True)}]"
    click.echo(f"95 % interval of the mean difference: {interval}")
    click.echo(f"{found.a} is better on {found.wins}, worse on {found.losses}, equal on {found.ties} images")
    click.echo(found.verdict)


def _difference(x: float, y: float, digits: int) -> str:
    from srbench.reports.units import number

    return number(0.0 if x == y else x - y, digits, sign=True)


def _plain(found: Comparison) -> dict[str, object]:
    """The comparison as JSON has it, with infinity as text and the verdict."""
    from dataclasses import asdict

    from srbench.reports.plain import plain

    record: dict[str, object] = {
        key: plain(value) for key, value in asdict(found).items() if key not in ("images", "interval")
    }
    record["interval"] = list(found.interval) if found.interval else None
    record["images"] = [{"image": name, "a": plain(x), "b": plain(y)} for name, x, y in found.images]
    return record | {"verdict": found.verdict}
