"""The leaderboard's rows as JSON has them: unrounded, missing values null, infinity as ``"inf"``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from srbench.reports.tables.rows import Absent, Entrant, PublishedRow, Row, Table

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


def leaderboard_rows(tables: Iterable[Table]) -> list[dict[str, Plain]]:
    """One flat object a row, rows with numbers first; cells without numbers have their status and reason."""
    found: list[dict[str, Plain]] = []
    for table in tables:
        place: dict[str, Plain] = {"dataset": table.dataset, "scale": table.scale, "protocol": table.protocol}
        found += [place | _row(row, table) for row in table.rows]
        found += [place | _absent(entry, table) for entry in table.absent]
        found += [place | _published(row) for row in table.published]
    return found


def plain(value: object) -> Plain:
    """A value as JSON has it."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else "inf" if value > 0 else "-inf"
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return str(value)


def _who(who: Entrant) -> dict[str, Plain]:
    return {
        "checkpoint": who.checkpoint,
        "variant": who.variant,
        "model": who.model,
        "display": who.display,
        "kind": who.kind,
        "recipe": who.recipe,
        "seed": who.seed,
        "options": plain(dict(who.options)),
        "parameters": who.parameters,
        "channels": who.channels,
        "precision": who.precision,
        "trained_on": list(who.trained_on),
        "training_minutes": who.minutes,
        "own": who.own,
    }


def _row(row: Row, table: Table) -> dict[str, Plain]:
    rank, speed = row.rank, table.speed(row)
    found = {"rank": rank.place if rank else None} | _who(row.who) | {"status": "ok", "reason": ""}
    found |= {"rank_low": rank.low, "rank_high": rank.high, "p_best": rank.first, "p_holm": rank.p} if rank else {}
    found |= {"images": len(table.images), "separable": table.separable}
    for info in table.metrics:
        m, score = info.name, row.scores[info.name]
        low, high = score.interval or (None, None)
        found |= {m: plain(score.mean), f"{m}_low": low, f"{m}_high": high}
        found |= {f"{m}_behind": plain(score.behind.mean) if score.behind else None}
        found |= {f"{m}_status": score.status, f"{m}_reason": score.reason}
        found |= {f"{m}_published": score.published.value if score.published else None}
        found |= {f"{m}_source": score.published.note if score.published else "", f"{m}_delta": plain(score.delta)}
        seeds = row.seeds
        if seeds and m in seeds.mean:
            found |= {"seeds": seeds.count, f"{m}_seeds_mean": seeds.mean[m], f"{m}_seeds_spread": seeds.spread[m]}
    if speed:
        found |= {"device": speed.device_text, "latency_ms": speed.latency_ms, "images_per_s": speed.images_per_s}
        found |= {"memory_mb": speed.memory_mb, "mult_adds": speed.mult_adds, "time_doubts": list(speed.doubts)}
    return found


def _absent(entry: Absent, table: Table) -> dict[str, Plain]:
    found: dict[str, Plain] = {"rank": None} | _who(entry.who) | {"status": entry.status, "reason": entry.reason}
    return found | {info.name: None for info in table.metrics}


def _published(row: PublishedRow) -> dict[str, Plain]:
    found: dict[str, Plain] = {"rank": None} | _who(row.who)
    found |= {"status": "published", "reason": "not measured here"}
    for name, figure in row.figures.items():
        found |= {f"{name}_published": figure.value, f"{name}_source": figure.note}
    return found
