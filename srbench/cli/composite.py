"""``srbench composite``: one score from several stored ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from srbench.cli._common import json_option, print_json

if TYPE_CHECKING:
    from srbench.composites import Composite
    from srbench.reports.tables.composite import CompositeScore
    from srbench.reports.tables.rows import Table


@click.command()
@click.argument("name")
@click.option("--dataset", default="set14", show_default=True, help="A dataset that has records.")
@click.option("--scale", type=click.IntRange(1), default=4, show_default=True, help="The upscaling factor.")
@click.option("--protocol", default="standard", show_default=True, help="A protocol's name or id.")
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="A constant of the formula; goes before --reference."
)
@click.option(
    "--reference",
    "against",
    metavar="NAME",
    help="Take constants such as reference_ms from this network's speed record.",
)
@json_option
def command(
    name: str, dataset: str, scale: int, protocol: str, given: tuple[str, ...], against: str | None, as_json: bool
) -> None:
    """Rank what was measured by a composite score: NAME of `srbench ls composites`, or a TOML file of your own.

    \b
    srbench composite ntire2025-perceptual --dataset set14
    srbench composite ntire2025-efficiency --reference rfdn
    srbench composite ntire2025-efficiency --set reference_ms=35.2
    srbench composite mine.toml --dataset set5

    No image is measured again: the formula takes the means of the records, and mult-adds and times of `srbench speed`. What
    lacks a value of the formula is listed with the command that makes it.
    """
    from srbench.composites import load_composite
    from srbench.reports import build_tables
    from srbench.reports.tables.composite import composite_scores, reference
    from srbench.reports.tables.pick import pick_table
    from srbench.results import read_results
    from srbench.speed_results import read_speeds
    from srbench.zoo import list_checkpoints

    composite, constants = load_composite(name), _constants(given)
    if against is None:
        composite.with_constants(constants)  # what it lacks is said before anything is read
    speeds = read_speeds()
    tables = build_tables(read_results(), speeds, cards=list_checkpoints(), derive=False)
    table = pick_table(tables, dataset, scale, protocol)
    other = None if against is None else reference(composite, speeds, against, scale, table.device)
    composite = composite.with_constants({**(other.constants if other else {}), **constants})
    scores = composite_scores(table, composite)
    if as_json:
        found = {"composite": composite.label, "constants": composite.constants, "reference": other and other.name}
        print_json(found | {"scores": [_plain(one) for one in scores]})
        return
    if other:
        time = f" (its time: {', '.join(other.doubts)})" if other.doubts else ""
        click.echo(f"against {other.name} on {other.device}{time}")
    _print(table, composite, scores)


def _constants(given: Sequence[str]) -> dict[str, float]:
    from srbench.errors import InputError

    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (sign and math.isfinite(number)):
            raise InputError(f"--set {text}: expected NAME=VALUE with a finite number")
        found[name.strip()] = number
    return found


def _print(table: Table, composite: Composite, scores: Sequence[CompositeScore]) -> None:
    from srbench.cli._tables import columns_of_terminal
    from srbench.reports.terminal import Column, fitted
    from srbench.reports.units import chance, interval

    numbered = [one for one in scores if one.value is not None]
    changed = ", ".join(f"{key} = {value:g}" for key, value in composite.constants.items())
    click.echo(f"{composite.label} ({'higher' if composite.higher_is_better else 'lower'} is better) on {table.title}")
    click.echo(f"= {composite.formula}")
    if changed:
        click.echo(f"with {changed}")
    if numbered:
        columns = [
            Column("model", [one.who.name for one in numbered], 0, left=True),
            Column("score", [_score(one.value, composite.digits) for one in numbered], 1),
            Column("95 %", [interval(one.interval, composite.digits) for one in numbered], 2, 1),
            Column("p", [chance(one.p) for one in numbered], 3, 2),
        ]
        for place, term in enumerate(composite.terms):
            values = [_term(term, (one.terms or {}).get(term)) for one in numbered]
            columns.append(Column(term, values, 4 + place, 3))
        click.echo("\n".join(fitted(columns, columns_of_terminal(), "--json has all")))
    else:
        click.echo("No row has all the values of the formula.")
    without: dict[str, list[str]] = {}
    for one in scores:
        if one.value is None:
            without.setdefault(f"{one.status}: {one.reason}", []).append(one.who.name)
    for reason, names in without.items():
        click.echo(f"\n{reason}\n  {', '.join(names)}")


def _score(value: float | None, digits: int) -> str:
    """A score; where an exponential has run away, without the twenty digits that nothing stands behind."""
    from srbench.reports.units import number

    return (
        f"{value:.3e}".replace("-", "−")
        if value is not None and 1e6 <= abs(value) < float("inf")
        else number(value, digits)
    )


def _term(name: str, value: float | None) -> str:
    """A metric's mean or a cost as people read it."""
    from srbench.composites import COSTS
    from srbench.reports.units import amount, number, short

    if name == "parameters":
        return amount(value)
    return short(value) if name in COSTS else number(value, 4)


def _plain(one: CompositeScore) -> dict[str, object]:
    return {
        "checkpoint": one.who.checkpoint,
        "variant": one.who.variant,
        "value": one.value,
        "interval": list(one.interval) if one.interval else None,
        "p": one.p,
        "terms": dict(one.terms or {}),
        "status": one.status,
        "reason": one.reason,
    }
