"""The leaderboard on a terminal: one table a dataset and scale, six columns that fit 80, more where it is wider."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from srbench.reports.tables.entrants import distinct_names
from srbench.reports.tables.overview import REFERENCE, best_rows, family_mean
from srbench.reports.tables.rows import MetricInfo, Row, Speed, Table
from srbench.reports.units import NONE, amount, number, share, short
from srbench.reports.view import ALIKE, NOT_MEASURED, not_asked_for, rank_text, score_cell
from srbench.stats import SMALL

MOST = 10
"""Rows of a condensed table, fewer where many tables would not fit one screen."""
_FEW = 5  # of the scale with the most rows
_FEWEST = 3  # of the others
_SCREEN = 58  # lines of all condensed tables; one of progress and one of what was written come on top

_GAP = "  "
_FIRST = ("psnr", "ssim", "lpips")
Style = Callable[[str], str]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: its name.
        cells: a text a row.
        order: where it stands, from the left.
        urgency: 0 always stands, greater ones as far as there is room.
        left: whether it is read from the left.
        best: rows whose text is the best of the column.
    """

    head: str
    cells: list[str]
    order: int
    urgency: int = 0
    left: bool = False
    best: frozenset[int] = field(default_factory=frozenset)

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max(len(text) for text in (self.head, *self.cells))


def render(
    tables: Sequence[Table],
    width: int,
    wide: bool = False,
    condense: bool = False,
    style: Style | None = None,
    asked: Collection[str] = (),
) -> str:
    """Every table as text; below them the columns that had no room, and a line a status for what has no number.

    Neither a number nor a name is ever broken; a line is longer than ``width`` only where a name leaves no room, or a metric's
    reason, which may be a command to copy.

    Args:
        tables: in the order shown.
        width: of the terminal, in characters.
        wide: every column and row there is, however wide the terminal.
        condense: the best checkpoint of each architecture, as many of them as leave all tables on one screen, at most ten; of
            the interpolators bicubic alone. The scale with the most rows shows more where there is room.
        style: makes the best of a column stand out.
        asked: metrics that the reader named, which stand before all else that needs room.
    """
    made = partial(_rendered, tables, width, wide, style=style, asked=asked)
    text = _on_one_screen(tables, made) if condense and not wide else made({})
    return "\n".join(text).rstrip("\n") + "\n" if text else ""


def _on_one_screen(tables: Sequence[Table], made: Callable[[dict[int, int]], list[str]]) -> list[str]:
    """As many rows as leave all tables on one screen; the scale with the most rows shows no fewer than the others."""
    scales = {table.scale: max(len(other.rows) for other in tables if other.scale == table.scale) for table in tables}
    largest = max(scales, key=lambda scale: scales[scale], default=0)
    for most in range(MOST, _FEWEST - 1, -1):
        rows = dict.fromkeys(scales, most) | {largest: max(most, _FEW)}
        text = made(rows)
        if len(text) <= _SCREEN:
            break
    while rows[largest] < MOST:
        rows[largest] += 1
        more = made(rows)
        if len(more) > _SCREEN:
            break
        text = more
    return text


def _rendered(
    tables: Sequence[Table],
    width: int,
    wide: bool,
    most: Mapping[int, int],
    style: Style | None,
    asked: Collection[str],
) -> list[str]:
    """The lines of ``render``; ``most`` rows of a condensed table of each scale, all of them where it says nothing."""
    text: list[str] = []
    left_out: dict[str, None] = {}
    for table in tables:
        if table.rows:
            shown, hidden = _table(table, width, wide, most.get(table.scale, 0), style, asked)
            text += [*shown, ""]
            left_out |= dict.fromkeys(hidden)
    text += _about_times(tables) if "ms" not in left_out else []
    text += not_shown(list(left_out), width, "--wide shows all")
    return [*text, *_statuses(tables, width if not wide else 10**6)]


def _about_times(tables: Sequence[Table]) -> list[str]:
    """Where times were taken, which may be another machine than the reader's, and what their mark means."""
    found = [speed for table in tables for row in table.rows if (speed := table.speed(row))]
    if not found:
        return []
    mark = "; ~: read with care" if any(speed.doubts for speed in found) else ""
    return [f"ms: one pass for 1280×720 output on {found[0].device_text}{mark}"]


