"""A table for a paper: rows of models, columns of datasets and metrics, the best of each column bold, the second underlined."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from srbench.errors import InputError, UnknownNameError
from srbench.markdown import Markup, escape
from srbench.markdown import table as grid
from srbench.reports.tables.entrants import distinct_names
from srbench.reports.tables.pick import pick, pick_best
from srbench.reports.tables.published import Figure, find_figure, is_published_form, published_figure
from srbench.reports.tables.rows import Entrant, MetricInfo, Table
from srbench.reports.units import amount, number
from srbench.reports.view import describe

FORMATS = ("latex", "md", "csv", "html")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "±": r"$\pm$"}
_LATEX |= {"×": r"$\times$", "∞": r"$\infty$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "·": r"$\cdot$"}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


@dataclass(frozen=True)
class Column:
    """One metric on one dataset."""

    dataset: str
    info: MetricInfo


@dataclass(frozen=True)
class PaperCell:
    """One number.

    Attributes:
        value: the mean, not rounded; None where there is none.
        place: 1 for the best of its column, 2 for the second; numbers that read the same share it; 0 for the others.
        published: the published figure of the same network, where it is wanted and known.
        same_protocol: whether that was measured under the table's protocol.
    """

    value: float | None
    place: int = 0
    published: Figure | None = None
    same_protocol: bool = True


@dataclass(frozen=True)
class PaperTable:
    """A whole table; ``rows`` are an entrant, the name that stands for it, and a cell a column."""

    scale: int
    protocol: str
    protocol_text: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entrant, str, tuple[PaperCell, ...]], ...]
    images: Mapping[str, int]

    @property
    def with_published(self) -> bool:
        """Whether any cell has a published figure."""
        return any(cell.published for _, _, cells in self.rows for cell in cells)

    @property
    def foreign(self) -> bool:
        """Whether some published figure was measured under another protocol."""
        return any(cell.published and not cell.same_protocol for _, _, cells in self.rows for cell in cells)

    @property
    def caption(self) -> str:
        """What the table shows, with the protocol in words."""
        metrics = dict.fromkeys(f"{c.info.display}{f' ({c.info.unit})' if c.info.unit else ''}" for c in self.columns)
        sets = dict.fromkeys(f"{title(c.dataset)} ({self.images[c.dataset]} images)" for c in self.columns)
        text = f"{_listed(list(metrics))} at ×{self.scale} on {_listed(list(sets))}. "
        text += f"Protocol {self.protocol}: {self.protocol_text}"
        if self.with_published:
            text += " In parentheses: published figures."
        if self.foreign:
            text += " Those with a dagger were measured under another protocol."
        return f"{text} Best in bold, second underlined."


def paper_table(
    tables: Sequence[Table],
    names: Sequence[str],
    datasets: Sequence[str],
    *,
    scale: int = 4,
    metrics: Sequence[str] = ("psnr", "ssim"),
    protocol: str = "standard",
    published: bool = False,
) -> PaperTable:
    """Put a table together from records alone.

    Args:
        tables: of ``build_tables``.
        names: as ``pick`` takes them; empty for the best checkpoint of each architecture, worst first.
        datasets: in the order of the columns.
        scale: of all columns.
        metrics: in the order of the columns.
        protocol: of all columns, by name or id.
        published: whether published figures are to stand beside ours.

    Raises:
        UnknownNameError: a dataset, metric or model that has no number there.
        InputError: nothing at that scale and protocol.
    """
    here = {t.dataset: t for t in tables if t.scale == scale and protocol in (t.protocol, t.protocol_name) and t.rows}
    if not here:
        raise InputError(f"results/ has nothing at x{scale} under protocol {protocol!r}: `srbench eval` makes it")
    columns = []
    for dataset in datasets:
        if dataset not in here:
            raise UnknownNameError("dataset", dataset, here, f"the results at x{scale} under {protocol}")
        for metric in metrics:
            info = here[dataset].metric(metric)
            if info is None:
                known = [info.name for info in here[dataset].metrics]
                raise UnknownNameError("metric", metric, known, f"the results on {dataset}")
            columns.append(Column(dataset, info))
    chosen = [here[dataset] for dataset in dict.fromkeys(datasets)]
    who = pick(chosen, names) if names else pick_best(chosen)
    raw = [[_cell(here[column.dataset], entrant, column.info, published) for column in columns] for entrant in who]
    placed = _placed(raw, columns)
    rows = tuple(
        (entrant, name, tuple(cells)) for entrant, name, cells in zip(who, distinct_names(who), placed, strict=True)
    )
    one = chosen[0]
    return PaperTable(scale, one.protocol, describe(one.protocol_fields), tuple(columns), rows, _images(chosen))


def render(table: PaperTable, form: str) -> str:
    """The table as ``latex`` (booktabs), ``md``, ``csv`` (full precision) or ``html``."""
    forms: dict[str, Callable[[PaperTable], str]] = {"latex": latex, "md": markdown, "csv": as_csv, "html": as_html}
    if form not in forms:
        raise UnknownNameError("format", form, forms)
    return forms[form](table)


def latex(table: PaperTable) -> str:
    """A table for ``booktabs``: to be put into a document as it is."""
    groups: dict[str, int] = {}
    for column in table.columns:
        groups[column.dataset] = groups.get(column.dataset, 0) + 1
    heads = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{_tex(title(name))}}}" for name, count in groups.items())
    rules, at = [], 3
    for count in groups.values():
        rules.append(rf"\cmidrule(lr){{{at}-{at + count - 1}}}")
        at += count
    metrics = " & ".join(_tex(column.info.title) for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.caption)}}}",
        rf"\label{{tab:x{table.scale}-{''.join(c for c in table.protocol if c.isalnum() or c in '.-')}}}",
        rf"\begin{{tabular}}{{lr{'c' * len(table.columns)}}}",
        r"\toprule",
        rf" & & {heads} \\",
        " ".join(rules),
        rf"Model & Parameters & {metrics} \\",
        r"\midrule",
    ]
    for who, name, cells in table.rows:
        texts = [
            _marked(cell, column, _tex, (r"\textbf{{{}}}", r"\underline{{{}}}"), r"$^\dagger$")
            for cell, column in _pairs(cells, table)
        ]
        lines.append(" & ".join([_tex(name), _tex(amount(who.parameters)).replace(" ", "\\,"), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def markdown(table: PaperTable) -> str:
    """A pipe table with its caption above."""
    heads = ["model", "parameters", *(f"{title(column.dataset)} {column.info.title}" for column in table.columns)]
    rows = []
    for who, name, cells in table.rows:
        texts = [
            Markup(_marked(cell, column, escape, ("**{}**", "<u>{}</u>"), "†")) for cell, column in _pairs(cells, table)
        ]
        rows.append([name, amount(who.parameters), *texts])
    return f"{escape(table.caption)}\n\n{grid(heads, rows, 'lr' + 'r' * len(table.columns))}"


def as_csv(table: PaperTable) -> str:
    """A line a model with unrounded numbers; published figures and what they were measured under in columns of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    heads = ["model", "checkpoint", "variant", "parameters"]
    for column in table.columns:
        name = f"{column.dataset}_{column.info.name}"
        heads += [name, *([f"{name}_published", f"{name}_same_protocol"] if table.with_published else [])]
    writer.writerow(heads)
    for who, name, cells in table.rows:
        line: list[object] = [name, who.checkpoint, who.variant, "" if who.parameters is None else who.parameters]
        for cell in cells:
            line.append("" if cell.value is None else repr(cell.value))
            if table.with_published:
                figure = cell.published
                line += [figure.value if figure else "", ("yes" if cell.same_protocol else "no") if figure else ""]
        writer.writerow(line)
    return file.getvalue()


