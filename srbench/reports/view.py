"""A table as it is shown: rounded, worded, with footnotes; markdown, HTML and the terminal differ only in their marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from srbench.reports.tables.published import Figure
from srbench.reports.tables.rows import Absent, MetricInfo, PublishedRow, Row, Score, Speed, Table
from srbench.reports.units import NONE, amount, chance, interval, number, share, short
from srbench.results import Fields
from srbench.stats import SMALL, least_p

NOT_MEASURED = "not_measured"
"""Status of a metric that a record was not asked for."""

ALIKE = "≈"
"""Stands beside a rank where the images are too few to tell any two models apart."""

READING = (
    "Each table is one dataset, scale and protocol; numbers of different protocols are not comparable.",
    f"With {SMALL} images or more, 27.61 [25.9, 29.5] is the mean over the images and its 95 % interval (studentised bootstrap "
    "over images), cut at the ends of the metric's range: how far another set of such images might move it. With fewer, "
    "31.21 (−0.11 [−0.17, −0.05]) is the mean and, in brackets, the mean difference to the best row on the same images, with its "
    "95 % interval (Student's t): images differ by decibels, differences between models far less. ∞: the images are identical.",
    "The rank is that of the mean of the first metric. 3 [2–4]: on 95 % of resamples of the images the rank lies between 2 and 4 "
    "(paired bootstrap), and P(best) is the share on which it is first. p is that of the Wilcoxon signed-rank test against the "
    "best row, raised by Holm's method for the number of rows: above .05 the images do not tell the two apart. "
    f"{ALIKE}: the images are too few for a test to tell any two models apart, and the rank says no more than the mean.",
    "Seeds: 3, 30.78 ± 0.02 is the mean over trainings that differ in the seed alone and the standard deviation of theirs.",
    "“Published” is a figure measured under the same protocol, with its source and training data below the table, and Δ is "
    "ours minus that. Other training data or an added skip make another network: read both before you compare.",
    "ms, images/s and MB are of one pass of the network for 1280×720 output; images/s are those of the best batch tried. "
    "~ marks a time of fewer than ten passes, or one that drifted or spread over its run's limit: an order of magnitude.",
)
"""What a reader must know, a sentence or two a point."""

_COMPARABLE = {
    "standard": "Comparable with the tables of EDSR, RCAN and SwinIR.",
    "classic": "Comparable with the tables of SRCNN, FSRCNN, VDSR and SelfExSR.",
    "rgb": "Comparable with the tables of BasicSR and mmagic.",
    "div2k-edsr": "Comparable with the EDSR paper and NTIRE 2017 on DIV2K-val.",
}

_WORDS = {
    "no_weights": "the zoo has no checkpoint at this scale (`srbench train NAME` makes one)",
    "unsupported_protocol": "networks of RGB, and this protocol gives networks luma alone",
}


@dataclass(frozen=True)
class Shown:
    """One cell of a shown table.

    Attributes:
        text: what is read.
        sort: what it is sorted by, a number, a text or None (last).
        best: whether it is the best of its column.
        small: what stands beside it in small type, such as ``[28.9, 33.1]``.
        note: number of its footnote or None.
        code: whether it is a status or an id.
    """

    text: str
    sort: float | str | None = None
    best: bool = False
    small: str = ""
    note: int | None = None
    code: bool = False


@dataclass(frozen=True)
class View:
    """A whole table as shown; ``notes[i]`` is the text of footnote i + 1, ``statuses`` are ``(status, who and why)``."""

    title: str
    remark: str
    heads: list[str]
    rows: list[list[Shown]]
    notes: list[str]
    statuses: list[tuple[str, str]]


TEXT_HEADS = frozenset({"model", "trained on"})
"""Columns that are read from the left."""


class Columns:
    """The columns of one table, built one after the other; footnotes are numbered as they come."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.notes: dict[str, int] = {}
        self.columns: list[tuple[str, list[Shown]]] = []

    def add(
        self, head: str, ours: Callable[[Row], Shown], theirs: Callable[[PublishedRow], Shown] | None = None
    ) -> None:
        """One column: a cell a row with numbers, then one a row that only papers have."""
        cells = [ours(row) for row in self.table.rows]
        cells += [theirs(row) if theirs else Shown(NONE) for row in self.table.published]
        self.columns.append((head, cells))

    def name(self, row: Row) -> Shown:
        """Who was measured, with a footnote where its numbers are doubtful."""
        note = self.notes.setdefault("; ".join(row.notes), len(self.notes) + 1) if row.notes else None
        return Shown(row.who.label, row.who.label, note=note)

    def figure(self, figure: Figure | None, info: MetricInfo) -> Shown:
        """A published figure with its footnote."""
        if figure is None:
            return Shown(NONE)
        note = self.notes.setdefault(figure.note, len(self.notes) + 1)
        return Shown(number(figure.value, info.digits), figure.value, note=note)


