"""Ranked tables from synthetic records, and the files that are rendered from them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from srbench.protocol import PRESETS
from srbench.reports import build_leaderboard, leaderboard_rows, print_leaderboard
from srbench.reports.leaderboard import Table
from srbench.reports.markdown import render_table
from srbench.reports.published import find_figure, published_models, read_published
from srbench.results import MetricScores, Result
from srbench.stats import Floats

IMAGES = np.random.default_rng(7).normal(30, 4, 14)


def scores(values: Sequence[float] | Floats, name: str = "psnr", version: int = 1, **more: Any) -> MetricScores:
    facts = {"psnr": ("dB", True, 2), "ssim": ("", True, 4), "lpips": ("", False, 4)}[name]
    unit, higher, digits = facts
    return MetricScores(
        unit=unit,
        higher_is_better=higher,
        digits=digits,
        version=version,
        space="channel",
        values=[float(value) for value in values],
        **more,
    )


def cell(checkpoint: str, gain: float = 0.0, n: int = 14, **fields: Any) -> Result:
    values = IMAGES[:n] + gain
    preset = PRESETS[fields.pop("preset", "standard")]
    usual: dict[str, Any] = {
        "checkpoint": checkpoint,
        "model": re.sub(r"_x\d.*", "", checkpoint),
        "dataset": "set14",
        "scale": 4,
        "protocol": preset.id,
        "protocol_fields": preset.model_dump(),
        "images": [f"{i:02}" for i in range(n)],
        "metrics": {"psnr": scores(values), "ssim": scores(values / 40, "ssim")},
        "parameters": 12_345,
        "data_sha256": "d" * 64,
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Result(**{**usual, **fields})


def bare(checkpoint: str, status: str = "no_weights", reason: str = "no checkpoint yet", **fields: Any) -> Result:
    return cell(checkpoint, status=status, reason=reason, images=[], metrics={}, **fields)


def only(results: Sequence[Result]) -> Table:
    [table] = build_leaderboard(results)
    return table


def row(table: Table, checkpoint: str) -> dict[str, Any]:
    [found] = [record for record in table.records if record["checkpoint"] == checkpoint]
    return found


def measured(table: Table) -> list[str]:
    return [record["checkpoint"] for record in table.records if record["kind"] != "published"]


# Tables


def test_a_table_a_dataset_scale_and_protocol() -> None:
    results = [
        cell("bicubic"),
        cell("bicubic", dataset="set5", n=5),
        cell("bicubic", scale=2),
        cell("bicubic", preset="rgb"),
    ]
    tables = build_leaderboard(results)
    assert [(t.dataset, t.scale, t.protocol) for t in tables] == [
        ("set14", 2, "standard.v1"),
        ("set14", 4, "rgb.v1"),
        ("set14", 4, "standard.v1"),
        ("set5", 4, "standard.v1"),
    ]
    assert build_leaderboard([]) == []


def test_rank_is_by_mean_and_shared_where_the_test_sees_nothing() -> None:
    noise = np.tile([0.3, -0.3], 7)
    alike = cell("b_x4.c", metrics={"psnr": scores(IMAGES + 0.49 + noise)})
    table = only([cell("d_x4.c", -1.0), alike, cell("a_x4.c", 0.5), cell("c_x4.c", 0.0)])
    assert measured(table) == ["a_x4.c", "b_x4.c", "c_x4.c", "d_x4.c"]
    assert [record["rank"] for record in table.records][:4] == [1, 1, 3, 4]
    assert table.separable
    assert table.images == 14


def test_mean_and_interval_are_not_rounded() -> None:
    record = row(only([cell("a_x4.c")]), "a_x4.c")
    assert record["psnr"] == pytest.approx(IMAGES.mean(), rel=1e-15)
    assert record["psnr_low"] < record["psnr"] < record["psnr_high"]
    assert record["ssim"] == pytest.approx(IMAGES.mean() / 40, rel=1e-14)


def test_five_images_cannot_separate() -> None:
    table = only([cell("a_x4.c", 3.0, n=5), cell("b_x4.c", 0.0, n=5)])
    assert not table.separable
    assert [record["rank"] for record in table.records][:2] == [1, 1]
    assert "cannot separate models: the least p that the paired test can give is .0625" in render_table(table)


def test_lower_is_better_is_respected() -> None:
    low, high = scores([0.1] * 7 + [0.2] * 7, "lpips"), scores([0.3] * 7 + [0.4] * 7, "lpips")
    table = only([cell("a_x4.c", metrics={"lpips": high}), cell("b_x4.c", metrics={"lpips": low})])
    assert measured(table) == ["b_x4.c", "a_x4.c"]
    assert "**0.1500**" in render_table(table)


def test_a_cell_without_number_keeps_its_row_and_reason() -> None:
    table = only([cell("a_x4.c"), bare("drrn"), bare("b_x4.c", "oom", "needed 9 GB")])
    record = row(table, "drrn")
    assert (record["status"], record["reason"]) == ("no_weights", "no checkpoint yet")
    assert math.isnan(record["psnr"])
    text = render_table(table)
    assert "- drrn: `no_weights`, no checkpoint yet" in text
    assert "- b_x4.c: `oom`, needed 9 GB" in text
    assert measured(table)[0] == "a_x4.c"
    [only_bare] = build_leaderboard([bare("drrn")])
    assert measured(only_bare) == ["drrn"]
    assert "No cell has a number." in render_table(only_bare)


def test_no_weights_leaves_when_a_checkpoint_of_the_model_has_a_number() -> None:
    trained = cell("fsrcnn_x4.common", model="fsrcnn")
    assert measured(only([trained, bare("fsrcnn"), bare("drrn")])) == ["fsrcnn_x4.common", "drrn"]
    elsewhere = cell("fsrcnn_x4.common", model="fsrcnn", dataset="set5", n=5)
    tables = build_leaderboard([elsewhere, bare("fsrcnn")])
    assert "fsrcnn" in measured(tables[0])


def test_older_versions_of_a_metric_are_not_ranked() -> None:
    old = cell("a_x4.c", 9.0)
    ssim = {"ssim": scores(IMAGES / 40, "ssim")}
    half = cell("b_x4.c", 1.0, metrics={"psnr": scores(IMAGES + 1, version=2), **ssim})
    new_ssim = {"ssim": scores(IMAGES / 40, "ssim", version=3)}
    new = cell("c_x4.c", 0.0, metrics={"psnr": scores(IMAGES, version=2), **new_ssim})
    table = only([old, half, new])
    assert measured(table)[:2] == ["b_x4.c", "c_x4.c"]
    assert row(table, "a_x4.c")["status"] == "outdated"
    assert row(table, "b_x4.c")["ssim_status"] == "outdated"
    assert "`outdated`, measured with version 1 of ssim; now 3" in render_table(table)


def test_older_versions_of_a_protocol_are_not_ranked() -> None:
    old, gone = cell("a_x4.c", 9.0), cell("b_x4.c", 8.0)
    table = only([old, gone, cell("a_x4.c", 0.0, protocol="standard.v10"), cell("c_x4.c", 0.0, protocol="standard.v2")])
    assert table.protocol == "standard.v10"
    assert measured(table) == ["a_x4.c", "b_x4.c", "c_x4.c"]
    assert row(table, "a_x4.c")["psnr"] == pytest.approx(IMAGES.mean())
    assert row(table, "b_x4.c")["reason"] == "measured under standard.v1; now standard.v10"


def test_other_images_are_not_ranked_together() -> None:
    table = only([cell("a_x4.c"), cell("b_x4.c"), cell("c_x4.c", 9.0, data_sha256="e" * 64), cell("d_x4.c", 9.0, n=13)])
    assert [record["rank"] for record in table.records][:2] == [1, 1]
    assert row(table, "c_x4.c")["status"] == row(table, "d_x4.c")["status"] == "other_data"


def test_infinite_means_rank_first_and_read_so() -> None:
    perfect = cell("a_x4.c", metrics={"psnr": scores([math.inf] * 14)})
    table = only([cell("b_x4.c"), perfect])
    assert measured(table) == ["a_x4.c", "b_x4.c"]
    assert "| **∞** |" in render_table(table)
    assert leaderboard_rows([perfect])[0]["psnr"] == "inf"


def test_a_metric_may_lack_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    lpips = MetricScores(
        unit="",
        higher_is_better=False,
        digits=4,
        version=1,
        space="rgb",
        status="unavailable",
        reason="no net",
        values=[],
    )
    with_lpips = {"psnr": scores(IMAGES), "lpips": scores(IMAGES / 100, "lpips")}
    table = only([cell("a_x4.c", metrics={"psnr": scores(IMAGES), "lpips": lpips}), cell("b_x4.c", metrics=with_lpips)])
    assert row(table, "a_x4.c")["rank"] == 1
    assert "- a_x4.c (lpips): `unavailable`, no net" in render_table(table)
    nothing = only([cell("a_x4.c", metrics={"lpips": lpips})])
    assert row(nothing, "a_x4.c")["status"] == "unavailable"
    nowhere = only([cell(name, metrics={"psnr": scores(IMAGES), "lpips": lpips}) for name in ("a_x4.c", "b_x4.c")])
    assert [info.name for info in nowhere.metrics] == ["psnr", "lpips"]
    assert row(nowhere, "b_x4.c")["lpips_status"] == "unavailable"
    assert render_table(nowhere).count("| `unavailable` |") == 2
    assert "- a_x4.c (lpips), b_x4.c (lpips): `unavailable`, no net" in render_table(nowhere)
    mixed = only([cell("a_x4.c", metrics={"psnr": lpips, "ssim": scores(IMAGES / 40, "ssim")})])
    assert mixed.primary == "ssim"
    print_leaderboard([cell("a_x4.c", metrics={"psnr": scores(IMAGES), "lpips": lpips})])
    shown = capsys.readouterr().out
    assert "LPIPS" in shown
    assert "a_x4.c (lpips): unavailable, no net" in shown


# Published figures


def test_published_stands_only_beside_its_own_protocol() -> None:
    classic, standard = cell("fsrcnn_x4.c", preset="classic"), cell("fsrcnn_x4.c")
    tables = {table.protocol: row(table, "fsrcnn_x4.c") for table in build_leaderboard([classic, standard])}
    assert tables["classic.v1"]["psnr_published"] == 27.59
    assert tables["classic.v1"]["psnr_delta"] == pytest.approx(IMAGES.mean() - 27.59)
    assert "ASSLN" in tables["classic.v1"]["psnr_source"]
    assert "trained on T91 + General-100" in tables["classic.v1"]["psnr_source"]
    assert math.isnan(tables["standard.v1"]["psnr_published"])
    assert math.isnan(tables["standard.v1"]["psnr_delta"])


def test_published_is_of_the_same_network_and_way() -> None:
    plain, tiled = cell("edsr_x4.c"), cell("edsr_x4.c", variant="tile128")
    skip, wide = cell("edsr_x4.d", options={"skip": "bicubic"}), cell("edsr_x4.e", options={"features": 8})
    rows = {(r["checkpoint"], r["variant"]): r["psnr_published"] for r in only([plain, tiled, skip, wide]).records}
    assert rows["edsr_x4.c", ""] == rows["edsr_x4.d", ""] == 28.8
    assert math.isnan(rows["edsr_x4.c", "tile128"])
    assert math.isnan(rows["edsr_x4.e", ""])
    figure = find_figure("edsr", "div2k-val", 4, "div2k-edsr.v1", "psnr", "ensemble")
    assert figure is not None
    assert figure.value == 29.38


def test_models_that_were_only_published_stand_below() -> None:
    table = only([cell("edsr_x4.c"), bare("drrn")])
    names = [record["checkpoint"] for record in table.records]
    assert names[:2] == ["edsr_x4.c", "drrn"]
    assert "rcan" in names[2:]
    assert "edsr" not in names
    assert row(table, "rcan")["psnr_published"] == 28.87
    assert pd.isna(row(table, "rcan")["rank"])


def test_published_data() -> None:
    rows = read_published()
    assert len(rows) == 577
    ids = {preset.id for preset in PRESETS.values()}
    heads = set()
    for figure in rows:
        assert figure["source"]
        assert figure["protocol"] in ids | {""}
        assert figure["headline"] in ("", "yes")
        if figure["protocol"]:
            assert float(figure["value"]) > 0
            assert figure["metric"] in ("psnr", "ssim", "lpips")
        if figure["headline"]:
            key = tuple(figure[name] for name in ("model", "scale", "dataset", "metric", "protocol", "inference"))
            assert key not in heads
            heads.add(key)
    bicubic = find_figure("bicubic", "set5", 4, "classic.v1", "psnr")
    assert bicubic is not None
    assert bicubic.value == 28.42
    assert published_models("set14", 4, "classic.v1") == [
        "bicubic",
        "drrn",
        "espcn",
        "fsrcnn",
        "srcnn",
        "vdsr",
    ]
    assert {"btsrn", "carn_m"} <= set(published_models("set14", 4, "standard.v1"))  # RGB networks of one table


def test_speed_is_joined_by_checkpoint() -> None:
    speed = pd.DataFrame({"checkpoint": ["b_x4.c", "other"], "latency_ms": [12.34, 1.0], "mult_adds": [4.6e9, 1.0]})
    results = [cell("a_x4.c", 1.0), cell("b_x4.c"), bare("drrn")]
    [table] = build_leaderboard(results, speed)
    assert row(table, "b_x4.c")["latency_ms"] == 12.34
    assert math.isnan(row(table, "a_x4.c")["latency_ms"])
    text = render_table(table)
    assert "| mult-adds | latency (ms) |" in text
    assert "| 4,600,000,000 | 12.3 |" in text
    assert "latency" not in render_table(only(results))
