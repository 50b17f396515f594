"""The leaderboard as GitHub-flavoured markdown. The same results give the same bytes; nothing here knows the date."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.markdown import Markup, bold, code, escape
from srbench.markdown import table as grid
from srbench.reports.paper.table import title
from srbench.reports.tables.clips import ClipTable
from srbench.reports.tables.overview import DATASETS, Overview, OverviewCell, OverviewRow, overview
from srbench.reports.tables.rows import MetricInfo, Table
from srbench.reports.units import NONE, amount, number, short
from srbench.reports.view import READING, TEXT_HEADS, Shown, protocol_lines, view

_INTRO = """\
# Leaderboard

Single-image super-resolution, measured image by image from the records in `results/`. This file is generated:
`srbench report` writes it, `srbench report --check` fails where it is stale.
"""

_OWN = """\
# Your own results

Classes, files of weights and folders of images of your own, with the zoo beside them where it was measured on the same images.
The other reports show the zoo alone. This file is generated, and git ignores it.
"""

_EMPTY = "There are no results yet: `srbench eval --all --datasets sample` makes the first.\n"


def render_leaderboard(tables: Sequence[Table], clips: Sequence[ClipTable] = ()) -> str:
    """leaderboard.md: the best of each architecture, what there is, how to read it, then a section a table.

    Args:
        tables: of images.
        clips: of clips, which stand in a file of their own.
    """
    if not tables:
        return f"{_INTRO}\n{_EMPTY}" + ("\n".join(["", *_clips(clips), ""]) if clips else "")
    parts = [_INTRO]
    if first := overview(tables):
        parts.append(render_overview(first))
    parts.append("\n".join(["## Contents", "", *_contents(tables), *_clips(clips), ""]))
    parts.append("\n".join(["## How to read it", "", *(f"- {point}" for point in READING), ""]))
    protocols = [f"- {code(name)}: {how}" for name, how in protocol_lines(tables)]
    parts.append("\n".join(["## Protocols", "", *protocols, ""]))
    parts += [f"## {escape(table.title)}\n\n{render_table(table)}" for table in tables]
    return "\n".join(parts)


def render_own(tables: Sequence[Table], clips: str = "") -> str:
    """own.md: tables with something of the user's own in them, then the sections of clips."""
    sections = [f"## {escape(table.title)}\n\n{render_table(table)}" for table in tables]
    return f"{_OWN}\n" + "\n".join([*sections, *([clips] if clips else [])])


def _contents(tables: Sequence[Table]) -> list[str]:
    """A line a dataset: its scales and protocols as links to their sections."""
    lines: dict[str, list[str]] = {}
    for table in tables:
        link = f"[×{table.scale} {escape(table.protocol_name)}](#{_anchor(table.title)})"
        lines.setdefault(table.dataset, []).append(link)
    return [f"- {escape(dataset)}: {' · '.join(links)}" for dataset, links in lines.items()]


def _clips(tables: Sequence[ClipTable]) -> list[str]:
    """A line of the contents, where there are any."""
    sets = dict.fromkeys(f"{title(one.dataset)} ×{one.scale}" for one in tables)
    return [f"- clips: [{escape(', '.join(sets))}](clips.md)"] if sets else []


