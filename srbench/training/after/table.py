"""The table of an ablation: cells that differ in their seed alone are one row, with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench import markdown as md
from srbench.files import write_text
from srbench.records import write_json
from srbench.training.after.ablate import AblationOutcome

if TYPE_CHECKING:
    import pandas as pd

Test = Callable[[Sequence[float], Sequence[float]], float]
"""Two-sided p of paired scores ``(n,)``, ``(n,)``, such as ``srbench.stats.paired_test``."""


@dataclass(frozen=True)
class AblationRow:
    """Cells that differ in their seed alone. What has no number is NaN.

    Attributes:
        values: what tells the row from others; at least recipe and model.
        val_psnr: mean over seeds of the validation PSNR (dB) of the weights that were kept.
        spread: largest minus smallest; NaN for one seed.
        seeds: how many are trained.
        of: how many are planned.
        behind: how much lower (dB) than the first row, the mean of the differences image by image; NaN where cards do not
            tell the images apart, or where nothing was tested.
        p: the paired test of these differences.
        minutes: mean.
        steps: mean.
        note: why cells have no number.
        each: PSNR (dB) of each validation image, the mean over seeds; empty where cards do not tell the images apart.
    """

    values: dict[str, str]
    val_psnr: float
    spread: float
    seeds: int
    of: int
    minutes: float
    steps: float
    note: str
    each: tuple[float, ...]
    behind: float = math.nan
    p: float = math.nan


def make_rows(found: Sequence[AblationOutcome], test: Test | None = None) -> list[AblationRow]:
    """One row a combination, best mean first, those without a number last.

    Args:
        found: the cells.
        test: of each row against the first.
    """
    groups: dict[tuple[tuple[str, str], ...], list[AblationOutcome]] = {}
    for outcome in found:
        key = tuple((name, value) for name, value in outcome.cell.values.items() if name != "seed")
        groups.setdefault(key, []).append(outcome)
    rows = [_row(dict(key), group) for key, group in groups.items()]
    rows.sort(key=lambda row: (math.isnan(row.val_psnr), -row.val_psnr))
    return [rows[0], *(_compared(row, rows[0], test) for row in rows[1:])] if rows else []


def _row(values: dict[str, str], group: Sequence[AblationOutcome]) -> AblationRow:
    cards = [outcome.card for outcome in group if outcome.card]
    scores = [outcome.psnr for outcome in group if outcome.card]
    failed = {f"seed {o.cell.values['seed']}: {o.reason}" for o in group if not o.card and o.reason != "missing"}
    images = [card.val_each for card in cards]
    same = len({len(scores) for scores in images}) == 1
    return AblationRow(
        values=values,
        val_psnr=sum(scores) / len(scores) if scores else math.nan,
        spread=max(scores) - min(scores) if len(scores) > 1 else math.nan,
        seeds=len(scores),
        of=len(group),
        minutes=sum(c.wall_time_s for c in cards) / 60 / len(cards) if cards else math.nan,
        steps=sum(c.steps for c in cards) / len(cards) if cards else math.nan,
        note="; ".join(sorted(failed)),
        each=tuple(math.fsum(column) / len(column) for column in zip(*images, strict=True)) if same else (),
    )


def _compared(row: AblationRow, best: AblationRow, test: Test | None) -> AblationRow:
    if test is None or not best.each or len(row.each) != len(best.each):
        return row
    gaps = [a - b for a, b in zip(best.each, row.each, strict=True)]
    return replace(row, behind=math.fsum(gaps) / len(gaps), p=test(best.each, row.each))


# Heading, alignment, format and value of each column beside the values that rows differ in.
_COLUMNS: dict[str, tuple[str, Callable[[AblationRow], float | int | str]]] = {
    "val_psnr": ("{:.3f}", lambda row: row.val_psnr),
    "spread": ("{:.3f}", lambda row: row.spread),
    "seeds": ("{}", lambda row: row.seeds),
    "of": ("{}", lambda row: row.of),
    "behind": ("{:.3f}", lambda row: row.behind),
    "p": ("{:.3f}", lambda row: row.p),
    "minutes": ("{:.1f}", lambda row: row.minutes),
    "steps": ("{:.0f}", lambda row: row.steps),
    "note": ("{}", lambda row: row.note),
}
_OPTIONAL = ("behind", "p", "note")  # shown where some row has one


def make_table(found: Sequence[AblationOutcome], test: Test | None = None) -> pd.DataFrame:
    """The rows of :func:`make_rows` as a table: what they differ in, then the fields of :class:`AblationRow` but ``each``.

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
    return "–" if value != value else form.format(value)


def as_json(found: Sequence[AblationOutcome], test: Test | None = None) -> dict[str, Any]:
    """Rows of the table, and each cell with its values, full precision; what has no number is null."""
    rows = [
        {key: None if value != value else value for key, value in _record(row).items()}
        for row in make_rows(found, test)
    ]
    cells = [
        {
            "checkpoint": outcome.cell.checkpoint,
            **outcome.cell.values,
            "val_psnr": outcome.psnr if outcome.card else None,
            "minutes": outcome.card.wall_time_s / 60 if outcome.card else None,
            "steps": outcome.card.steps if outcome.card else None,
            "val_each": outcome.card.val_each if outcome.card else [],
            "reason": outcome.reason,
            "recipe": outcome.cell.recipe.model_dump(mode="json"),
        }
        for outcome in found
    ]
    return {"rows": rows, "cells": cells}


def write_table(folder: Path, title: str, found: Sequence[AblationOutcome], test: Test | None = None) -> Path:
    """``table.md`` and ``table.json`` in the ablation's folder, each replaced whole; the path of the first.

    Args:
        folder: of the ablation.
        title: heads the table.
        found: the cells.
        test: of each row against the first.
    """
    text = (
        f"# {title}\n\nMean PSNR (dB, Y) on validation images of the weights that were kept; spread: largest minus smallest "
        f"over seeds; behind: mean difference (dB) from the first row on the same images; p: paired Wilcoxon test of it.\n\n"
        f"{markdown(make_rows(found, test))}"
    )
    write_json(folder / "table.json", as_json(found, test), indent=2)
    write_text(folder / "table.md", text)
    return folder / "table.md"