def lines(columns: Sequence[Column], style: Style | None = None) -> Iterator[str]:
    """Columns side by side: a line of heads, then a line a row."""
    yield _GAP.join(_padded(column.head, column) for column in columns).rstrip()
    for i in range(len(columns[0].cells)):
        cells = [_padded(column.cells[i], column) for column in columns]
        if style:
            cells = [style(cell) if i in column.best else cell for cell, column in zip(cells, columns, strict=True)]
        yield _GAP.join(cells).rstrip()


def not_shown(heads: Sequence[str], width: int, remedy: str) -> list[str]:
    """What a reader should know who misses a column: its head, and how to see it; nothing where all are shown.

    Args:
        heads: of the columns that are left out.
        width: of the terminal, in characters; lines are no longer.
        remedy: how to see them.
    """
    if not heads:
        return []
    whole = [head.replace(" ", "\N{NO-BREAK SPACE}") for head in heads]  # an arrow stays with its metric
    text = f"not shown at {width} columns: {', '.join(whole)} ({remedy})"
    wrapped = textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]


def fitted(columns: Sequence[Column], width: int, remedy: str) -> list[str]:
    """As many columns as there is room for, and below them which have none.

    Args:
        columns: all of them.
        width: of the terminal, in characters.
        remedy: how to see the others.
    """
    shown = fitting(columns, width)
    hidden = [column.head for column in columns if column not in shown]
    return [*lines(shown), *not_shown(hidden, width, remedy)]


def _table(
    table: Table, width: int, wide: bool, most: int, style: Style | None, asked: Collection[str]
) -> tuple[list[str], list[str]]:
    """Its lines, and the heads of the columns that there is no room for."""
    rows = _condensed(table, most) if most else list(table.rows)
    columns = [c for c in _columns(table, rows, bool(most), asked) if not c.urgency or set(c.cells) != {NONE}]
    chosen = columns if wide else fitting(columns, width)
    few = "" if table.separable or len(table.rows) < 2 else f", too few to separate models ({ALIKE})"
    count = f"{len(table.images)} image{'s' if len(table.images) != 1 else ''}"
    title = f"{table.title}: {count}{few}"
    more = f"; {len(rows)} of {len(table.rows)} rows" if len(rows) < len(table.rows) else ""
    first = title + (more if len(title + more) <= width else "")
    return [first, *lines(chosen, style)], [column.head for column in columns if column not in chosen]


def _condensed(table: Table, most: int) -> list[Row]:
    """The best of each architecture, ``most`` in all, and bicubic to compare with; all rows where none has a rank."""
    best = best_rows(table)
    if not best:
        return list(table.rows)
    networks = [row for row in best if row.who.kind != "interpolator"]
    reference = [row for row in best if row.who.model == REFERENCE]
    kept = networks[: most - len(reference)] + reference if networks else best
    return [row for row in best if row in kept]


def _columns(table: Table, rows: Sequence[Row], condense: bool, asked: Collection[str]) -> Iterator[Column]:
    """Every column; ``order`` is the place on the line, ``urgency`` who stays where there is little room."""
    if not condense:  # ranks are among all rows
        yield Column("rank", [rank_text(row, table) for row in rows], 0, 4)
    yield Column("model", distinct_names([row.who for row in rows]), 1, left=True)
    yield Column("parameters", [amount(row.who.parameters) for row in rows], 2)
    if table.separable:
        yield Column("P(best)", [share(row.rank.first if row.rank else None) for row in rows], 3, 9)
    for place, info in enumerate(table.metrics):
        at = 10 + 10 * place
        yield _means(table, rows, info, at, condense, 0 if info.name in _FIRST else 1 if info.name in asked else 7)
        if any(row.scores[info.name].published for row in rows):
            published = [row.scores[info.name].published for row in rows]
            figures = [number(figure.value if figure else None, info.digits) for figure in published]
            yield Column("published", figures, at + 1, 6 if place == 0 else 10)
        beside = [_beside(row, info) for row in rows]
        if any(text not in ("", "best") for text in beside):
            yield Column(
                "± 95 %" if len(table.images) >= SMALL else "to the best", beside, at + 2, 8 if place == 0 else 11
            )
    yield from _times(table, rows)
    yield Column("training", [_minutes(row.who.minutes) for row in rows], 1004, 12)
    yield Column("trained on", [" + ".join(row.who.trained_on) or NONE for row in rows], 1005, 13, left=True)


