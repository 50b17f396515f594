"""The table of an ablation: cells that differ in their seed alone are one row, with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench import markdown as md
from srbench.errors import InputError
from srbench.files import write_text
from srbench.records import read_json, unseal, write_json
from srbench.training.after.ablate import SCORES, AblationOutcome

if TYPE_CHECKING:
    import pandas as pd

Scores = Sequence[Sequence[float]]
Test = Callable[[Scores, Scores], float | None]
"""Two-sided p of the scores ``(seeds, images)`` of two rows on the same images; None where there are too few seeds to tell."""


@dataclass(frozen=True)
class Measured:
    """What a table needs of a cell. What has no number is None.

    Attributes:
        values: what distinguishes it from others, seed included.
        psnr: validation PSNR (dB) of the weights that were kept.
        lpips: validation LPIPS of them, of an adversarial run.
        lattice: lattice (dB) of them, of an adversarial run.
        each: PSNR (dB) of each validation image; empty where a card does not tell them apart.
        minutes: of training.
        steps: of training.
        reason: why there is no number.
        parent: the checkpoint that training started from, "" for none.
        start: the scores before the first step, by their names in a curve.
    """

    values: dict[str, str]
    psnr: float | None = None
    lpips: float | None = None
    lattice: float | None = None
    each: tuple[float, ...] = ()
    minutes: float = math.nan
    steps: float = math.nan
    reason: str = ""
    parent: str = ""
    start: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AblationRow:
    """Cells that differ in their seed alone. What has no number is NaN.

    Attributes:
        values: what tells the row from others; at least recipe and model.
        val_psnr: mean over seeds of the validation PSNR (dB) of the weights that were kept.
        val_lpips: mean over seeds of their validation LPIPS, of adversarial runs.
        lpips_spread: largest LPIPS minus smallest.
        val_lattice: mean over seeds of their lattice (dB), of adversarial runs.
        spread: largest PSNR minus smallest; NaN for one seed.
        seeds: how many are trained.
        of: how many are planned.
        behind: how much lower (dB) than the first row of those it is compared with, the mean of the differences image by
            image; NaN where cards do not tell the images apart, or where nothing was tested.
        p: of the test over seeds and images; NaN below three seeds on either side.
        minutes: mean.
        steps: mean.
        note: why cells have no number.
        each: PSNR (dB) of each seed's validation images ``(seeds, images)``; empty where cards do not tell the images apart.
        parent: the checkpoint that training started from, "" for none.
        start: the scores before the first step, by their names in a curve; of the first seed that has them.
    """

    values: dict[str, str]
    val_psnr: float
    val_lpips: float
    lpips_spread: float
    val_lattice: float
    spread: float
    seeds: int
    of: int
    minutes: float
    steps: float
    note: str
    each: tuple[tuple[float, ...], ...]
    parent: str
    start: dict[str, float]
    behind: float = math.nan
    p: float = math.nan


def make_rows(
    found: Sequence[AblationOutcome | Measured], test: Test | None = None, within: Sequence[str] = ()
) -> list[AblationRow]:
    """One row a combination, best mean first (by LPIPS where every row has one), those without a number last.

    Args:
        found: the cells.
        test: of each row against the first of those it is compared with.
        within: values that rows which are compared have in common; such rows stand together.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Measured]] = {}
    for one in found:
        cell = one if isinstance(one, Measured) else measured(one)
        key = tuple((name, value) for name, value in cell.values.items() if name != "seed")
        groups.setdefault(key, []).append(cell)
    rows = [_row(dict(key), group) for key, group in groups.items()]
    by_lpips = all(not math.isnan(row.val_lpips) for row in rows)
    rows.sort(key=lambda row: (math.isnan(row.val_psnr), row.val_lpips if by_lpips else -row.val_psnr))
    together: dict[tuple[str, ...], list[AblationRow]] = {}
    for row in rows:
        together.setdefault(tuple(row.values[name] for name in within if name in row.values), []).append(row)
    return [
        one for first, *others in together.values() for one in (first, *(_compared(row, first, test) for row in others))
    ]


def measured(outcome: AblationOutcome) -> Measured:
    """What became of a cell, for a table."""
    card = outcome.card
    if card is None:
        return Measured(outcome.cell.values, reason=outcome.reason)
    lpips, lattice = (
        next((point[name] for point in reversed(card.curve) if name in point), None)
        for name in ("val_lpips", "val_lattice")
    )
    return Measured(
        outcome.cell.values,
        outcome.psnr,
        lpips,
        lattice,
        tuple(card.val_each),
        card.wall_time_s / 60,
        card.steps,
        parent=outcome.cell.recipe.init_from,
        start=outcome.start,
    )


