"""Speed in reports: joined by checkpoint, scale and variant, of one device; speed.md says how sure a time is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srbench.reports import build_leaderboard, stale_files, write_reports
from srbench.reports.markdown import render_table
from srbench.reports.speed import leaderboard_columns, render_speed
from srbench.results import write_result
from srbench.speed_results import Batch, SpeedResult, VariantSpeed, write_speed
from tests.test_report_files import grids
from tests.test_reports import cell
from tests.test_speed_results import record, timed


def speed(name: str, ms: float = 100.0, **changes: Any) -> SpeedResult:
    variants = {
        "eager": timed(ms, ratio=1.0, peak_memory_bytes=50_000_000),
        "fused": timed(ms / 4, ratio=4.0, psnr_change=-0.0004, noisy=True),
        "fp16": VariantSpeed(status="unavailable", reason="fp16 is for GPUs"),
        "channels_last": VariantSpeed(status="oom", reason="out of memory: 9 GiB"),
    }
    return record(name=name, **({"variants": variants} | changes))


def test_columns_are_joined_by_checkpoint_scale_and_variant() -> None:
    results = [cell("b_x4.c"), cell("b_x4.c", variant="fused"), cell("a_x4.c")]
    columns = leaderboard_columns([speed("b_x4.c"), speed("a_x4.c", scale=2, input=(360, 640))])
    [table] = build_leaderboard(results, columns)
    found = {(r["checkpoint"], r["variant"]): r for r in table.records}
    assert found["b_x4.c", ""]["latency_ms"] == 100
    assert found["b_x4.c", ""]["memory_mb"] == 50
    assert found["b_x4.c", "fused"]["latency_ms"] == 25
    assert found["b_x4.c", "fused"]["throughput"] == 40
    assert found["a_x4.c", ""]["latency_ms"] != found["a_x4.c", ""]["latency_ms"], "another scale's time is no time"
    assert table.timed_on == "AMD EPYC, 2 threads"
    assert "AMD EPYC, 2 threads" in render_table(table)


def test_devices_are_never_mixed() -> None:
    gpu = {"device": "nvidia-h200", "device_type": "cuda", "device_name": "NVIDIA H200"}
    records = [speed("a_x4.c"), speed("b_x4.c"), speed("a_x4.c", 1.0, **gpu)]
    columns = leaderboard_columns(records)
    assert columns is not None
    assert set(columns["timed_on"]) == {"AMD EPYC, 2 threads"}
    text = render_speed(records)
    assert text.count("\n## ") == 2
    assert text.index("## AMD EPYC") < text.index("## NVIDIA H200")


def test_a_glance_and_another_size_are_no_columns() -> None:
    assert leaderboard_columns([speed("a_x4.c", quick=True), speed("b_x4.c", input=(96, 96))]) is None
    assert leaderboard_columns([]) is None
    [table] = build_leaderboard([cell("a_x4.c")], leaderboard_columns([speed("other_x4.c")]))
    assert table.timed_on == ""


def test_throughput_is_that_of_the_best_batch() -> None:
    swept = timed(100.0, sweep=[Batch(batch=4, n=3, median_ms=200, images_per_s=20.0)])
    columns = leaderboard_columns([speed("a_x4.c", variants={"eager": swept})])
    assert columns is not None
    assert list(columns["throughput"]) == [20.0]


def test_speed_page_says_what_it_knows() -> None:
    records = [
        speed("b_x4.c", drift=-0.012, psnr_set="sample ×4, standard.v1"),
        speed("a|x", 10.0, cost={"mult_adds": 1_000_000_000, "paper_mult_adds": 2_000_000_000}, same_as="c"),
    ]
    text = render_speed(records)
    base, ratios = grids(text)
    assert {len(line) for line in base} == {10}
    assert base[2][0] == "b_x4.c"
    assert base[2][3] == "100.0"
    assert base[2][-1] == "−1.2 %"
    assert base[3][:4] == ["a\\|x *(times of c)*", "1.00 G", "2.00 G", "10.0"]
    assert ratios[0] == ["ratio (dB)", "fused", "fp16", "channels_last"]
    assert ratios[2][1:] == ["~4.00 (0.000)", "–", "`oom`"]
    assert "- `unavailable`, fp16 is for GPUs: fp16 of b_x4.c, a\\|x" in text
    assert "dB on sample ×4, standard.v1" in text
    assert "load 0.1, 0.2, 0.3 at the start" in text
    assert render_speed(records[::-1]) == text


def test_changes_of_psnr_are_those_of_weights_that_the_zoo_still_has() -> None:
    records = [speed(name, weights_sha256="old") for name in ("a_x4.c", "b_x4.c", "c_x4.c")]
    _, ratios = grids(render_speed(records, {"a_x4.c": "old", "b_x4.c": "new"}))
    assert [line[:2] for line in ratios[2:]] == [
        ["a_x4.c", "~4.00 (0.000)"],
        ["b_x4.c", "~4.00"],
        ["c_x4.c", "~4.00 (0.000)"],
    ]


def test_percentiles_and_failures_of_the_base() -> None:
    times = [float(ms) for ms in range(90, 110)]
    base = VariantSpeed(n=20, times_ms=times, median_ms=99.5, p10_ms=91.9, p90_ms=107.1, megapixels_per_s=9.3)
    text = render_speed(
        [speed("a", variants={"eager": base}), speed("b", variants={"eager": VariantSpeed(status="oom", reason="no")})]
    )
    [grid] = grids(text)
    assert grid[2][3] == "99.5 [91.9, 107.1]"
    assert grid[3][3] == "`oom`"
    assert "no: eager of b" in text


@pytest.mark.usefixtures("srbench_home")
def test_the_page_is_written_and_watched(srbench_home: Path) -> None:
    write_result(cell("b_x4.c"))
    assert (srbench_home / "reports" / "speed.md") not in write_reports()
    write_speed(speed("b_x4.c"))
    page = srbench_home / "reports" / "speed.md"
    assert page in stale_files()
    assert page in write_reports()
    assert stale_files() == []
    assert "latency (ms)" in (srbench_home / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    write_speed(speed("b_x4.c", 200.0))
    assert page in stale_files()