def as_html(table: PaperTable) -> str:
    """A table element with its caption."""
    heads = ["model", "parameters", *(f"{title(column.dataset)} {column.info.title}" for column in table.columns)]
    lines = ["<table>", f"<caption>{html.escape(table.caption)}</caption>"]
    lines.append("<thead><tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr></thead>")
    lines.append("<tbody>")
    for who, name, cells in table.rows:
        texts = [
            _marked(cell, column, html.escape, ("<b>{}</b>", "<u>{}</u>"), "†") for cell, column in _pairs(cells, table)
        ]
        inside = "".join(f"<td>{text}</td>" for text in (html.escape(name), amount(who.parameters), *texts))
        lines.append(f"<tr>{inside}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>", ""])


def title(dataset: str) -> str:
    """``Set5`` of ``set5``, as papers write it; other names stay."""
    return dataset.capitalize() if dataset.startswith("set") and dataset[3:].isdigit() else dataset


def _pairs(cells: Sequence[PaperCell], table: PaperTable) -> zip[tuple[PaperCell, Column]]:
    return zip(cells, table.columns, strict=True)


def _marked(cell: PaperCell, column: Column, plain: Callable[[str], str], marks: tuple[str, str], dagger: str) -> str:
    """A rounded number in a format's own marks, with the published figure behind it."""
    text = plain(number(cell.value, column.info.digits))
    if cell.place in (1, 2):
        text = marks[cell.place - 1].format(text)
    if cell.published:
        figure = plain(number(cell.published.value, column.info.digits))
        text += f" ({figure}{'' if cell.same_protocol else dagger})"
    return text


def _cell(table: Table, who: Entrant, info: MetricInfo, published: bool) -> PaperCell:
    row = table.row(*who.key)
    score = row.scores.get(info.name) if row else None
    value = score.mean if score else None
    if not published or who.own or not is_published_form(who.options):
        return PaperCell(value)
    figure = score.published if score else find_figure(who.model, table.dataset, table.scale, table.protocol, info.name)
    if figure is None and not who.variant:
        other = published_figure(who.model, table.scale, table.dataset, info.name)
        return PaperCell(value, published=other[0] if other else None, same_protocol=False)
    return PaperCell(value, published=figure)


def _placed(rows: Sequence[Sequence[PaperCell]], columns: Sequence[Column]) -> list[list[PaperCell]]:
    """The rows with the best and the second of each column marked, as they read when rounded."""
    found = [list(row) for row in rows]
    for j, column in enumerate(columns):
        digits = column.info.digits
        values = {round(cell.value, digits) for row in rows if (cell := row[j]).value is not None}
        best = sorted(values, reverse=column.info.higher_is_better)[:2]
        for row in found:
            cell = row[j]
            if len(values) > 1 and cell.value is not None and round(cell.value, digits) in best:
                place = 1 + best.index(round(cell.value, digits))
                row[j] = PaperCell(cell.value, place, cell.published, cell.same_protocol)
    return found


def _images(tables: Sequence[Table]) -> dict[str, int]:
    return {table.dataset: len(table.images) for table in tables}


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
