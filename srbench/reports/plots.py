"""Figures: quality against size, and every image's difference from bicubic. SVG without a date in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.reports.tables.rows import Row, Table, finite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = {
    "svg.hashsalt": "srbench",  # ids in the file are else random
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}

_MOST_LINES = 8


@dataclass(frozen=True)
class Plot:
    """A figure to be drawn: its file's name, what it shows, and ``draw() → SVG``."""

    file: str
    caption: str
    draw: Callable[[], str]


def plan(tables: Iterable[Table]) -> list[Plot]:
    """Which figures there are, without drawing them: a table that is too small for one has none."""
    plots = []
    for table in tables:
        stem = f"{table.dataset}_x{table.scale}_{table.protocol_name}".replace("/", "-")
        if table.primary is None:
            continue
        metric = table.primary.name.upper()
        if len(_networks(table)) > 1:
            caption = f"{table.title}: {metric} against parameters"
            plots.append(Plot(f"{stem}_parameters.svg", caption, partial(quality_against_size, table)))
        ranked = _ranked(table)
        if len(ranked) > 1 and all(finite(_values(row, table)) for row in ranked):
            caption = f"{table.title}: {metric} of each image minus {_base(table).who.label}"
            plots.append(Plot(f"{stem}_images.svg", caption, partial(gain_by_image, table)))
    return plots


def quality_against_size(table: Table) -> str:
    """The primary metric's mean over the number of parameters, on a logarithmic axis, as SVG.

    Interpolators, which have none, are horizontal lines.
    """
    with _style():
        figure, axes = _figure(6.4, 4.2)
        for row in _ranked(table):
            if row.who.kind == "interpolator" and np.isfinite(_mean(row, table)):
                axes.axhline(_mean(row, table), color="0.6", linewidth=0.8)
                place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
                axes.annotate(row.who.display, (0.995, _mean(row, table)), **place)
        for row in _networks(table):
            spot = (row.who.parameters, _mean(row, table))
            axes.plot(*spot, "o", color="C0", markersize=5)
            axes.annotate(row.who.label, spot, xytext=(5, 4), textcoords="offset points")
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.15)
        axes.set_xlabel("parameters")
        axes.set_ylabel(_axis(table))
        axes.set_title(f"{table.title}, {len(table.images)} images", loc="left", fontsize=9)
        return _svg(figure)


def gain_by_image(table: Table) -> str:
    """Each image's difference between a model and bicubic (else the last ranked row), as SVG: what the paired test sees.

    The eight best rows are drawn.
    """
    base = _base(table)
    places = np.arange(len(table.images))
    with _style():
        figure, axes = _figure(max(5.0, min(12.0, 4.0 + 0.3 * len(places))), 4.2)
        for row in [row for row in _ranked(table) if row is not base][:_MOST_LINES]:
            gain = np.array(_values(row, table)) - np.array(_values(base, table))
            axes.plot(places, gain, "o-", markersize=4, linewidth=0.8, label=row.who.label)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_xlim(-0.5, len(places) - 0.5)
        if len(places) <= 30:
            axes.set_xticks(places, list(table.images), rotation=60, ha="right")
        else:
            axes.set_xlabel("image")
        axes.set_ylabel(f"{_axis(table)} minus {base.who.label}")
        axes.set_title(table.title, loc="left", fontsize=9)
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _svg(figure)


def _networks(table: Table) -> list[Row]:
    """Ranked rows with a finite mean and parameters to count."""
    return [row for row in _ranked(table) if np.isfinite(_mean(row, table)) and (row.who.parameters or 0) > 0]


def _ranked(table: Table) -> list[Row]:
    return [row for row in table.rows if row.rank is not None]


def _values(row: Row, table: Table) -> tuple[float, ...]:
    return row.scores[table.metrics[0].name].values


def _mean(row: Row, table: Table) -> float:
    mean = row.scores[table.metrics[0].name].mean
    return float("nan") if mean is None else mean


def _base(table: Table) -> Row:
    ranked = _ranked(table)
    return next((row for row in ranked if row.who.key == ("bicubic", "")), ranked[-1])


def _axis(table: Table) -> str:
    info = table.metrics[0]
    return info.name.upper() + (f" ({info.unit})" if info.unit else "")


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
