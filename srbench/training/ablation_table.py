"""The table of an ablation: cells that differ in their seed alone are one row, with mean and spread."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.training.ablate import Outcome

if TYPE_CHECKING:
    import pandas as pd


def make_table(found: list[Outcome]) -> pd.DataFrame:
    """One row a combination, best mean first, those without a number last.

    Columns: what the combinations differ in (at least recipe and model); ``val_psnr``, the mean over seeds of the held-back
    PSNR (dB) of the weights that were kept; ``spread``, largest minus smallest (NaN for one seed); ``seeds``, how many are
    trained; ``of``, how many are planned; ``minutes`` and ``steps``, means; ``note``, why cells have no number.
    """
    import pandas as pd

    rows: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for outcome in found:
        key = tuple((name, value) for name, value in outcome.cell.values.items() if name != "seed")
        rows.setdefault(key, []).append(outcome)
    table = []
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
                "minutes": sum(c.wall_time_s for c in cards) / 60 / len(cards) if cards else float("nan"),
                "steps": sum(c.steps for c in cards) / len(cards) if cards else float("nan"),
                "note": "; ".join(sorted(failed)),
            }
        )
    return pd.DataFrame(table).sort_values("val_psnr", ascending=False, kind="stable", ignore_index=True)


def markdown(table: pd.DataFrame) -> str:
    """The table in markdown; PSNR and spread with two digits more than a picture viewer sees."""
    digits = {"val_psnr": "{:.3f}", "spread": "{:.3f}", "minutes": "{:.1f}", "steps": "{:.0f}"}
    columns = [name for name in table.columns if name != "note" or table["note"].any()]
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


def as_json(found: list[Outcome]) -> dict[str, Any]:
    """Rows of the table, and each cell with its values, full precision; what has no number is null."""
    rows = make_table(found)
    cells = [
        {
            "checkpoint": outcome.cell.checkpoint,
            **outcome.cell.values,
            "val_psnr": outcome.psnr if outcome.card else None,
            "minutes": outcome.card.wall_time_s / 60 if outcome.card else None,
            "steps": outcome.card.steps if outcome.card else None,
            "reason": outcome.reason,
            "recipe": outcome.cell.recipe.model_dump(mode="json"),
        }
        for outcome in found
    ]
    return {"rows": rows.astype(object).where(rows.notna(), None).to_dict("records"), "cells": cells}


def write_table(folder: Path, title: str, found: list[Outcome]) -> Path:
    """``table.md`` and ``table.json`` in the ablation's folder, each replaced whole; the path of the first."""
    text = (
        f"# {title}\n\nMean PSNR (dB, Y) on pictures held back from training, of the weights that were kept; spread: largest "
        f"minus smallest over seeds.\n\n{markdown(make_table(found))}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("table.json", json.dumps(as_json(found), indent=2, allow_nan=False)), ("table.md", text)):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".table-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        Path(temporary).replace(folder / name)
    return folder / "table.md"