def stored(path: Path) -> tuple[list[Measured], tuple[str, ...]]:
    """The cells of a table that was written before, with its checksum tested, and what compared rows have in common.

    Raises:
        InputError: no such table, or a damaged one.
    """
    held = unseal(read_json(path, "a table of an ablation"), path)
    known = {"recipe": "", "model": ""}
    cells = []
    for cell in held.get("cells", []):
        if not isinstance(cell, dict) or not isinstance(cell.get("recipe"), dict):
            raise InputError(f"{path} is no table of an ablation: a cell has no recipe")
        named = {key: str(value) for key, value in cell.items() if key not in _FACTS}
        values = {**known, "recipe": str(cell["recipe"].get("name", "")), **named}
        values.setdefault("seed", str(cell["recipe"].get("seed", 0)))
        cells.append(
            Measured(
                values,
                cell["val_psnr"],
                cell.get("val_lpips"),
                cell.get("val_lattice"),
                tuple(cell["val_each"]),
                math.nan if cell["minutes"] is None else cell["minutes"],
                math.nan if cell["steps"] is None else cell["steps"],
                cell["reason"],
                str(cell["recipe"].get("init_from", "")),
                cell.get("start", {}),
            )
        )
    return cells, tuple(held.get("within", ()))


_FACTS = {*SCORES, "checkpoint", "minutes", "steps", "val_each", "reason", "recipe", "start"}
"""What is stored of a cell besides the values that distinguish it."""


def _row(values: dict[str, str], group: Sequence[Measured]) -> AblationRow:
    done = [cell for cell in group if cell.psnr is not None]
    scores = [cell.psnr for cell in done if cell.psnr is not None]
    lpips = [cell.lpips for cell in done if cell.lpips is not None]
    lattice = [cell.lattice for cell in done if cell.lattice is not None]
    failed = {
        f"seed {cell.values['seed']}: {cell.reason}" for cell in group if cell.psnr is None and cell.reason != "missing"
    }
    same = len({len(cell.each) for cell in done}) == 1 and bool(done[0].each)
    return AblationRow(
        values=values,
        val_psnr=_mean(scores),
        val_lpips=_mean(lpips),
        lpips_spread=_spread(lpips),
        val_lattice=_mean(lattice),
        spread=_spread(scores),
        seeds=len(scores),
        of=len(group),
        minutes=_mean([cell.minutes for cell in done]),
        steps=_mean([cell.steps for cell in done]),
        note="; ".join(sorted(failed)),
        each=tuple(cell.each for cell in done) if same else (),
        parent=group[0].parent,
        start=next((cell.start for cell in done if cell.start), {}),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values) if len(values) > 1 else math.nan


def _compared(row: AblationRow, best: AblationRow, test: Test | None) -> AblationRow:
    if test is None or not best.each or not row.each or len(row.each[0]) != len(best.each[0]):
        return row
    gaps = [_mean(a) - _mean(b) for a, b in zip(zip(*best.each, strict=True), zip(*row.each, strict=True), strict=True)]
    p = test(best.each, row.each)
    return replace(row, behind=_mean(gaps), p=math.nan if p is None else p)


# Heading, alignment, format and value of each column beside the values that rows differ in.
_COLUMNS: dict[str, tuple[str, Callable[[AblationRow], float | int | str]]] = {
    "val_psnr": ("{:.3f}", lambda row: row.val_psnr),
    "val_lpips": ("{:.4f}", lambda row: row.val_lpips),
    "lpips_spread": ("{:.4f}", lambda row: row.lpips_spread),
    "val_lattice": ("{:.2f}", lambda row: row.val_lattice),
    "spread": ("{:.3f}", lambda row: row.spread),
    "seeds": ("{}", lambda row: row.seeds),
    "of": ("{}", lambda row: row.of),
    "behind": ("{:.3f}", lambda row: row.behind),
    "p": ("{:.3f}", lambda row: row.p),
    "minutes": ("{:.1f}", lambda row: row.minutes),
    "steps": ("{:.0f}", lambda row: row.steps),
    "note": ("{}", lambda row: row.note),
}
_SMALL = 0.001  # a smaller p is not told, as the tests' approximations are no better
_OPTIONAL = ("val_lpips", "lpips_spread", "val_lattice", "behind", "p", "note")  # shown where some row has one


def make_table(found: Sequence[AblationOutcome], test: Test | None = None) -> pd.DataFrame:
    """The rows of :func:`make_rows` as a table: what they differ in, then the numbers of :class:`AblationRow` and its note.

    Args:
        found: the cells.
        test: of each row against the first.
    """
    import pandas as pd

    return pd.DataFrame([_record(row) for row in make_rows(found, test)])


