"""The leaderboard as GitHub-flavoured markdown. The same results give the same bytes; nothing here knows the date."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from srbench.reports.leaderboard import SPEED_COLUMNS, MetricInfo, Table
from srbench.stats import least_p

NONE = "–"

SPEED_TITLES = dict(zip(SPEED_COLUMNS, ("mult-adds", "latency (ms)", "pictures/s", "memory (MB)"), strict=True))

_COMPARABLE = {
    "standard": "Comparable with the tables of EDSR, RCAN and SwinIR.",
    "classic": "Comparable with the tables of SRCNN, FSRCNN, VDSR and SelfExSR.",
    "rgb": "Comparable with the tables of BasicSR and mmagic.",
    "div2k-edsr": "Comparable with the EDSR paper and NTIRE 2017 on DIV2K-val.",
}

_INTRO = """\
# Leaderboard

Single-image super-resolution, measured picture by picture from the records in `results/`. This file is generated:
`srbench report` writes it, `srbench report --check` fails where it is stale.

- Each table is one dataset, scale and protocol; numbers of different protocols are not comparable.
- `30.56 [28.9, 33.1]` is the mean over the pictures and its 95 % interval (studentised bootstrap over pictures): how far
  another set of such pictures might move it. With fewer than 5 pictures there is none. ∞ means that pictures are identical.
- The rank is by the mean of the first metric. Models that a paired test on the same pictures (Wilcoxon signed-rank,
  two-sided, p > .05) cannot tell from the best of their group share its rank.
- *Published* is a figure measured under the same protocol, with its source and training data below the table, and Δ is
  ours minus that. Other training data or another skip makes another network: read both before you compare.
- A cell without a number has a status and its reason below the table.
"""


def render_leaderboard(tables: Sequence[Table]) -> str:
    """leaderboard.md: what it is, the protocols, then a section a table."""
    parts = [_INTRO, "## Protocols\n", *(f"- {line}" for line in protocol_lines(tables)), ""]
    if not tables:
        parts = [_INTRO, "There are no results yet: `srbench eval --all --datasets sample` makes the first.\n"]
    for table in tables:
        parts += [f"## {title(table)}\n", render_table(table)]
    return "\n".join(parts)


def render_excerpt(tables: Sequence[Table], datasets: Sequence[str] = ("sample", "set5", "set14")) -> str:
    """The README's short table: PSNR and SSIM at ×4 under the standard protocol on a few datasets side by side."""
    chosen = {t.dataset: t for t in tables if t.dataset in datasets and t.scale == 4 and _name(t) == "standard"}
    columns = [chosen[name] for name in datasets if name in chosen]
    if not columns:
        return "There are no results yet: `srbench eval --all --datasets sample` makes the first.\n"
    rows: dict[tuple[str, str], list[Any]] = {}
    for table in reversed(columns):  # the order of the last dataset, the largest; then what only the others have
        for row in table.records:
            if _is_number(row["rank"]):
                rows.setdefault((row["checkpoint"], row["variant"]), [label(row), count(row["parameters"])])
    heads = ["checkpoint", "parameters", *(f"{t.dataset} ({t.pictures})" for t in columns)]
    for table in columns:
        found = {(row["checkpoint"], row["variant"]): row for row in table.records}
        best = {m.name: best_text(table, m) for m in table.metrics}
        for key, cells in rows.items():
            row = found.get(key, {})
            shown = [number(row.get(m.name), m.digits) for m in table.metrics if m.name in ("psnr", "ssim")]
            names = [m.name for m in table.metrics if m.name in ("psnr", "ssim")]
            bold = [f"**{text}**" if text == best[m] else text for m, text in zip(names, shown, strict=True)]
            cells.append(" / ".join(bold) if any(text != NONE for text in shown) else NONE)
    note = f"×4, protocol `{columns[0].protocol}`, PSNR (dB) / SSIM on the number of pictures in brackets."
    return f"{note} Intervals, ranks and published figures: [reports/leaderboard.md](reports/leaderboard.md).\n\n" + (
        _grid(heads, list(rows.values()), left=1)
    )


def render_table(table: Table) -> str:
    """One table with its remarks and footnotes."""
    rows = table.records
    notes: dict[str, int] = {}
    heads = ["rank", "checkpoint", "parameters"]
    cells = [[str(r["rank"]) if _is_number(r["rank"]) else NONE, label(r), count(r["parameters"])] for r in rows]
    for info in table.metrics:
        m, best = info.name, best_text(table, info)
        heads.append(metric_title(info))
        compared = any(_is_number(row[f"{m}_published"]) for row in rows)
        heads += ["published", "Δ"] if compared else []
        for row, line in zip(rows, cells, strict=True):
            line.append(_score(row, info, best))
            if compared:
                line += [_published(row, info, notes), number(row[f"{m}_delta"], info.digits, sign=True)]
    for name in SPEED_COLUMNS:
        if name in table.rows and table.rows[name].notna().any():
            heads.append(SPEED_TITLES[name])
            for row, line in zip(rows, cells, strict=True):
                line.append(count(row[name]) if name == "mult_adds" else number(row[name], 1))
    if any(row["trained_on"] for row in rows):
        heads.append("trained on")
        for row, line in zip(rows, cells, strict=True):
            line.append(escape(row["trained_on"]) or NONE)
    heads.append("protocol")
    for row, line in zip(rows, cells, strict=True):
        line.append(f"`{row['protocol']}`")
    parts = [remark(table), "", _grid(heads, cells, left=2)]
    parts += [f"<sup>{i}</sup> {escape(note)}  " for note, i in notes.items()] + ([""] if notes else [])
    parts += [f"- {line}" for line in reasons(table)]
    return "\n".join(parts).rstrip("\n") + "\n"


