"""The leaderboard as GitHub-flavoured markdown. The same results give the same bytes; nothing here knows the date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from srbench.reports.leaderboard import Table
from srbench.reports.view import (
    NONE,
    READING,
    Shown,
    best_text,
    is_number,
    label,
    mark,
    number,
    protocol_lines,
    shown_together,
    view,
)

_INTRO = """\
# Leaderboard

Single-image super-resolution, measured image by image from the records in `results/`. This file is generated:
`srbench report` writes it, `srbench report --check` fails where it is stale.
"""

_EMPTY = "There are no results yet: `srbench eval --all --datasets sample` makes the first.\n"


def render_leaderboard(tables: Sequence[Table]) -> str:
    """leaderboard.md: what it is, the protocols, then a section a table."""
    if not tables:
        return f"{_INTRO}\n{_EMPTY}"
    parts = [_INTRO, *(f"- {point}" for point in READING), "", "## Protocols", ""]
    parts += [f"- `{name}`: {how}" for name, how in protocol_lines(tables)]
    return "\n".join(parts) + "\n" + "".join(f"\n## {escape(view(t).title)}\n\n{render_table(t)}" for t in tables)


def render_table(table: Table) -> str:
    """One table with its remark, footnotes and reasons."""
    shown = view(table)
    left = {i for i, head in enumerate(shown.heads) if head in ("checkpoint", "trained on", "protocol")}
    text = f"{shown.remark}\n\n" + grid(shown.heads, [[_cell(cell) for cell in row] for row in shown.rows], left)
    if shown.notes:
        text += "\n" + "".join(f"<sup>{i}</sup> {escape(note)}  \n" for i, note in enumerate(shown.notes, start=1))
    if shown.reasons:
        text += "\n" + "".join(f"- {escape(who)}: `{status}`, {escape(why)}\n" for who, status, why in shown.reasons)
    return text


def render_excerpt(tables: Sequence[Table], datasets: Sequence[str] = ("sample", "set5", "set14")) -> str:
    """The README's short table: PSNR and SSIM at ×4 under the standard protocol on a few datasets side by side."""
    columns = shown_together(tables, datasets, 4, "standard")
    if not columns:
        return _EMPTY
    rows: dict[tuple[str, str], list[str]] = {}
    for table in reversed(columns):  # in the order of the last and largest dataset; then what only the others have
        for row in table.records:
            if is_number(row["rank"]):
                parameters = f"{int(row['parameters']):,}" if is_number(row["parameters"]) else NONE
                rows.setdefault(_key(row), [_cell(Shown(label(row), mark=mark(row))), parameters])
    for table in columns:
        found = {_key(row): row for row in table.records}
        infos = [info for info in table.metrics if info.name in ("psnr", "ssim")]
        best = [best_text(table, info) for info in infos]
        for key, cells in rows.items():
            texts = [number(found.get(key, {}).get(info.name), info.digits) for info in infos]
            bold = [f"**{text}**" if text == top else text for text, top in zip(texts, best, strict=True)]
            cells.append(" / ".join(bold) if set(texts) != {NONE} else NONE)
    heads = ["checkpoint", "parameters", *(f"{table.dataset} ({table.images})" for table in columns)]
    return (
        f"×4, protocol `{columns[0].protocol}`, PSNR (dB) / SSIM; the number of images stands in brackets. Intervals, "
        "ranks and published figures: [reports/leaderboard.md](reports/leaderboard.md).\n\n"
        f"{grid(heads, rows.values(), {0})}"
    )


def escape(text: str) -> str:
    """Text that a table cell can hold."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["checkpoint"], row["variant"]


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    if cell.code:
        text = f"`{text}`"
    if cell.best:
        text = f"**{text}**"
    text += f" {cell.interval}" if cell.interval else ""
    text += f" <sup>{cell.note}</sup>" if cell.note else ""
    return text + (f" *({cell.mark})*" if cell.mark else "")


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]], left: set[int]) -> str:
    """A pipe table; the columns in ``left`` are aligned to the left, the others to the right."""
    rules = [":---" if i in left else "---:" for i in range(len(heads))]
    return "".join(f"| {' | '.join(line)} |\n" for line in [heads, rules, *rows])
