"""Which file of reports/ holds what, how it is written, and whether it is stale; likewise the generated parts of both READMEs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from srbench.errors import InputError
from srbench.files import write_text
from srbench.home import home
from srbench.reports.aims import read_aims, render_aims, render_games
from srbench.reports.html import render_html
from srbench.reports.leaderboard import Table, build_leaderboard
from srbench.reports.markdown import render_excerpt, render_leaderboard
from srbench.reports.order import render_order
from srbench.reports.plots import plan
from srbench.reports.speed import leaderboard_columns, render_speed
from srbench.reports.training import render_curves
from srbench.reports.view import NONE, view
from srbench.results import Result, read_results
from srbench.speed_results import read_speeds
from srbench.zoo import list_checkpoints

START, END = "<!-- leaderboard:start -->", "<!-- leaderboard:end -->"
CURVES = "<!-- curves:start -->", "<!-- curves:end -->"
ORDER = "<!-- order:start -->", "<!-- order:end -->"
AIMS = "<!-- aims:start -->", "<!-- aims:end -->"
GAMES = "<!-- games:start -->", "<!-- games:end -->"


def write_reports(
    results: Iterable[Result] | None = None, root: Path | None = None, redraw: bool = False
) -> list[Path]:
    """Render everything and replace what changed, each file in one step.

    Args:
        results: all records; those of results/ by default.
        root: the folder that holds reports/ and README.md; home by default.
        redraw: draw the figures even where no text changed and all are there; drawing takes longer than all the rest.

    Returns:
        The files that were written; README.md and zoo/README.md only where they have their two marks.
    """
    root = root or home()
    found = read_results(root / "results") if results is None else list(results)
    tables = _tables(found, root)
    changed = {path: text for path, text in _texts(tables, found, root).items() if _read(path) != text}
    drawn = {_figures(root) / plot.file: plot for plot in plan(tables)}
    if changed or redraw or not all(path.is_file() for path in drawn):
        figures = {path: plot.draw() for path, plot in drawn.items()}
        changed |= {path: text for path, text in figures.items() if _read(path) != text}
        for path in [*_figures(root).glob("*_parameters.svg"), *_figures(root).glob("*_images.svg")]:
            if path not in drawn:
                path.unlink()
    for path, text in changed.items():
        write_text(path, text)
    return list(changed)


def stale_files(results: Iterable[Result] | None = None, root: Path | None = None) -> list[Path]:
    """The generated files that are missing, and the texts that differ from what ``write_reports`` would write.

    Figures are not compared: another version of matplotlib draws other bytes.
    """
    root = root or home()
    found = read_results(root / "results") if results is None else list(results)
    tables = _tables(found, root)
    texts = [path for path, text in _texts(tables, found, root).items() if _read(path) != text]
    figures = [_figures(root) / plot.file for plot in plan(tables)]
    return texts + [path for path in figures if not path.is_file()]


def _tables(results: Iterable[Result] | None, root: Path) -> list[Table]:
    found = read_results(root / "results") if results is None else results
    return build_leaderboard(found, leaderboard_columns(read_speeds(root / "results")))


def _figures(root: Path) -> Path:
    return root / "reports" / "figures"


def _texts(tables: list[Table], results: list[Result], root: Path) -> dict[Path, str]:
    """Every generated text by its path."""
    figures = [(plot.file, plot.caption) for plot in plan(tables)]
    files = {
        root / "reports" / "leaderboard.md": render_leaderboard(tables),
        root / "reports" / "index.html": render_html(tables, figures),
    }
    cards = list_checkpoints(root=root / "zoo")
    if speeds := read_speeds(root / "results"):
        weights = {card.name: card.sha256 for card in cards}
        files[root / "reports" / "speed.md"] = render_speed(speeds, weights)
    readme = root / "README.md"
    text = _read(readme)
    if text is not None and START in text:
        files[readme] = _with_excerpt(text, render_excerpt(tables), readme, (START, END))
    trained = root / "zoo" / "README.md"
    text = _read(trained)
    if text is not None and any(marks[0] in text for marks in (CURVES, ORDER, AIMS, GAMES)):
        parts = {
            CURVES: render_curves(cards),
            ORDER: render_order(cards, results),
            AIMS: render_aims(read_aims(root / "zoo" / "aims.toml"), cards, results),
            GAMES: render_games(cards, results),
        }
        for marks, part in parts.items():
            text = _with_excerpt(text, part, trained, marks) if marks[0] in text else text
        files[trained] = text
    return files


def leaderboard_rows(results: Iterable[Result] | None = None) -> list[dict[str, Any]]:
    """The leaderboard's rows, unrounded, for JSON: missing values are None, infinity is ``"inf"``."""
    rows = []
    for table in _tables(results, home()):
        for row in table.records:
            place = {"dataset": table.dataset, "scale": table.scale}
            rows.append(place | {key: plain(value) for key, value in row.items()})
    return rows


def print_leaderboard(results: Iterable[Result] | None = None) -> None:
    """The leaderboard on the terminal, a table a dataset, scale and protocol."""
    from rich.console import Console
    from rich.table import Table as Grid

    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=240, markup=False)
    for table in _tables(results, home()):
        shown = view(table)
        grid = Grid(title=f"{shown.title}: {shown.remark}", title_justify="left", box=None, pad_edge=False)
        for head in shown.heads[:-1]:
            left = head in ("checkpoint", "trained on")
            grid.add_column(head, justify="left" if left else "right", overflow="fold")
        blank = {"no_weights", "unsupported_protocol"}  # whole rows without a number: named once below, not a line each
        for row in shown.rows:
            if row[1].mark != "published only" and not (row[0].text == NONE and blank & {cell.text for cell in row}):
                grid.add_row(*(" ".join(filter(None, (c.text, c.interval, c.mark))) for c in row[:-1]))
        console.print(grid)
        for who, status, why in shown.reasons:
            if status not in blank:
                console.print(f"{who}: {status}, {why}", highlight=False)
        for status in sorted(blank):
            if lacking := [who for who, found, _ in shown.reasons if found == status]:
                console.print(f"{status}: {', '.join(lacking)}", highlight=False)
        console.print()


def _with_excerpt(text: str, excerpt: str, readme: Path, marks: tuple[str, str]) -> str:
    before, _, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise InputError(f"{readme} has {marks[0]} without {marks[1]} after it")
    return f"{before}{marks[0]}\n{excerpt}{end}{after}"


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a UTF-8 text") from None


def plain(value: Any) -> Any:
    """A value as JSON has it: a missing one is None, infinity is ``"inf"``."""
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
