"""Speed in reports: joined by checkpoint, scale and variant, of one device; speed.md says how sure a time is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from srbench.reports import build_tables, stale_files, write_reports
from srbench.reports.markdown import render_table
from srbench.reports.plots import plan
from srbench.reports.speed_page import render_speed
from srbench.reports.tables import speeds
from srbench.results import write_result
from srbench.speed_results import Batch, SpeedResult, VariantSpeed, write_speed
from tests.test_report_files import grids
from tests.test_reports import card, cell
from tests.test_speed_results import record, timed


def speed(name: str, ms: float = 100.0, **changes: Any) -> SpeedResult:
    variants = {
        "eager": timed(ms, ratio=1.0, peak_memory_bytes=50_000_000),
        "fused": timed(ms / 4, ratio=4.0, psnr_change=-0.0004, noisy=True),
        "fp16": VariantSpeed(status="unavailable", reason="fp16 is for GPUs"),
        "channels_last": VariantSpeed(status="oom", reason="out of memory: 9 GiB"),
    }
    return record(name=name, **({"variants": variants} | changes))


def test_times_are_joined_by_checkpoint_scale_and_variant() -> None:
    results = [cell("b_x4.c"), cell("b_x4.c", variant="fused"), cell("a_x4.c")]
    [table] = build_tables(results, [speed("b_x4.c"), speed("a_x4.c", scale=2, input=(360, 640))])
    found = {row.who.key: table.speed(row) for row in table.rows}
    plain, fused = found["b_x4.c", ""], found["b_x4.c", "fused"]
    assert plain is not None
    assert fused is not None
    assert (plain.latency_ms, plain.memory_mb) == (100, 50)
    assert (fused.latency_ms, fused.images_per_s) == (25, 40)
    assert found["a_x4.c", ""] is None, "another scale's time is no time"
    assert "AMD EPYC, 2 threads" in render_table(table)


def test_devices_are_never_mixed() -> None:
    gpu = {"device": "nvidia-h200", "device_type": "cuda", "device_name": "NVIDIA H200"}
    records = [speed("a_x4.c"), speed("b_x4.c"), speed("a_x4.c", 1.0, **gpu)]
    [table] = build_tables([cell("a_x4.c")], records)
    [row] = table.rows
    assert set(row.speeds) == {"amd-epyc-2-threads", "nvidia-h200"}
    shown = table.speed(row)
    assert shown is not None
    assert shown.device_text == "AMD EPYC, 2 threads", "the device with the most records"
    text = render_speed(records)
    assert text.count("\n## ") == 2
    assert text.index("## AMD EPYC") < text.index("## NVIDIA H200")


def test_a_glance_and_another_size_are_no_columns() -> None:
    for records in ([speed("a_x4.c", quick=True), speed("a_x4.c", input=(96, 96))], [], [speed("other_x4.c")]):
        [table] = build_tables([cell("a_x4.c")], records)
        assert table.device == ""


def test_throughput_is_that_of_the_best_batch_everywhere() -> None:
    swept = timed(100.0, sweep=[Batch(batch=4, n=3, median_ms=200, images_per_s=20.0)])
    faster = timed(50.0, sweep=[Batch(batch=4, n=3, median_ms=100, images_per_s=40.0)])
    record = speed("a_x4.c", variants={"eager": swept, "bf16": faster})
    assert [found.images_per_s for found in speeds([record])] == [20.0, 40.0]
    base, _ = grids(render_speed([record]))
    assert base[2][base[0].index("images/s")] == "20.0", "of the variant whose time stands beside it"


def test_a_doubtful_time_is_marked() -> None:
    few, drifted = speed("a_x4.c", variants={"eager": timed(100.0)}), speed("b_x4.c", drift=-0.3)
    found = {one.name: one.doubts for one in speeds([few, drifted]) if not one.variant}
    n = timed(100.0).n
    assert found["a_x4.c"] == ((f"n = {n}",) if n < 10 else ())
    assert "drift −30%" in found["b_x4.c"]
    [table] = build_tables([cell("b_x4.c")], [drifted])
    assert "| ~100 |" in render_table(table)


def test_times_of_replaced_weights_are_left_out_and_named() -> None:
    cards = [card("a_x4.c", sha256="old"), card("b_x4.c", sha256="new")]
    records = [speed(name, weights_sha256="old") for name in ("a_x4.c", "b_x4.c", "c_x4.c")]
    assert {one.name for one in speeds(records, cards)} == {"a_x4.c", "c_x4.c"}
    text = render_speed(records, cards)
    assert "`srbench speed b_x4.c` times them again" in text
    assert [line[0] for line in grids(text)[0][2:]] == ["a_x4.c", "c_x4.c"]


def test_speed_page_says_what_it_knows() -> None:
    records = [
        speed("b_x4.c", drift=-0.012, psnr_set="sample ×4, standard.v1"),
        speed("a|x", 10.0, cost={"mult_adds": 1_000_000_000, "paper_mult_adds": 2_000_000_000}, same_as="c"),
    ]
    text = render_speed(records)
    base, ratios = grids(text)
    assert {len(line) for line in base} == {11}
    assert base[2][0] == "b_x4.c"
    assert base[2][4] == "~100"
    assert base[2][-1] == "−1.2 %"
    assert base[3][:5] == ["a\\|x *(times of c)*", "1", "1.0 G", "2.0 G", "~10.0"]
    assert ratios[0] == ["ratio (dB)", "fused", "fp16", "channels_last"]
    assert ratios[2][1:] == ["~4.00 (0.000)", "–", "`oom`"]
    assert "- `unavailable`, fp16 is for GPUs: fp16 of b_x4.c, a\\|x" in text
    assert "dB on sample ×4, standard.v1" in text
    assert "load 0.1, 0.2, 0.3 at the start" in text
    assert render_speed(records[::-1]) == text


def test_a_row_says_which_run_it_is_of() -> None:
    """The machine's load differs between runs, so that their times must not be compared."""
    text = render_speed([speed("a", run="2026-01-02"), speed("b", run="2026-01-01"), speed("c", run="2026-01-02")])
    assert [line[:2] for line in grids(text)[0][2:]] == [["a", "2"], ["b", "1"], ["c", "2"]]
    assert "- Run 1, 2026-01-01: " in text


