"""A table as it is shown: rounded, worded, with footnotes; markdown, HTML and the terminal differ only in their marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from srbench.reports.leaderboard import SPEED_COLUMNS, MetricInfo, Table
from srbench.reports.seeds import SEEDS_REMARK
from srbench.stats import least_p

NONE = "–"

SPEED_TITLES = dict(zip(SPEED_COLUMNS, ("mult-adds", "latency (ms)", "images/s", "memory (MB)"), strict=True))

READING = (
    "Each table is one dataset, scale and protocol; numbers of different protocols are not comparable.",
    "30.56 [28.9, 33.1] is the mean over the images and its 95 % interval (studentised bootstrap over images, Student's t "
    "below 10 of them): how far another set of such images might move it. With fewer than 3 images there is none. "
    "∞: the images are identical.",
    "The rank is by the mean of the first metric. Models that a paired test on the same images (Wilcoxon signed-rank, "
    "two-sided, p > .05) cannot tell from the best of their group share its rank.",
    "“Published” is a figure measured under the same protocol, with its source and training data below the table, and Δ is "
    "ours minus that. Other training data or an added skip make another network: read both before you compare.",
    "A cell without a number has a status, and its reason stands below the table.",
)
"""What a reader must know, a sentence or two a point."""

_COMPARABLE = {
    "standard": "Comparable with the tables of EDSR, RCAN and SwinIR.",
    "classic": "Comparable with the tables of SRCNN, FSRCNN, VDSR and SelfExSR.",
    "rgb": "Comparable with the tables of BasicSR and mmagic.",
    "div2k-edsr": "Comparable with the EDSR paper and NTIRE 2017 on DIV2K-val.",
}


@dataclass(frozen=True)
class Shown:
    """One cell of a shown table.

    Attributes:
        text: what is read. sort: what it is sorted by, a number, a text or None (last).
        best: whether it is the best of its column. interval: ``[28.9, 33.1]`` or "".
        note: number of its footnote or None. code: whether it is a status or an id. mark: a remark in small type.
    """

    text: str
    sort: float | str | None = None
    best: bool = False
    interval: str = ""
    note: int | None = None
    code: bool = False
    mark: str = ""


@dataclass(frozen=True)
class View:
    """A whole table as shown; ``notes[i]`` is the text of footnote i + 1, ``reasons`` are ``(who, status, why)``."""

    title: str
    remark: str
    heads: list[str]
    rows: list[list[Shown]]
    notes: list[str]
    reasons: list[tuple[str, str, str]]


def view(table: Table) -> View:
    """Round and word a table."""
    records = table.records
    notes: dict[str, int] = {}
    columns: list[tuple[str, list[Shown]]] = [
        ("rank", [_count(row["rank"]) for row in records]),
        ("checkpoint", [Shown(label(row), label(row), mark=mark(row)) for row in records]),
        ("parameters", [_count(row["parameters"]) for row in records]),
    ]
    for info in table.metrics:
        m, best = info.name, best_text(table, info)
        columns.append((metric_title(info), [_score(row, info, best) for row in records]))
        if any(is_number(row[f"{m}_published"]) for row in records):
            columns.append(("published", [_published(row, info, notes) for row in records]))
            deltas = [row[f"{m}_delta"] for row in records]
            columns.append(("Δ", [Shown(number(v, info.digits, sign=True), sort_key(v)) for v in deltas]))
        if info.name == table.primary and has_seeds(table):
            columns.append(("seeds", [_seeds(row, info) for row in records]))
    for name, head in SPEED_TITLES.items():
        if name in table.rows and table.rows[name].notna().any():
            values = [row[name] for row in records]
            columns.append(
                (head, [_count(v) if name == "mult_adds" else Shown(number(v, 1), sort_key(v)) for v in values])
            )
    if any(row["trained_on"] for row in records):
        columns.append(("trained on", [Shown(row["trained_on"] or NONE, row["trained_on"] or None) for row in records]))
    columns.append(("protocol", [Shown(row["protocol"], row["protocol"], code=True) for row in records]))
    rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
    return View(title(table), remark(table), [head for head, _ in columns], rows, list(notes), _reasons(table))


def title(table: Table) -> str:
    """``set5 ×4, standard.v1``."""
    return f"{table.dataset} ×{table.scale}, {table.protocol}"


def remark(table: Table) -> str:
    """How many images, whether they can tell models apart, and where the times are from."""
    if not table.images:
        return "No cell has a number."
    images = f"{table.images} image{'s' if table.images > 1 else ''}."
    if table.timed_on:
        images += f" Times: one pass of the network, 1280×720 output, {table.timed_on}."
    if has_seeds(table):
        images += f" {SEEDS_REMARK}"
    if table.separable or sum(map(is_number, table.rows["rank"])) < 2:
        return images
    p = f"{least_p(table.images):.4f}".rstrip("0").lstrip("0")
    return (
        f"{images} So few cannot separate models: the least p that the paired test can give is {p}, "
        "so all share rank 1 and the order is that of the means."
    )


def protocol_lines(tables: Iterable[Table]) -> list[tuple[str, str]]:
    """Each protocol's id, and how it measures with what it may be compared."""
    fields = {table.protocol: table.protocol_fields for table in tables}
    return [(name, describe(fields[name])) for name in sorted(fields)]


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


