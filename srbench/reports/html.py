"""The leaderboard as one HTML page: sortable, light or dark, works offline, takes nothing from elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srbench.reports.tables.rows import Table
from srbench.reports.view import READING, TEXT_HEADS, protocol_lines, view


def render_html(tables: Sequence[Table], figures: Sequence[tuple[str, str]] = ()) -> str:
    """index.html.

    Args:
        tables: in the order shown.
        figures: (file name below figures/, what it shows).
    """
    views = [view(table) for table in tables]
    text: str = _template().render(
        reading=READING,
        protocols=protocol_lines(tables),
        tables=[(f"t{i}", shown) for i, shown in enumerate(views)],
        figures=figures,
        text_heads=TEXT_HEADS,
    )
    return text


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("index.html.j2")