def _beside(row: Row, info: MetricInfo) -> str:
    score = row.scores[info.name]
    few = 0 < len(score.values) < SMALL
    return "best" if few and score.behind is None else score_cell(score, info).small


def _means(table: Table, rows: Sequence[Row], info: MetricInfo, at: int, condense: bool, urgency: int) -> Column:
    cells, best = [], []
    for i, row in enumerate(rows):
        score, seeds = row.scores[info.name], row.seeds
        merged = condense and seeds is not None and info.name in seeds.mean
        text = number(family_mean(row, info.name), info.digits) if merged else score_cell(score, info).text
        if merged and seeds and info == table.primary:
            text += f" ± {number(seeds.spread[info.name], info.digits)}"
        cells.append(text)
        if score.best:
            best.append(i)
    return Column(info.display + (" ↑" if info.higher_is_better else " ↓"), cells, at, urgency, best=frozenset(best))


def _times(table: Table, rows: Sequence[Row]) -> Iterator[Column]:
    found = [table.speed(row) for row in rows]
    if not any(found):
        return
    yield Column("ms", [_time(speed) for speed in found], 1000)
    yield Column("images/s", [short(speed.images_per_s if speed else None) for speed in found], 1001, 9)
    yield Column("MB", [short(speed.memory_mb if speed else None) for speed in found], 1002, 5)
    yield Column("mult-adds", [amount(speed.mult_adds if speed else None) for speed in found], 1003, 5)


def _time(speed: Speed | None) -> str:
    return NONE if speed is None else f"{'~' if speed.doubts else ''}{short(speed.latency_ms)}"


def _minutes(value: float | None) -> str:
    return NONE if value is None else f"{number(value, 0)} min"


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """As many columns as there is room for, the most urgent first; the model and its first metric always stand."""
    chosen: list[Column] = []
    room = width
    for i, column in enumerate(sorted(columns, key=lambda column: (column.urgency, column.order))):
        needed = column.width + (len(_GAP) if chosen else 0)
        if needed <= room or i < 3:
            chosen.append(column)
            room -= needed
        elif column.urgency:
            break
    return sorted(chosen, key=lambda column: column.order)


def _padded(text: str, column: Column) -> str:
    return text.ljust(column.width) if column.left else text.rjust(column.width)


def _statuses(tables: Iterable[Table], width: int) -> Iterator[str]:
    """A line a status for all tables together: who has no number, as many names as there is room for."""
    found: dict[str, dict[str, list[str]]] = {}
    for table in tables:
        for entry in table.absent:
            why = "" if entry.derived else entry.reason
            names = found.setdefault(entry.status, {}).setdefault(why, [])
            name = entry.who.display if entry.derived else entry.who.label
            names += [] if name in names else [name]
        for text in not_asked_for(table):
            found.setdefault(NOT_MEASURED, {}).setdefault("", []).append(f"{text} on {table.title}")
    for status, reasons in sorted(found.items()):
        parts = [
            name + (f" ({why})" if why and name == names[-1] else "")
            for why, names in reasons.items()
            for name in names
        ]
        yield listed(f"{status}: ", parts, width)
    yield from _without_number(tables)


def _without_number(tables: Iterable[Table]) -> Iterator[str]:
    """A line a reason for metrics that rows have no number of: the reason says what to do, so it is never cut."""
    found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for table in tables:
        for row in table.rows:
            for name, score in row.scores.items():
                if score.mean is None and score.status != NOT_MEASURED:
                    why = score.reason.removeprefix(name).lstrip(": ")  # one reason for all that need one package
                    names, rows = found.setdefault((score.status, why), ({}, {}))
                    names[name] = rows[f"{row.who.label} on {table.title}"] = None
    for (status, why), (names, rows) in sorted(found.items()):
        who = next(iter(rows)) if len(rows) == 1 else f"{len(rows)} rows"
        yield f"{status}: {', '.join(names)} of {who}" + (f": {why}" if why else "")


def listed(head: str, names: Sequence[str], width: int) -> str:
    """``no_weights: DRRN, EDSR and 7 more``."""
    for count in range(len(names), 0, -1):
        rest = len(names) - count
        text = head + ", ".join(names[:count]) + (f" and {rest} more" if rest else "")
        if len(text) <= width or count == 1:
            return text
    return head
