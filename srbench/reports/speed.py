"""Speed records beside the leaderboard: columns for its tables, and speed.md with every variant. Never across devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from srbench.reports.markdown import escape, grid
from srbench.reports.view import NONE, number
from srbench.speed_results import BASE, SpeedResult, VariantSpeed, speed_path, throughput

if TYPE_CHECKING:
    import pandas as pd

_INTRO = """\
# Speed

One pass of a network over one image, from the records in `results/speed/`; `srbench report` writes this file. Nothing here
may be compared across devices, and ratios hold within one run, whose variants were timed in turns.

- ms is the median [p10, p90] of n passes; below ten passes there are no percentiles. ~ marks a row whose spread is over its
  run's limit: read it as an order of magnitude.
- A ratio is the base's median (eager, float32) over the variant's; in brackets the mean change of PSNR in dB against the base.
  Networks without brackets were timed with random weights, or with some that the zoo has replaced since: these serve for times
  and not for dB.
- Memory is what network, image and pass took at most in a fresh process; images/s are those of the best batch tried.
- “As in papers” counts a deconvolution's kernel once an output pixel, and only the layers that the paper counts.
"""


def leaderboard_columns(records: Iterable[SpeedResult]) -> pd.DataFrame | None:
    """What ``build_leaderboard`` joins: one row a checkpoint, scale and variant, of one device; None without records.

    Of several devices it is the one with the most records; ``timed_on`` names it. A size other than that of 1280×720 output and
    a glance (``--quick``) are left out.
    """
    import pandas as pd

    usable = [r for r in records if not r.quick and _is_usual(r)]
    if not usable:
        return None
    devices = [record.device for record in usable]
    chosen = max(sorted(set(devices)), key=devices.count)
    rows = [
        {
            "checkpoint": record.name,
            "scale": record.scale,
            "variant": "" if name == BASE else name,
            "mult_adds": record.cost.get("mult_adds"),
            "latency_ms": variant.median_ms,
            "throughput": throughput(variant),
            "memory_mb": None if variant.peak_memory_bytes is None else variant.peak_memory_bytes / 1e6,
            "timed_on": _device(record),
        }
        for record in usable
        if record.device == chosen
        for name, variant in record.variants.items()
        if variant.ok
    ]
    numbers = dict.fromkeys(("mult_adds", "latency_ms", "throughput", "memory_mb"), "float64")
    return pd.DataFrame(rows).astype(numbers) if rows else None


def render_speed(records: Sequence[SpeedResult], weights: Mapping[str, str] | None = None) -> str:
    """speed.md: a section a device, in it one a scale and input size.

    Args:
        weights: sha256 of each checkpoint's weights as the zoo has them; changes of PSNR of any others are left out.
    """
    sections: dict[tuple[str, int, tuple[int, int]], list[SpeedResult]] = {}
    for record in (_with_current_weights(record, weights or {}) for record in records):
        sections.setdefault((record.device, record.scale, record.input), []).append(record)
    text = _INTRO
    for key in sorted(sections):
        text += _section(sorted(sections[key], key=lambda r: (r.cost.get("mult_adds") or 0, r.name)))
    return text


def _with_current_weights(record: SpeedResult, weights: Mapping[str, str]) -> SpeedResult:
    """The record, without changes of PSNR where the checkpoint of its name has other weights by now."""
    if weights.get(record.name, record.weights_sha256) == record.weights_sha256:
        return record
    times = {name: variant.model_copy(update={"psnr_change": None}) for name, variant in record.variants.items()}
    return record.model_copy(update={"variants": times})


def _section(records: list[SpeedResult]) -> str:
    one = records[0]
    sizes = f"{one.input[1]}×{one.input[0]} → {one.output[1]}×{one.output[0]}"
    text = f"\n## {escape(one.device_name)}, {one.threads} threads: ×{one.scale}, {sizes}\n\n"
    for run in sorted({record.run for record in records}):
        of_run = [record for record in records if record.run == run]
        text += f"- {_run(of_run)}\n"
    heads = (
        "network", "mult-adds", "as in papers", "ms", "n", "MP/s", "images/s", "memory (MB)", "first call (ms)",
        "base again",
    )  # fmt: skip
    text += "\n" + grid(heads, [_base_row(record) for record in records], {0})
    names = list(dict.fromkeys(name for record in records for name in record.variants if name != BASE))
    if names:
        rows = [[_name(record), *(_ratio(record.variants.get(name)) for name in names)] for record in records]
        text += "\n" + grid(["ratio (dB)", *names], rows, {0})
    reasons = "".join(f"- {line}\n" for line in _reasons(records))
    return f"{text}\n{reasons}" if reasons else text


def _run(records: list[SpeedResult]) -> str:
    one = records[0]
    load = ", ".join(f"{value:.1f}" for value in one.load_average) or "unknown"
    glance = "; a glance" if one.quick else ""
    sets = " and ".join(dict.fromkeys(escape(record.psnr_set) for record in records if record.psnr_set))
    what = f"; dB on {sets}" if sets else ""
    return (
        f"Run {one.run}: torch {one.torch}, {escape(one.driver) or 'no driver'}, load {load} at the start; a variant's time "
        f"was {one.seconds:g} s, spread over {one.spread_limit:.0%} is marked{what}{glance}."
    )


def _base_row(record: SpeedResult) -> list[str]:
    base, cost = record.base, record.cost
    if not base.ok:
        return [
            _name(record),
            _giga(cost.get("mult_adds")),
            _giga(cost.get("paper_mult_adds")),
            f"`{base.status}`",
            *[""] * 6,
        ]
    interval = ""
    if base.p10_ms is not None and base.p90_ms is not None:
        interval = f" [{number(base.p10_ms, 1)}, {number(base.p90_ms, 1)}]"
    memory = None if base.peak_memory_bytes is None else base.peak_memory_bytes / 1e6
    best = max((throughput(v) or 0.0 for v in record.variants.values() if v.ok), default=0.0)
    return [
        _name(record),
        _giga(cost.get("mult_adds")),
        _giga(cost.get("paper_mult_adds")),
        f"{'~' if base.noisy else ''}{number(base.median_ms, 1)}{interval}",
        str(base.n),
        number(base.megapixels_per_s, 2),
        number(best or None, 2),
        number(memory, 0),
        number(base.first_call_ms, 0),
        NONE if record.drift is None else f"{number(record.drift * 100, 1, sign=True)} %",
    ]


def _name(record: SpeedResult) -> str:
    twin = f" *(times of {escape(record.same_as)})*" if record.same_as else ""
    return escape(record.name) + twin


def _giga(value: Any) -> str:
    return NONE if value is None else f"{value / 1e9:,.2f} G"


def _ratio(variant: VariantSpeed | None) -> str:
    if variant is None or not variant.ok:
        return NONE if variant is None or variant.status == "unavailable" else f"`{variant.status}`"
    change = "" if variant.psnr_change is None else f" ({number(variant.psnr_change, 3, sign=True)})"
    return f"{'~' if variant.noisy else ''}{number(variant.ratio, 2)}{change}"


def _reasons(records: list[SpeedResult]) -> list[str]:
    """Why there is no ratio: each reason once, with the networks and variants that have it."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for record in records:
        for name, variant in record.variants.items():
            if not variant.ok:
                found.setdefault((variant.status, variant.reason), {}).setdefault(name, []).append(record.name)
    lines = []
    for (status, reason), variants in found.items():
        who = "; ".join(f"{name} of {', '.join(map(escape, names))}" for name, names in variants.items())
        lines.append(f"`{status}`, {escape(reason)}: {who}")
    return lines


def _is_usual(record: SpeedResult) -> bool:
    """Whether its input is what gives 1280×720."""
    return "@" not in speed_path(record.device, record.name, record.scale, record.input, ".").name


def _device(record: SpeedResult) -> str:
    return f"{record.device_name}, {record.threads} threads" if record.device_type == "cpu" else record.device_name
