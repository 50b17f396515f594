"""The table of an ablation: cells that differ in their seed alone are one row, with mean and spread."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.files import write_text
from srbench.records import seal
from srbench.training.after.ablate import AblationOutcome

if TYPE_CHECKING:
    import pandas as pd

Test = Callable[[Sequence[float], Sequence[float]], float]


def make_table(found: list[AblationOutcome], test: Test | None = None) -> pd.DataFrame:
    """One row a combination, best mean first, those without a number last.

    Columns: what the combinations differ in (at least recipe and model); ``val_psnr``, the mean over seeds of the validation
    PSNR (dB) of the weights that were kept; ``spread``, largest minus smallest (NaN for one seed); ``seeds``, how many are
    trained; ``of``, how many are planned; ``behind``, how much lower than the first row, the mean of the differences image
    by image; ``p``, the paired test of these (both NaN where cards do not tell the images apart, or without ``test``);
    ``minutes`` and ``steps``, means; ``note``, why cells have no number.

    Args:
        found: the cells.
        test: gives the two-sided p of paired scores ``(n,)``, ``(n,)``, such as ``srbench.stats.paired_test``.
    """
    import pandas as pd

    rows: dict[tuple[tuple[str, str], ...], list[AblationOutcome]] = {}
    for outcome in found:
        key = tuple((name, value) for name, value in outcome.cell.values.items() if name != "seed")
        rows.setdefault(key, []).append(outcome)
    table: list[dict[str, Any]] = []
    each: list[list[float]] = []
    for key, group in rows.items():
        cards = [outcome.card for outcome in group if outcome.card]
        scores = [outcome.psnr for outcome in group if outcome.card]
        failed = {f"seed {o.cell.values['seed']}: {o.reason}" for o in group if not o.card and o.reason != "missing"}
        table.append(
            {
                **dict(key),
                "val_psnr": sum(scores) / len(scores) if scores else float("nan"),
                "spread": max(scores) - min(scores) if len(scores) > 1 else float("nan"),
                "seeds": len(scores),
                "of": len(group),
                "behind": math.nan,
                "p": math.nan,
                "minutes": sum(c.wall_time_s for c in cards) / 60 / len(cards) if cards else float("nan"),
                "steps": sum(c.steps for c in cards) / len(cards) if cards else float("nan"),
                "note": "; ".join(sorted(failed)),
            }
        )
        images = [card.val_each for card in cards]
        same = len({len(scores) for scores in images}) == 1
        each.append([math.fsum(column) / len(column) for column in zip(*images, strict=True)] if same else [])
    order = sorted(range(len(table)), key=lambda i: (math.isnan(psnr := table[i]["val_psnr"]), -psnr))
    best = each[order[0]]
    for index in order[1:]:
        if test and best and len(each[index]) == len(best):
            gaps = [a - b for a, b in zip(best, each[index], strict=True)]
            table[index] |= {"behind": math.fsum(gaps) / len(gaps), "p": test(best, each[index])}
    return pd.DataFrame([table[index] for index in order])


def markdown(table: pd.DataFrame) -> str:
    """The table in markdown; PSNR and spread with two digits more than an image viewer sees."""
    digits = {
        "val_psnr": "{:.3f}",
        "spread": "{:.3f}",
        "behind": "{:.3f}",
        "p": "{:.3f}",
        "minutes": "{:.1f}",
        "steps": "{:.0f}",
    }
    empty = {name for name in ("behind", "p") if table[name].isna().all()} | (
        {"note"} - {"note" for note in table["note"] if note}
    )
    columns = [name for name in table.columns if name not in empty]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in table.to_dict("records"):
        cells = []
        for name in columns:
            value = row[name]
            missing = isinstance(value, float) and value != value
            text = "–" if missing else digits.get(name, "{}").format(value)
            cells.append(text.replace("|", "\\|").replace("\n", " "))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_json(found: list[AblationOutcome], test: Test | None = None) -> dict[str, Any]:
    """Rows of the table, and each cell with its values, full precision; what has no number is null."""
    rows = make_table(found, test)
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
    return {"rows": rows.astype(object).where(rows.notna(), None).to_dict("records"), "cells": cells}


def write_table(folder: Path, title: str, found: list[AblationOutcome], test: Test | None = None) -> Path:
    """``table.md`` and ``table.json`` in the ablation's folder, each replaced whole; the path of the first."""
    text = (
        f"# {title}\n\nMean PSNR (dB, Y) on validation images, of the weights that were kept; spread: largest "
        f"minus smallest over seeds; behind: mean difference (dB) from the first row on the same images; p: paired Wilcoxon "
        f"test of it.\n\n{markdown(make_table(found, test))}"
    )
    values = json.dumps(seal(as_json(found, test)), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "table.json", values + "\n")
    write_text(folder / "table.md", text)
    return folder / "table.md"
