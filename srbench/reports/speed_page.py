"""speed.md: every record of results/speed/ with all its variants. Never across devices."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.markdown import Markup, code, escape, table
from srbench.reports.tables.speed import doubts, replaced
from srbench.reports.units import NONE, amount, number, short
from srbench.speed_results import BASE, SpeedResult, VariantSpeed, throughput
from srbench.zoo import Card

_INTRO = """\
# Speed

One pass of a network over one image, from the records in `results/speed/`; `srbench report` writes this file. Nothing here
may be compared across devices, and ratios hold within one run, whose variants were interleaved: between runs a machine's load
moves times by half and more, so compare the networks of one run.

- ms is the median [p10, p90] of n passes; below ten passes there are no percentiles. ~ marks a time of fewer than ten passes,
  or one that drifted or spread over its run's limit: read it as an order of magnitude.
- A ratio is the base's median (eager, float32) over the variant's; in brackets the mean change of PSNR in dB against the base.
  Networks without brackets were timed with random weights: these serve for times and not for dB.
- Memory is what network, image and pass took at most in a fresh process; images/s are those of the best batch tried,
  for the base as everywhere in reports for the variant of its row.
- “As in papers” counts a transposed convolution's kernel once per output pixel, and only the layers that the paper counts.
"""


def render_speed(records: Sequence[SpeedResult], cards: Sequence[Card] = ()) -> str:
    """speed.md: a section a device, in it one a scale and input size.

    Args:
        records: of any devices, scales and sizes.
        cards: of the zoo; records of other weights than theirs are left out and named.
    """
    gone = replaced(records, cards)
    sections: dict[tuple[str, int, tuple[int, int]], list[SpeedResult]] = {}
    for record in records:
        if not any(record is other for other in gone):
            sections.setdefault((record.device, record.scale, record.input), []).append(record)
    text = _INTRO
    if gone:
        names = " ".join(sorted({record.name for record in gone}))
        text += f"\nLeft out, as the zoo has other weights by now: `srbench speed {escape(names)}` times them again.\n"
    for key in sorted(sections):
        text += _section(sorted(sections[key], key=lambda r: (r.cost.get("mult_adds") or 0, r.name)))
    return text


def _section(records: list[SpeedResult]) -> str:
    one = records[0]
    sizes = f"{one.input[1]}×{one.input[0]} → {one.output[1]}×{one.output[0]}"
    text = f"\n## {escape(one.device_name)}, {one.threads} threads: ×{one.scale}, {sizes}\n\n"
    runs = sorted({record.run for record in records})
    for run in runs:
        of_run = [record for record in records if record.run == run]
        text += f"- {_run(of_run, runs.index(run) + 1)}\n"
    heads = (
        "network", "run", "mult-adds", "as in papers", "ms", "n", "MP/s", "images/s", "memory (MB)", "first call (ms)",
        "base again",
    )  # fmt: skip
    text += "\n" + table(
        heads, [_base_row(record, runs.index(record.run) + 1) for record in records], "l" + "r" * (len(heads) - 1)
    )
    names = list(dict.fromkeys(name for record in records for name in record.variants if name != BASE))
    if names:
        rows = [[_name(record), *(_ratio(record.variants.get(name)) for name in names)] for record in records]
        text += "\n" + table(["ratio (dB)", *names], rows, "l" + "r" * len(names))
    reasons = "".join(f"- {line}\n" for line in _reasons(records))
    return f"{text}\n{reasons}" if reasons else text


def _run(records: list[SpeedResult], place: int) -> str:
    one = records[0]
    load = ", ".join(f"{value:.1f}" for value in one.load_average) or "unknown"
    glance = "; a glance" if one.quick else ""
    sets = " and ".join(dict.fromkeys(escape(record.psnr_set) for record in records if record.psnr_set))
    what = f"; dB on {sets}" if sets else ""
    return (
        f"Run {place}, {escape(one.run)}: torch {escape(one.torch)}, {escape(one.driver) or 'no driver'}, "
        f"load {load} at the start; "
        f"a variant's time was {one.seconds:g} s, spread over {one.spread_limit:.0%} is marked{what}{glance}."
    )


def _base_row(record: SpeedResult, run: int) -> list[str]:
    base, cost = record.base, record.cost
    if not base.ok:
        return [
            _name(record),
            str(run),
            amount(cost.get("mult_adds")),
            amount(cost.get("paper_mult_adds")),
            code(base.status),
            *[""] * 6,
        ]
    interval = ""
    if base.p10_ms is not None and base.p90_ms is not None:
        interval = f" [{short(base.p10_ms)}, {short(base.p90_ms)}]"
    memory = None if base.peak_memory_bytes is None else base.peak_memory_bytes / 1e6
    return [
        _name(record),
        str(run),
        amount(cost.get("mult_adds")),
        amount(cost.get("paper_mult_adds")),
        f"{'~' if doubts(record, base) else ''}{short(base.median_ms)}{interval}",
        str(base.n),
        number(base.megapixels_per_s, 2),
        short(throughput(base)),
        short(memory),
        number(base.first_call_ms, 0),
        NONE if record.drift is None else f"{number(record.drift * 100, 1, sign=True)} %",
    ]


def _name(record: SpeedResult) -> str:
    twin = f" *(times of {escape(record.same_as)})*" if record.same_as else ""
    return Markup(escape(record.name) + twin)


def _ratio(variant: VariantSpeed | None) -> str:
    if variant is None or not variant.ok:
        return NONE if variant is None or variant.status == "unavailable" else code(variant.status)
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
        who = "; ".join(f"{escape(name)} of {', '.join(map(escape, names))}" for name, names in variants.items())
        lines.append(f"{code(status)}, {escape(reason)}: {who}")
    return lines