def view(table: Table) -> View:
    """Round and word a table."""
    columns = Columns(table)
    columns.add("rank", lambda row: _rank(row, table))
    columns.add("model", columns.name, _paper_name)
    columns.add("parameters", lambda row: _amount(row.who.parameters), lambda row: _amount(row.who.parameters))
    if table.separable:
        columns.add("P(best)", lambda row: _shown(row.rank.first if row.rank else None, share))
        columns.add("p", lambda row: _shown(row.rank.p if row.rank else None, chance))
    for info in table.metrics:
        _metric_columns(columns, info)
    _speed_columns(columns)
    if any(row.who.minutes is not None for row in table.rows):
        columns.add("training (min)", lambda row: _shown(row.who.minutes, lambda v: number(v, 0)))
    if any(row.who.trained_on for row in table.rows):
        columns.add("trained on", lambda row: Shown(" + ".join(row.who.trained_on) or NONE))
    rows = [list(row) for row in zip(*(cells for _, cells in columns.columns), strict=True)]
    heads = [head for head, _ in columns.columns]
    return View(table.title, remark(table), heads, rows, list(columns.notes), statuses(table))


def _metric_columns(columns: Columns, info: MetricInfo) -> None:
    """A metric's mean; published figures, their Δ and the seeds' spread where the table has some."""
    table, name = columns.table, info.name
    columns.add(info.title, lambda row: score_cell(row.scores[name], info))
    if any(row.scores[name].published for row in table.rows) or any(name in row.figures for row in table.published):
        columns.add(
            "published",
            lambda row: columns.figure(row.scores[name].published, info),
            lambda row: columns.figure(row.figures.get(name), info),
        )
        columns.add("Δ", lambda row: _shown(row.scores[name].delta, lambda v: number(v, info.digits, sign=True)))
    if info == table.primary and any(row.seeds for row in table.rows):
        columns.add("seeds", lambda row: _seeds(row, info))


def _speed_columns(columns: Columns) -> None:
    table = columns.table
    found = [speed for row in table.rows if (speed := table.speed(row))]
    wanted: tuple[tuple[str, Callable[[Speed], float | None], Callable[[float | None], str]], ...] = (
        ("mult-adds", lambda speed: speed.mult_adds, amount),
        ("ms", lambda speed: speed.latency_ms, short),
        ("images/s", lambda speed: speed.images_per_s, short),
        ("MB", lambda speed: speed.memory_mb, short),
    )
    for head, value, text in wanted:
        if any(value(speed) is not None for speed in found):
            columns.add(head, lambda row, value=value, text=text: _speed(table.speed(row), value, text))  # type: ignore[misc]


def _speed(speed: Speed | None, value: Callable[[Speed], float | None], text: Callable[[float | None], str]) -> Shown:
    if speed is None or value(speed) is None:
        return Shown(NONE)
    doubtful = "~" if speed.doubts and text is short else ""
    return Shown(doubtful + text(value(speed)), value(speed))


def score_cell(score: Score, info: MetricInfo) -> Shown:
    """One mean: its interval where there are images enough, else how far it is behind the best row."""
    if score.mean is None:
        return Shown(score.status, code=True)
    few = len(score.values) < SMALL
    digits = max(info.digits - 1, 0)
    small = "" if few else interval(score.interval, digits)
    if few and score.behind:
        away = interval(score.behind.interval, info.digits, sign=True)
        small = f"({number(score.behind.mean, info.digits, sign=True)}{' ' if away else ''}{away})"
    return Shown(number(score.mean, info.digits), score.mean, best=score.best, small=small)


