"""``srbench choose``: the frontier within a budget, the fastest safe variant of each network, the nearest where nothing fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.errors import InputError
from srbench.reports import build_tables
from srbench.reports.tables import speeds
from srbench.reports.tables.choose import Budget, Choice, choices, frontier
from srbench.results import write_result
from srbench.speed_results import VariantSpeed, write_speed
from tests.test_report_speed import speed
from tests.test_reports import cell
from tests.test_speed_results import timed

DEVICE = "amd-epyc-2-threads"


def ways(ms: float, mb: float = 50.0, **faster: float | None) -> dict[str, VariantSpeed]:
    """Eager at ``ms``; each other variant at half of it, with its change of PSNR."""
    memory = int(mb * 1e6)
    found = {"eager": timed(ms, ratio=1.0, peak_memory_bytes=memory)}
    for name, change in faster.items():
        found[name] = timed(ms / 2, ratio=2.0, peak_memory_bytes=memory, psnr_change=change)
    return found


def found(*records: Any) -> list[Choice]:
    results = [cell("small_x4.c", 0.0), cell("middle_x4.c", 0.5), cell("large_x4.c", 1.0), cell("poor_x4.c", -1.0)]
    [table] = build_tables(results)
    return choices(table, speeds(records), DEVICE)


ALL = (
    speed("small_x4.c", variants=ways(10.0, 20.0, fused=0.0, bf16=-0.02)),
    speed("middle_x4.c", variants=ways(40.0, bf16=-0.004)),
    speed("large_x4.c", variants=ways(400.0, 900.0)),
    speed("poor_x4.c", variants=ways(300.0, 10.0)),
)


def test_each_network_stands_in_its_fastest_variant_that_hardly_changes_the_image() -> None:
    by_name = {choice.who.checkpoint: choice for choice in found(*ALL)}
    small, middle = by_name["small_x4.c"], by_name["middle_x4.c"]
    assert (small.speed.variant, small.speed.latency_ms) == ("fused", 5.0), "bf16 costs 0.02 dB"
    assert middle.speed.variant == "bf16"
    plain = next(row for row in build_tables([cell("middle_x4.c", 0.5)])[0].rows).scores["psnr"].mean
    assert middle.psnr == pytest.approx((plain or 0.0) - 0.004)
    assert middle.command == "srbench upscale IN OUT --checkpoint middle_x4.c --precision bf16"


def test_the_frontier_is_what_no_other_beats_in_both() -> None:
    names = [choice.who.checkpoint for choice in frontier(found(*ALL), Budget())]
    assert names == ["small_x4.c", "middle_x4.c", "large_x4.c"], "poor is slower and worse"
    assert [c.who.checkpoint for c in frontier(found(*ALL), Budget(ms=100))] == names[:2]
    assert [c.who.checkpoint for c in frontier(found(*ALL), Budget(mb=15))] == ["poor_x4.c"]


def test_what_nothing_meets_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"nothing is within 4\.00 ms; nearest is small_x4\.c: 5\.00 ms, 20\.0 MB"):
        frontier(found(*ALL), Budget(ms=4))
    with pytest.raises(InputError, match=r"at least 99\.00 dB; nearest is large_x4\.c"):
        frontier(found(*ALL), Budget(psnr=99))
    with pytest.raises(InputError, match="nothing was timed"):
        frontier([], Budget(ms=4))


def test_memory_that_was_not_measured_is_within_no_budget() -> None:
    bare = speed("small_x4.c", variants={"eager": timed(1.0)})
    with pytest.raises(InputError, match="nothing is within"):
        frontier(found(bare), Budget(mb=1e6))
    assert frontier(found(bare), Budget(ms=2))


def test_other_devices_sizes_and_glances_do_not_count() -> None:
    gpu = {"device": "nvidia-h200", "device_type": "cuda", "device_name": "NVIDIA H200"}
    records = [speed("small_x4.c", **gpu), speed("middle_x4.c", input=(96, 96)), speed("large_x4.c", quick=True)]
    assert found(*records) == []


def choose(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["choose", *map(str, arguments)])


@pytest.mark.usefixtures("srbench_home")
def test_command() -> None:
    for name, gain in (("small_x4.c", 0.0), ("middle_x4.c", 0.5), ("large_x4.c", 1.0)):
        write_result(cell(name, gain))
    refused = choose("--device", "cpu")
    assert refused.exit_code == 1
    assert "--measure" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    for record in ALL:
        write_speed(record)
    done = choose("--device", DEVICE, "--max-ms", 100)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "srbench upscale IN OUT --checkpoint small_x4.c --fused" in done.stdout
    rows = json.loads(choose("--device", DEVICE, "--json").stdout)
    assert [row["checkpoint"] for row in rows] == ["small_x4.c", "middle_x4.c", "large_x4.c"]
    nothing = choose("--device", DEVICE, "--max-ms", 1)
    assert nothing.exit_code == 1
    assert "nearest is small_x4.c" in nothing.stderr
    assert "Did you mean 'set14'" in choose("--device", DEVICE, "--dataset", "set13").stderr
    elsewhere = choose("--device", DEVICE, "--scale", 3)
    assert "nothing at x3" in elsewhere.stderr
