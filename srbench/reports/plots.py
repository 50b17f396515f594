"""Figures: quality against size, and every image's difference from bicubic. SVG without a date in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.reports.leaderboard import Table
from srbench.reports.view import is_number, label, protocol_name, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE: dict[str, Any] = {
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
        stem = f"{table.dataset}_x{table.scale}_{protocol_name(table)}".replace("/", "-")
        metric = table.primary.upper()
        if len(_networks(table)) > 1:
            caption = f"{title(table)}: {metric} against parameters"
            plots.append(Plot(f"{stem}_parameters.svg", caption, partial(quality_against_size, table)))
        scores = table.by_image
        if scores.shape[1] > 1 and np.isfinite(scores.to_numpy()).all():
            caption = f"{title(table)}: {metric} of each image minus {_names(table)[_base(table)]}"
            plots.append(Plot(f"{stem}_images.svg", caption, partial(gain_by_image, table)))
    return plots


def quality_against_size(table: Table) -> str:
    """The primary metric's mean over the number of parameters, on a logarithmic axis, as SVG.

    Interpolators, which have none, are horizontal lines.
    """
    m = table.primary
    with _style():
        figure, axes = _figure(6.4, 4.2)
        for row in table.records:
            if row["kind"] == "interpolator" and is_number(row["rank"]) and np.isfinite(row[m]):
                axes.axhline(row[m], color="0.6", linewidth=0.8)
                place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
                axes.annotate(row["checkpoint"], (0.995, row[m]), **place)
        for row in _networks(table):
            axes.plot(row["parameters"], row[m], "o", color="C0", markersize=5)
            axes.annotate(label(row), (row["parameters"], row[m]), xytext=(5, 4), textcoords="offset points")
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.15)
        axes.set_xlabel("parameters")
        axes.set_ylabel(_axis(table))
        axes.set_title(f"{title(table)}, {table.images} images", loc="left", fontsize=9)
        return _svg(figure)


def gain_by_image(table: Table) -> str:
    """Each image's difference between a model and bicubic (else the last ranked row), as SVG: what the paired test sees.

    The eight best rows are drawn.
    """
    scores, base, names = table.by_image, _base(table), _names(table)
    places = np.arange(len(scores))
    with _style():
        figure, axes = _figure(max(5.0, min(12.0, 4.0 + 0.3 * len(scores))), 4.2)
        for key in [key for key in _keys(table) if key != base][:_MOST_LINES]:
            gain = scores[key].to_numpy() - scores[base].to_numpy()
            axes.plot(places, gain, "o-", markersize=4, linewidth=0.8, label=names[key])
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_xlim(-0.5, len(scores) - 0.5)
        if len(scores) <= 30:
            axes.set_xticks(places, [str(name) for name in scores.index], rotation=60, ha="right")
        else:
            axes.set_xlabel("image")
        axes.set_ylabel(f"{_axis(table)} minus {names[base]}")
        axes.set_title(title(table), loc="left", fontsize=9)
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _svg(figure)


def _networks(table: Table) -> list[dict[str, Any]]:
    """Ranked rows with a finite mean and parameters to count."""
    rows = [row for row in table.records if is_number(row["rank"]) and np.isfinite(row[table.primary])]
    return [row for row in rows if is_number(row["parameters"]) and row["parameters"] > 0]


def _names(table: Table) -> dict[tuple[str, str], str]:
    return {(row["checkpoint"], row["variant"]): label(row) for row in table.records}


def _keys(table: Table) -> list[tuple[str, str]]:
    return [(str(key[0]), str(key[1])) for key in table.by_image.columns]


def _base(table: Table) -> tuple[str, str]:
    keys = _keys(table)
    return ("bicubic", "") if ("bicubic", "") in keys else keys[-1]


def _axis(table: Table) -> str:
    unit = next((info.unit for info in table.metrics if info.name == table.primary), "")
    return table.primary.upper() + (f" ({unit})" if unit else "")


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