def test_percentiles_and_failures_of_the_base() -> None:
    times = [float(ms) for ms in range(90, 110)]
    base = VariantSpeed(n=20, times_ms=times, median_ms=99.5, p10_ms=91.9, p90_ms=107.1, megapixels_per_s=9.3)
    text = render_speed(
        [speed("a", variants={"eager": base}), speed("b", variants={"eager": VariantSpeed(status="oom", reason="no")})]
    )
    [grid] = grids(text)
    assert grid[2][4] == "99.5 [91.9, 107]"
    assert grid[3][4] == "`oom`"
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
    assert "| ms |" in (srbench_home / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    write_speed(speed("b_x4.c", 200.0))
    assert page in stale_files()


def test_the_front_of_latency_has_interpolators_too() -> None:
    """Pareto fronts of the page, of ``choose`` and of the figure are those of the same rows."""
    gains = {"bicubic": 0.0, "lanczos": 0.3, "fsrcnn_x4.tuned": 1.2, "espcn_x4.tuned": 1.0, "edsr_x4.tuned": 2.5}
    times = dict(zip(gains, (3.6, 3.4, 31.4, 17.5, 9000.0), strict=True))
    cells = [cell(name, gain, parameters=1000) for name, gain in gains.items()]
    tables = build_tables(cells, [speed(name, ms) for name, ms in times.items()])
    drawn = next(plot for plot in plan(tables) if plot.file == "latency.svg").draw()
    assert {"Lanczos", "Bicubic", "FSRCNN"} <= set(re.findall(r"<!-- (.*?) -->", drawn))