def _anchor(title: str) -> str:
    """What GitHub makes of a heading: lower case, without punctuation, hyphens for blanks."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def render_overview(found: Overview) -> str:
    """The first table: one row an architecture."""
    infos = [info for info in found.tables[0].metrics if info.name in ("psnr", "ssim")] or found.tables[0].metrics[:1]
    heads = ["model", "parameters", "training (min)"]
    known = {t.dataset for t in found.tables if any((c := row.cells[t.dataset]) and c.published for row in found.rows)}
    for table in found.tables:
        heads += [f"{title(table.dataset)} ({len(table.images)})", *(["published"] if table.dataset in known else [])]
    timed = any(row.speed for row in found.rows)
    heads += ["ms"] if timed else []
    rows = [_overview_row(row, found, list(infos), known, timed) for row in found.rows]
    what = " / ".join(escape(f"{info.display}{f' ({info.unit})' if info.unit else ''}") for info in infos)
    text = (
        f"×{found.scale}, protocol {code(found.protocol)}: {what} of each architecture's best checkpoint, number of images in "
        "brackets; ± is the standard deviation over seeds. Published figures were measured under the same protocol but for "
        "those marked *c* (`classic`), which must not be subtracted."
    )
    text += _measured_on(found)
    if found.left_out:
        text += f" Also measured: {', '.join(map(escape, found.left_out))}."
    return f"{text}\n\n{grid(heads, rows, 'l' + 'r' * (len(heads) - 1))}"


def _measured_on(found: Overview) -> str:
    speed = next((row.speed for row in found.rows if row.speed), None)
    return f" ms: one pass for 1280×720 output on {escape(speed.device_text)}." if speed else ""


def _overview_row(
    row: OverviewRow, found: Overview, infos: list[MetricInfo], known: set[str], timed: bool
) -> list[str]:
    minutes = number(row.who.minutes, 0)
    cells: list[str] = [Markup(_name(row)), amount(row.who.parameters), minutes]
    for table in found.tables:
        cell = row.cells[table.dataset]
        cells.append(Markup(_means(cell, infos)))
        cells += [Markup(_paper(cell, infos[0]))] if table.dataset in known else []
    if timed:
        doubtful = "~" if row.speed and row.speed.doubts else ""
        cells.append(doubtful + short(row.speed.latency_ms if row.speed else None))
    return cells


def _name(row: OverviewRow) -> str:
    """The display name, with the recipe and what else makes it special in small type."""
    small = [row.who.recipe, *row.who.marks, *([f"{row.seeds} seeds"] if row.seeds > 1 else [])]
    beside = ", ".join(escape(part) for part in small if part)
    return f"{escape(row.who.display)} <sub>{beside}</sub>" if beside else escape(row.who.display)


def _means(cell: OverviewCell | None, infos: list[MetricInfo]) -> str:
    if cell is None:
        return NONE
    texts = [number(cell.value(info.name), info.digits) for info in infos]
    if cell.spread is not None:
        texts[0] += f" ± {number(cell.spread, infos[0].digits)}"
    texts[0] = str(bold(texts[0])) if cell.best else texts[0]
    return " / ".join(texts)


def _paper(cell: OverviewCell | None, info: MetricInfo) -> str:
    if cell is None or cell.published is None:
        return NONE
    return number(cell.published.value, info.digits) + (" *c*" if cell.protocol == "classic" else "")


def render_table(table: Table) -> str:
    """One table with its remark, footnotes and statuses."""
    shown = view(table)
    align = "".join("l" if head in TEXT_HEADS else "r" for head in shown.heads)
    text = f"{shown.remark}\n"
    if shown.rows:
        text += "\n" + grid(shown.heads, [[_cell(cell) for cell in row] for row in shown.rows], align)
    if shown.notes:
        text += "\n" + "".join(f"<sup>{i}</sup> {escape(note)}  \n" for i, note in enumerate(shown.notes, start=1))
    if shown.statuses:
        text += "\n" + "".join(f"- {code(status)}: {escape(who)}\n" for status, who in shown.statuses)
    return text


def render_excerpt(tables: Sequence[Table], datasets: Sequence[str] = DATASETS) -> str:
    """The README's table: the overview, ten rows."""
    found = overview(tables, datasets, most=10)
    if found is None:
        return _EMPTY
    more = "Intervals, ranks and everything else: [reports/leaderboard.md](reports/leaderboard.md)."
    return f"{render_overview(found)}\n{more}\n"


def _cell(cell: Shown) -> str:
    text = str(code(cell.text)) if cell.code else escape(cell.text)
    text = str(bold(Markup(text))) if cell.best else text
    text += f" {escape(cell.small)}" if cell.small else ""
    return Markup(text + (f" <sup>{cell.note}</sup>" if cell.note else ""))