def protocol_name(table: Table) -> str:
    """``standard`` of ``standard.v1``."""
    return str(table.protocol_fields.get("name") or table.protocol.rpartition(".v")[0])


def label(row: dict[str, Any]) -> str:
    """``fsrcnn_x4.common + bicubic skip``; what differs from the paper's network or from a plain run is never silent."""
    options = [option for option in row["options"].split(", ") if option]
    added = [f"{o.removeprefix('skip=')} skip" if o.startswith("skip=") else o for o in options]
    added += [part for part in (row["variant"],) if part]
    if row["precision"] not in ("", "fp32") and row["precision"] not in row["variant"]:
        added.append(row["precision"])
    return " ".join(" + ".join([row["checkpoint"], *added]).split())


def mark(row: dict[str, Any]) -> str:
    """What a row is where it is no checkpoint."""
    return {"interpolator": "interpolator", "published": "published only"}.get(row["kind"], "")


def metric_title(info: MetricInfo) -> str:
    """``PSNR (dB) ↑``."""
    unit = f" ({info.unit})" if info.unit else ""
    return f"{info.name.upper()}{unit} {'↑' if info.higher_is_better else '↓'}"


def number(value: Any, digits: int, sign: bool = False) -> str:
    """A rounded number, ∞, or a dash where there is none."""
    if not is_number(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def best_text(table: Table, info: MetricInfo) -> str:
    """How the best mean of a metric reads; rows that read the same are equally best."""
    values = [value for value in table.rows[info.name] if is_number(value)]
    if not values:
        return ""
    return number(max(values) if info.higher_is_better else min(values), info.digits)


def is_number(value: Any) -> bool:
    """Whether a cell of a frame holds a number (infinity is one)."""
    import pandas as pd

    return value is not None and not pd.isna(value)


def sort_key(value: Any) -> float | None:
    """What a number is sorted by; None where there is none."""
    return float(value) if is_number(value) else None


def _count(value: Any) -> Shown:
    return Shown(f"{int(value):,}", float(value)) if is_number(value) else Shown(NONE)


def _score(row: dict[str, Any], info: MetricInfo, best: str) -> Shown:
    m = info.name
    if not is_number(row[m]):
        return Shown(NONE) if row["status"] == "published" else Shown(row[f"{m}_status"], code=True)
    text = number(row[m], info.digits)
    low, high = (number(row[f"{m}_{end}"], max(info.digits - 1, 0)) for end in ("low", "high"))
    interval = f"[{low}, {high}]" if is_number(row[f"{m}_low"]) else ""
    return Shown(text, float(row[m]), best=text == best, interval=interval)


def has_seeds(table: Table) -> bool:
    """Whether some network was trained with several seeds."""
    return "seeds" in table.rows and bool(table.rows["seeds"].notna().any())


def _seeds(row: dict[str, Any], info: MetricInfo) -> Shown:
    if not is_number(row["seeds"]):
        return Shown(NONE)
    spread = row[f"{info.name}_spread"]
    return Shown(f"{int(row['seeds'])} ({number(spread, info.digits)})", sort_key(spread))


def _published(row: dict[str, Any], info: MetricInfo, notes: dict[str, int]) -> Shown:
    value = row[f"{info.name}_published"]
    if not is_number(value):
        return Shown(NONE)
    note = notes.setdefault(row[f"{info.name}_source"], len(notes) + 1)
    return Shown(number(value, info.digits), float(value), note=note)


def _reasons(table: Table) -> list[tuple[str, str, str]]:
    """Each status and reason once, with the rows and metrics that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in table.records:
        if row["status"] == "published":
            continue
        if row["status"] != "ok":
            found.setdefault((row["status"], row["reason"]), []).append(label(row))
            continue
        for info in table.metrics:
            status, reason = row[f"{info.name}_status"], row[f"{info.name}_reason"]
            if status != "ok":
                found.setdefault((status, reason), []).append(f"{label(row)} ({info.name})")
    return [(", ".join(who), status, why) for (status, why), who in found.items()]


def shown_together(tables: Sequence[Table], datasets: Sequence[str], scale: int, protocol: str) -> list[Table]:
    """The tables of some datasets at one scale under one protocol, in the order of ``datasets``."""
    found = {t.dataset: t for t in tables if t.scale == scale and protocol_name(t) == protocol}
    return [found[name] for name in datasets if name in found]
