"""Which file of reports/ holds what, how it is written, and whether it is stale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from srbench.errors import InputError
from srbench.home import home
from srbench.reports.leaderboard import build_leaderboard
from srbench.reports.markdown import label, metric_title, number, remark, render_excerpt, render_leaderboard, title
from srbench.results import Result, read_results, write_text

START, END = "<!-- leaderboard:start -->", "<!-- leaderboard:end -->"


def write_reports(results: Iterable[Result] | None = None, root: Path | None = None) -> list[Path]:
    """Render everything and replace what changed, each file in one step.

    Args:
        results: all records; those of results/ by default.
        root: the folder that holds reports/ and README.md; home by default.

    Returns:
        The files that were written; README.md only where it has the two marks.
    """
    changed = {path: text for path, text in render(results, root).items() if _read(path) != text}
    for path, text in changed.items():
        write_text(path, text)
    return list(changed)


def stale_files(results: Iterable[Result] | None = None, root: Path | None = None) -> list[Path]:
    """The generated files that differ from what ``write_reports`` would write, or are missing."""
    return [path for path, text in render(results, root).items() if _read(path) != text]


def render(results: Iterable[Result] | None = None, root: Path | None = None) -> dict[Path, str]:
    """Every generated text by its path."""
    root = root or home()
    tables = build_leaderboard(read_results(root / "results") if results is None else results)
    files = {root / "reports" / "leaderboard.md": render_leaderboard(tables)}
    readme = root / "README.md"
    text = _read(readme)
    if text is not None and START in text:
        files[readme] = _with_excerpt(text, render_excerpt(tables), readme)
    return files


def leaderboard_rows(results: Iterable[Result] | None = None) -> list[dict[str, Any]]:
    """The leaderboard's rows, unrounded, for JSON: missing values are None, infinity is ``"inf"``."""
    rows = []
    for table in build_leaderboard(read_results() if results is None else results):
        for row in table.records:
            place = {"dataset": table.dataset, "scale": table.scale}
            rows.append(place | {key: _json(value) for key, value in row.items()})
    return rows


def print_leaderboard(results: Iterable[Result] | None = None) -> None:
    """The leaderboard on the terminal, a table a dataset, scale and protocol."""
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=240, markup=False)
    for table in build_leaderboard(read_results() if results is None else results):
        grid = Grid(title=f"{title(table)}: {remark(table)}", title_justify="left", box=None, pad_edge=False)
        grid.add_column("rank", justify="right")
        grid.add_column("checkpoint", overflow="fold")
        grid.add_column("parameters", justify="right")
        for info in table.metrics:
            grid.add_column(metric_title(info), justify="right")
            grid.add_column("Δ published", justify="right")
        grid.add_column("status", overflow="fold")
        for row in table.records:
            if row["status"] == "published":
                continue
            cells = ["" if _json(row["rank"]) is None else str(row["rank"]), label(row).replace("*", "")]
            cells.append("" if _json(row["parameters"]) is None else f"{row['parameters']:,}")
            for info in table.metrics:
                cells += [
                    number(row[info.name], info.digits),
                    number(row[f"{info.name}_delta"], info.digits, sign=True),
                ]
            cells.append("" if row["status"] == "ok" else f"{row['status']}: {row['reason']}")
            grid.add_row(*(cell.replace("–", "") for cell in cells))
        console.print(grid)
        console.print()


def _with_excerpt(text: str, excerpt: str, readme: Path) -> str:
    before, _, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise InputError(f"{readme} has {START} without {END} after it")
    return f"{before}{START}\n{excerpt}{END}{after}"


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a UTF-8 text") from None


def _json(value: Any) -> Any:
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
