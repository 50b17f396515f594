"""The figures of README.md and leaderboard.md: quality against parameters and against latency, with the Pareto front.

SVG without a date or a random id in it. Its colours follow a reader's dark theme where the viewer knows of it, the ground among
them: a figure stands on pages that do not follow that theme, and text of the one on the ground of the other cannot be read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from srbench.reports.tables.overview import DATASETS, REFERENCE, best_rows, family_mean
from srbench.reports.tables.rows import Row, Table
from srbench.reports.units import amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Light colours, and what they become in the dark; each stands for one thing alone, so that it can be found in the file.
_TEXT, _SOFT, _LINE, _FRONT = "#1f2328", "#59636e", "#d1d9e0", "#8c959f"
_NETWORK, _ADVERSARIAL, _OTHER = "#1f5fbf", "#b4500f", "#7b8490"
_GROUND = "#ffffff"
_DARK = {
    _TEXT: "#e6edf3",
    _SOFT: "#9da7b1",
    _LINE: "#30363d",
    _FRONT: "#6e7781",
    _NETWORK: "#82b1ff",
    _ADVERSARIAL: "#f2a45c",
    _OTHER: "#8f99a6",
    _GROUND: "#14171b",
}
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "srbench",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "grid.color": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
}
_FEWEST = 3  # points that a figure needs
_SCALE, _PROTOCOL = 4, "standard"


@dataclass(frozen=True)
class Point:
    """One network in a figure."""

    name: str
    cost: float
    quality: float
    colour: str


@dataclass(frozen=True)
class Plot:
    """A figure to be drawn: its file's name, what it shows, and ``draw() → SVG``."""

    file: str
    caption: str
    draw: Callable[[], str]


def plan(tables: Sequence[Table]) -> list[Plot]:
    """Which figures there are, without drawing them: what has fewer than three networks has none."""
    table = _table(tables)
    info = table.primary if table else None
    if table is None or info is None:
        return []
    costs: tuple[tuple[str, str, Callable[[Row], float | None]], ...] = (
        ("parameters", "parameters", lambda row: row.who.parameters),
        ("latency", f"latency (ms), {_device(table)}, 1280×720 output", lambda row: _latency(table, row)),
    )
    plots = []
    for name, axis, cost in costs:
        points = _points(table, cost)
        if sum(point.colour != _OTHER for point in points) >= _FEWEST:
            caption = f"{table.dataset} ×{table.scale}, {table.protocol}: {info.display} against {name}"
            plots.append(Plot(f"{name}.svg", caption, partial(_draw, table, points, axis)))
    return plots


def frontier(points: Sequence[Point], higher: bool) -> list[Point]:
    """The points that no other beats in both cost and quality, by cost."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.quality if higher else p.quality)):
        if not found or (point.quality > found[-1].quality if higher else point.quality < found[-1].quality):
            found.append(point)
    return found


def _table(tables: Sequence[Table]) -> Table | None:
    """The largest of the usual sets at the usual scale and protocol, else the first with numbers."""
    with_numbers = [table for table in tables if table.rows]
    usual = [t for t in with_numbers if t.scale == _SCALE and t.protocol_name == _PROTOCOL and t.dataset in DATASETS]
    return max(usual, key=lambda t: len(t.images)) if usual else (with_numbers[0] if with_numbers else None)


def _points(table: Table, cost: Callable[[Row], float | None]) -> list[Point]:
    info = table.primary
    found = []
    for row in best_rows(table):
        x = cost(row)
        y = family_mean(row, info.name) if info else None
        if x and y is not None and math.isfinite(y):  # an interpolator has no parameters: its place is a line
            colour = _OTHER if row.who.kind != "network" else _ADVERSARIAL if row.who.adversarial else _NETWORK
            found.append(Point(row.who.display, float(x), y, colour))
    return found


def _latency(table: Table, row: Row) -> float | None:
    speed = table.speed(row)
    return speed.latency_ms if speed else None


def _device(table: Table) -> str:
    speeds = [speed for row in table.rows if (speed := table.speed(row))]
    return speeds[0].device_text if speeds else table.device


def _draw(table: Table, points: Sequence[Point], axis: str) -> str:
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        higher = table.primary is None or table.primary.higher_is_better
        _reference(axes, table, points)
        front = frontier(points, higher)
        xs, ys = [p.cost for p in front], [p.quality for p in front]
        axes.set_xscale("log")
        axes.margins(x=0.14, y=0.1)
        for point in points:
            axes.plot(point.cost, point.quality, "o", color=point.colour, markersize=5.5, markeredgecolor="none")
        end = axes.get_xlim()[1]
        axes.plot([*xs, end], [*ys, ys[-1]], drawstyle="steps-post", color=_FRONT, linewidth=1.2, zorder=1)
        axes.set_xlim(axes.get_xlim()[0], end)
        _ticks(axes)
        _label(axes, points)
        info = table.primary
        unit = f" ({info.unit})" if info and info.unit else ""
        axes.set_xlabel(axis, loc="right")
        axes.set_ylabel(f"{info.display if info else ''}{unit}", loc="top")
        axes.set_title(
            f"{table.dataset} ×{table.scale}, {table.protocol}, {len(table.images)} images", loc="left", fontsize=9
        )
        return dark_aware(_svg(figure))


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    room = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)  # inches between text and the ground's edge
    figure = Figure(figsize=(6.8, 4.2), layout=room, facecolor=_GROUND)
    axes: Axes = figure.add_subplot()
    axes.set_facecolor("none")
    return figure, axes


def _reference(axes: Axes, table: Table, points: Sequence[Point]) -> None:
    """Bicubic as a line where it has no cost of its own."""
    row = next((row for row in table.rows if row.who.name == REFERENCE), None)
    info = table.primary
    mean = family_mean(row, info.name) if row and info else None
    if row is None or mean is None or row.who.display in {point.name for point in points}:
        return
    axes.axhline(mean, color=_OTHER, linewidth=1, linestyle=(0, (4, 3)))
    place: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "ha": "left",
        "va": "bottom",
        "fontsize": 8.5,
        "color": _OTHER,
    }
    axes.annotate(row.who.display, (0.0, mean), xytext=(4, 2), textcoords="offset points", **place)


def _ticks(axes: Axes) -> None:
    """Decades, and the 2 and 5 between them where there is room, as 10 K and not as a power."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: amount(value).replace(".0", "") if value >= 1 else f"{value:g}")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label(axes: Axes, points: Sequence[Point]) -> None:
    import textalloc

    xs, ys = [p.cost for p in points], [p.quality for p in points]
    textalloc.allocate(
        axes, xs, ys, [p.name for p in points], x_scatter=xs, y_scatter=ys, textsize=8.5, textcolor=_TEXT, linecolor=_FRONT,
        linewidth=0.6, min_distance=0.012, max_distance=0.25, avoid_label_lines_overlap=True, draw_all=True,
    )  # fmt: skip


def dark_aware(svg: str) -> str:
    """A style of the dark theme's colours for an SVG of matplotlib, which writes each colour into style attributes."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    head, mark, rest = svg.partition("<defs>")
    return f"{head}{style}\n {mark}{rest}"


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, facecolor="auto")
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