def title(table: Table) -> str:
    """``set5 ×4, standard.v1``."""
    return f"{table.dataset} ×{table.scale}, {table.protocol}"


def remark(table: Table) -> str:
    """How many pictures, and whether they can tell models apart."""
    if not table.pictures:
        return "No cell has a number."
    pictures = f"{table.pictures} picture{'s' if table.pictures > 1 else ''}."
    if table.separable or sum(map(_is_number, table.rows["rank"])) < 2:
        return pictures
    p = f"{least_p(table.pictures):.4f}".rstrip("0").lstrip("0")
    return (
        f"{pictures} So few cannot separate models: the least p that the paired test can give is {p}, "
        "so all share rank 1 and the order is that of the means."
    )


def reasons(table: Table) -> list[str]:
    """One line for each status and reason: which rows and metrics have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in table.records:
        if row["status"] == "published":
            continue
        if row["status"] != "ok":
            found.setdefault((row["status"], row["reason"]), []).append(label(row))
            continue
        for info in table.metrics:
            if row[f"{info.name}_status"] != "ok":
                key = (row[f"{info.name}_status"], row[f"{info.name}_reason"])
                found.setdefault(key, []).append(f"{label(row)} ({info.name})")
    return [f"{', '.join(who)}: `{status}`, {escape(why)}" for (status, why), who in found.items()]


def protocol_lines(tables: Sequence[Table]) -> list[str]:
    """One line for each protocol: its id, how it measures, and which tables it may be compared with."""
    fields = {table.protocol: table.protocol_fields for table in tables}
    return [f"`{name}`: {describe(fields[name])}" for name in sorted(fields)]


def describe(fields: dict[str, Any]) -> str:
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


def label(row: dict[str, Any]) -> str:
    """``fsrcnn_x4.common + bicubic skip``; what differs from the paper's network or from a plain run is never silent."""
    options = [option for option in row["options"].split(", ") if option]
    added = [f"{o.removeprefix('skip=')} skip" if o.startswith("skip=") else o for o in options]
    added += [part for part in (row["variant"],) if part]
    if row["precision"] not in ("", "fp32") and row["precision"] not in row["variant"]:
        added.append(row["precision"])
    tail = {"interpolator": " *(interpolator)*", "published": " *(published only)*"}.get(row["kind"], "")
    return escape(" + ".join([row["checkpoint"], *added])) + tail


def metric_title(info: MetricInfo) -> str:
    """``PSNR (dB) ↑``."""
    unit = f" ({info.unit})" if info.unit else ""
    return f"{info.name.upper()}{unit} {'↑' if info.higher_is_better else '↓'}"


def number(value: Any, digits: int, sign: bool = False) -> str:
    """A rounded number, ∞, or a dash where there is none."""
    if not _is_number(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "−")


def count(value: Any) -> str:
    """``12,809``, or a dash where it is unknown."""
    return f"{int(value):,}" if _is_number(value) else NONE


def best_text(table: Table, info: MetricInfo) -> str:
    """How the best mean of a metric reads; rows that read the same are equally best."""
    values = [value for value in table.rows[info.name] if _is_number(value)]
    if not values:
        return ""
    return number(max(values) if info.higher_is_better else min(values), info.digits)


def escape(text: str) -> str:
    """Text that a table cell can hold."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _score(row: dict[str, Any], info: MetricInfo, best: str) -> str:
    m = info.name
    if not _is_number(row[m]):
        return NONE if row["status"] == "published" else f"`{row[f'{m}_status']}`"
    text = number(row[m], info.digits)
    text = f"**{text}**" if text == best else text
    if not _is_number(row[f"{m}_low"]):
        return text
    low, high = (number(row[f"{m}_{end}"], max(info.digits - 1, 0)) for end in ("low", "high"))
    return f"{text} [{low}, {high}]"


def _published(row: dict[str, Any], info: MetricInfo, notes: dict[str, int]) -> str:
    m = info.name
    if not _is_number(row[f"{m}_published"]):
        return NONE
    note = notes.setdefault(row[f"{m}_source"], len(notes) + 1)
    return f"{number(row[f'{m}_published'], info.digits)} <sup>{note}</sup>"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A pipe table; the columns up to ``left`` are aligned to the left, the others to the right."""
    rules = [":---" if i < left else "---:" for i in range(len(heads))]
    return "".join(f"| {' | '.join(line)} |\n" for line in [heads, rules, *rows])


def _is_number(value: Any) -> bool:
    import pandas as pd

    return value is not None and not pd.isna(value)


def _name(table: Table) -> str:
    return str(table.protocol_fields.get("name") or table.protocol.rpartition(".v")[0])
