"""A comparison of two or more models on a terminal: letters stand for names, so that no number is broken at 80 columns."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

from srbench.errors import counted
from srbench.power import MOST_IMAGES
from srbench.reports.tables.comparison import Beside, Comparison, Ranking
from srbench.reports.terminal import Column, fitted, fitting, lines
from srbench.reports.units import NONE, chance, interval, number


def render_comparison(found: Comparison) -> str:
    """Two models: what each scored on each image, the mean difference, its interval, and the verdict."""
    digits = found.digits + 1
    a = [number(x, digits) for _, x, _ in found.images] + [number(found.mean_a, digits)]
    b = [number(y, digits) for _, _, y in found.images] + [number(found.mean_b, digits)]
    apart = [0.0 if x == y else x - y for _, x, y in found.images] + [found.difference]
    columns = [
        Column("image", [*(name for name, _, _ in found.images), "mean"], 0, left=True),
        Column("A", a, 1),
        Column("B", b, 2),
        Column("A − B", [number(value, digits, sign=True) for value in apart], 3),
    ]
    reach = interval(found.interval, digits, sign=True) or "undefined"
    text = [
        _title(found),
        f"A = {found.a}",
        f"B = {found.b}",
        *lines(columns),
        f"95 % interval of the mean difference: {reach}",
        f"{found.a} is better on {found.wins}, worse on {found.losses}, equal on {counted(found.ties, 'image')}",
        f"effect size: {_effect(found)}",
        found.verdict,
        *([f"power: {found.power_text}"] if found.power_text else []),
        *_beside(found),
    ]
    return "\n".join(text) + "\n"


def _beside(found: Comparison) -> Iterator[str]:
    """What both invent, and whether they keep to their LR; mean ± standard deviation between images."""
    if not found.beside:
        return

    columns = [
        Column(
            "beside it",
            [_headed(one) for one in found.beside],
            0,
            left=True,
        ),
        Column("A", [_with_spread(one.a, one.digits) for one in found.beside], 1),
        Column("B", [_with_spread(one.b, one.digits) for one in found.beside], 2),
        Column("p", [chance(one.p) for one in found.beside], 3),
    ]
    yield ""
    yield from lines(columns)


def _headed(one: Beside) -> str:
    return f"{one.metric} ({one.unit})" if one.unit else one.metric


def _with_spread(value: tuple[float, float | None], digits: int) -> str:
    spread = f" ± {number(value[1], digits)}" if value[1] is not None else ""
    return f"{number(value[0], digits)}{spread}"


def _beside_all(found: Ranking, letters: Sequence[str], width: int) -> Iterator[str]:
    """What each of several invents, where all of them were measured with it; a row a model."""
    first = found.others[0]
    columns = [Column("beside it", list(letters), 0, left=True)]
    for place, one in enumerate(first.beside):
        theirs = [b for other in found.others for b in other.beside if b.metric == one.metric]
        if len(theirs) == len(found.others):
            cells = [_with_spread(value, one.digits) for value in (one.b, *(b.a for b in theirs))]
            columns.append(Column(_headed(one), cells, 1 + place, 1))
    if len(columns) > 1:
        yield from ("", *fitted(columns, width, "--json has all"))


def _effect(found: Comparison) -> str:
    """Both effect sizes in words."""
    rank, standard = found.effect.rank_biserial, found.effect.standardised
    return f"rank-biserial {number(rank, 2, sign=True)}, Cohen's d of pairs {number(standard, 2, sign=True)}"


def render_ranking(found: Ranking, width: int) -> str:
    """Several models, best first, each against the best; then their scores image by image, as far as there is room."""
    one = found.others[0]
    digits = one.digits + 1
    names = [found.best, *(other.a for other in found.others)]
    letters = [string.ascii_uppercase[i] if i < 26 else f"A{i}" for i in range(len(names))]
    others = found.others
    columns = [
        Column("", letters, 0, left=True),
        Column("model", names, 1, left=True),
        Column(one.metric.upper(), [number(value, digits) for value in (one.mean_b, *(o.mean_a for o in others))], 2),
        Column("to A", ["", *(number(o.difference, digits, sign=True) for o in others)], 3),
        Column("95 %", ["", *(interval(o.interval, digits, sign=True) for o in others)], 4),
        Column("p (Holm)", ["", *(f"{p:.2g}" for p in found.holm)], 5),
        Column("won/lost/equal", ["", *(f"{o.wins}/{o.losses}/{o.ties}" for o in others)], 6, 2),
        Column("d", ["", *(number(o.effect.standardised, 2, sign=True) for o in others)], 7, 3),
        Column("needs", ["", *(_needs(o) for o in others)], 8, 1),
    ]
    text = [
        _title(one),
        *fitted(columns, width, "--json has all"),
        "",
        *_images(found, letters, width),
        *_beside_all(found, letters, width),
        "",
        _verdict(found),
    ]
    if columns[-1] in fitting(columns, width) and any(o.power and not o.power.enough for o in others):
        text.append(f"needs: images that would tell it from A (80 % power, after Holm); there are {len(one.images)}")
    return "\n".join(text) + "\n"


def _needs(found: Comparison) -> str:
    """How many images the comparison needs."""
    if found.power is None:
        return NONE
    return str(found.power.needed) if found.power.needed else f"> {MOST_IMAGES}"


def _images(found: Ranking, letters: Sequence[str], width: int) -> Iterator[str]:
    one = found.others[0]
    digits = one.digits + 1
    by_name = [{name: x for name, x, _ in other.images} for other in found.others]
    columns = [Column("image", [name for name, _, _ in one.images], 0, left=True)]
    columns.append(Column(letters[0], [number(best, digits) for _, _, best in one.images], 1))
    for letter, scores in zip(letters[1:], by_name, strict=True):
        columns.append(Column(letter, [number(scores[name], digits) for name, _, _ in one.images], 2))
    shown: list[Column] = []
    for column in columns:
        if sum(c.width + 2 for c in shown) + column.width <= width or len(shown) < 2:
            shown.append(column)
    yield from lines(shown)
    if len(shown) < len(columns):
        yield f"{len(columns) - len(shown)} more models in a wider terminal, or with --json"


def _verdict(found: Ranking) -> str:
    """Which models the best is told apart from, allowing for the number of tests."""
    one = found.others[0]
    if one.least_p > 0.05:
        return f"{len(one.images)} images cannot tell any two models apart: the least p is {one.least_p:.3g}"
    alike = [other.a for other, p in zip(found.others, found.holm, strict=True) if p > 0.05]
    if not alike:
        return f"{found.best} is better than all the others (p ≤ .05 after Holm)"
    return f"not told apart from {found.best} (p > .05 after Holm): {', '.join(alike)}"


def _title(one: Comparison) -> str:
    unit = f" ({one.unit})" if one.unit else ""
    return (
        f"{one.metric.upper()}{unit} on {one.dataset} x{one.scale}, {one.protocol}, {counted(len(one.images), 'image')}"
    )