def _record(row: AblationRow) -> dict[str, float | int | str]:
    return {**row.values, **{name: value(row) for name, (_, value) in _COLUMNS.items()}}


def markdown(rows: Sequence[AblationRow]) -> str:
    """The rows in markdown; PSNR and spread with two digits more than an image viewer sees."""
    shown = [name for name in _COLUMNS if name not in _OPTIONAL or any(not _is_empty(row, name) for row in rows)]
    varied = list(rows[0].values) if rows else ["recipe", "model"]
    lines = [[*(str(row.values[name]) for name in varied), *(_cell(row, name) for name in shown)] for row in rows]
    align = "l" * len(varied) + "".join("l" if name == "note" else "r" for name in shown)
    return md.table([*varied, *shown], lines, align)


def _is_empty(row: AblationRow, name: str) -> bool:
    value = _COLUMNS[name][1](row)
    return value == "" or value != value


def _cell(row: AblationRow, name: str) -> str:
    form, value = _COLUMNS[name][0], _COLUMNS[name][1](row)
    if name == "p" and float(value) <= _SMALL:
        return f"≤ {_SMALL}"
    return "–" if value != value else form.format(value)


def as_json(found: Sequence[AblationOutcome], test: Test | None = None, within: Sequence[str] = ()) -> dict[str, Any]:
    """Rows of the table, and each cell with its values, full precision; what has no number is null."""
    rows = [
        {key: None if value != value else value for key, value in _record(row).items()}
        for row in make_rows(found, test, within)
    ]
    cells = [
        {
            "checkpoint": outcome.cell.checkpoint,
            **outcome.cell.values,
            "val_psnr": outcome.psnr if outcome.card else None,
            **_adversarial(measured(outcome)),
            "minutes": outcome.card.wall_time_s / 60 if outcome.card else None,
            "steps": outcome.card.steps if outcome.card else None,
            "val_each": outcome.card.val_each if outcome.card else [],
            "reason": outcome.reason,
            **({"start": outcome.start} if outcome.start else {}),
            "recipe": outcome.cell.recipe.model_dump(mode="json"),
        }
        for outcome in found
    ]
    return {**({"within": list(within)} if within else {}), "rows": rows, "cells": cells}


def _adversarial(cell: Measured) -> dict[str, float]:
    found = {"val_lpips": cell.lpips, "val_lattice": cell.lattice}
    return {name: value for name, value in found.items() if value is not None}


def write_table(
    folder: Path,
    title: str,
    found: Sequence[AblationOutcome],
    test: Test | None = None,
    within: Sequence[str] = (),
) -> Path:
    """``table.md`` and ``table.json`` in the ablation's folder, each replaced whole; the path of the first.

    Args:
        folder: of the ablation.
        title: heads the table.
        found: the cells.
        test: of each row against the first of those it is compared with.
        within: values that rows which are compared have in common.
    """
    write_json(folder / "table.json", as_json(found, test, within), indent=2)
    write_text(folder / "table.md", page(title, make_rows(found, test, within), within))
    return folder / "table.md"


def page(title: str, rows: Sequence[AblationRow], within: Sequence[str] = ()) -> str:
    """A table in markdown with its heading and what its columns mean; where cells have a parent, its scores."""
    same = f" of the same {' and '.join(within)}" if within else ""
    adversarial = any(not _is_empty(row, "val_lpips") for row in rows)
    return (
        f"# {title}\n\nMean PSNR (dB, Y) on validation images of the weights that were kept; spread: largest minus smallest "
        f"over seeds; behind: mean difference (dB) from the first row{same} on the same images; p: of a test over seeds and "
        f"images (srbench.stats.seeded_difference), for rows of three seeds or more.{_ADVERSARIAL if adversarial else ''}\n\n"
        f"{markdown(rows)}{_parents(rows)}"
    )


_ADVERSARIAL = (
    " Rows are in the order of LPIPS, with its spread between seeds; lattice: dB over neighbouring frequencies. "
    "The p is of PSNR, which adversarial terms lower."
)


def _parents(rows: Sequence[AblationRow]) -> str:
    parents = {row.parent: row.start for row in reversed(rows) if row.parent and row.start}
    return "".join(
        f"\nBefore the first step, {parent}: "
        + ", ".join(f"{name} {_COLUMNS[name][0].format(start[name])}" for name in SCORES if name in start)
        + ".\n"
        for parent, start in sorted(parents.items())
    )