def remark(table: Table) -> str:
    """How many images, whether they can tell models apart, and where the times are from."""
    count = len(table.images)
    if not count:
        return "No cell has a number."
    images = f"{count} image{'s' if count > 1 else ''}."
    speed = next((found for row in table.rows if (found := table.speed(row))), None)
    if speed:
        images += f" Times: {speed.device_text}."
    if table.separable or sum(row.rank is not None for row in table.rows) < 2:
        return images
    p = f"{least_p(count):.4f}".rstrip("0").lstrip("0")
    return f"{images} Ranks are not separable ({ALIKE}): the least p that the paired test can give with so few images is {p}."


def statuses(table: Table) -> list[tuple[str, str]]:
    """Each status once, with who has it and why."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in table.absent:
        name = entry.who.display if entry.derived else entry.who.label
        names = found.setdefault(entry.status, {}).setdefault(_why(entry), [])
        if name not in names:
            names.append(name)
    for row in table.rows:
        for info in table.metrics:
            score = row.scores[info.name]
            if score.mean is None and score.status != NOT_MEASURED:
                name = f"{row.who.label} ({info.name})"
                found.setdefault(score.status, {}).setdefault(score.reason, []).append(name)
    if partly := not_asked_for(table):
        found[NOT_MEASURED] = {"not asked for (`srbench eval … --metrics`)": partly}
    return [
        (status, "; ".join(f"{', '.join(who)}: {why}" for why, who in reasons.items()))
        for status, reasons in sorted(found.items())
    ]


def not_asked_for(table: Table) -> list[str]:
    """Metrics that some rows lack because nobody asked for them: ``dists of 17 rows``."""
    lacking = {
        info.name: sum(row.scores[info.name].status == NOT_MEASURED for row in table.rows) for info in table.metrics
    }
    return [f"{name} of {count} row{'s' if count > 1 else ''}" for name, count in lacking.items() if count]


def _why(entry: Absent) -> str:
    return _WORDS.get(entry.status, entry.reason) if entry.derived else entry.reason


def protocol_lines(tables: Iterable[Table]) -> list[tuple[str, str]]:
    """Each protocol's id, and how it measures with what it may be compared."""
    fields = {table.protocol: table.protocol_fields for table in tables}
    return [(name, describe(fields[name])) for name in sorted(fields)]


def describe(fields: Fields) -> str:
    """A protocol in words, from the fields that a record keeps."""
    if not {"channel", "degradation", "shave_extra"} <= set(fields):
        return "its records do not say how it measures."
    luma = "rounded to 8 bits" if fields.get("luma") == "rounded" else "not rounded"
    what = f"Y (BT.601 studio range, {luma})" if fields["channel"] == "y" else "RGB"
    extra = f" + {fields['shave_extra']}" if fields["shave_extra"] else ""
    lr = "kept as unrounded Y" if fields.get("lr") == "float" else "in 8 bits"
    gray = "stay gray" if fields.get("gray") == "keep" else "become RGB"
    return (
        f"measures {what}, SR rounded to 8 bits, without a border of scale{extra} pixels. "
        f"HR is cropped to multiples of {fields.get('modulus') or 'the scale'}; LR is made by MATLAB's "
        f"{fields['degradation']} resize ({fields.get('edges', 'mirror')} edges), {lr}; gray files {gray}. "
        f"{_COMPARABLE.get(str(fields.get('name')), '')}"
    ).strip()


def rank_text(row: Row, table: Table) -> str:
    """``3 [2–4]`` where the images can tell models apart, ``3 ≈`` where they cannot."""
    rank = row.rank
    if rank is None:
        return NONE
    if not table.separable:
        return f"{rank.place} {ALIKE}" if len(table.rows) > 1 else str(rank.place)
    return f"{rank.place} [{rank.low}–{rank.high}]" if rank.low != rank.high else str(rank.place)


def _rank(row: Row, table: Table) -> Shown:
    return Shown(rank_text(row, table), float(row.rank.place) if row.rank else None)


def _paper_name(row: PublishedRow) -> Shown:
    return Shown(row.who.display, row.who.display, small="(published only)")


def _amount(value: int | None) -> Shown:
    return Shown(amount(value), None if value is None else float(value))


def _shown(value: float | None, text: Callable[[float | None], str]) -> Shown:
    return Shown(text(value), value)


def _seeds(row: Row, info: MetricInfo) -> Shown:
    if row.seeds is None or info.name not in row.seeds.mean:
        return Shown(NONE)
    mean, spread = row.seeds.mean[info.name], row.seeds.spread[info.name]
    return Shown(f"{row.seeds.count}, {number(mean, info.digits)} ± {number(spread, info.digits)}", mean)
