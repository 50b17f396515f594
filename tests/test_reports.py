"""Ranked tables from synthetic records, and the files that are rendered from them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from srbench.protocol import PRESETS
from srbench.reports import build_tables
from srbench.reports.markdown import render_table
from srbench.reports.plain import leaderboard_rows
from srbench.reports.tables.published import find_figure, published_models, read_published
from srbench.reports.tables.rows import Row, Table
from srbench.reports.terminal import render
from srbench.results import MetricScores, Result
from srbench.stats import Floats, mean_interval
from srbench.zoo import Card
from tests.builders import make_card

IMAGES = np.random.default_rng(7).normal(30, 4, 14)


def scores(values: Sequence[float] | Floats, name: str = "psnr", version: int = 1, **more: Any) -> MetricScores:
    facts = {"psnr": ("dB", True, 2), "lpips": ("", False, 4)}.get(name, ("", True, 4))
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


def only(results: Sequence[Result], **more: Any) -> Table:
    [table] = build_tables(results, **more)
    return table


def row(table: Table, checkpoint: str, variant: str = "") -> Row:
    found = table.row(checkpoint, variant)
    assert found is not None
    return found


def measured(table: Table) -> list[str]:
    return [row.who.checkpoint for row in table.rows]


def absent(table: Table) -> dict[str, tuple[str, str]]:
    return {entry.who.checkpoint: (entry.status, entry.reason) for entry in table.absent}


# Tables


def test_a_table_a_dataset_scale_and_protocol() -> None:
    results = [
        cell("bicubic"),
        cell("bicubic", dataset="set5", n=5),
        cell("bicubic", scale=2),
        cell("bicubic", preset="rgb"),
    ]
    tables = build_tables(results)
    assert [(t.dataset, t.scale, t.protocol) for t in tables] == [
        ("set5", 4, "standard.v1"),
        ("set14", 2, "standard.v1"),
        ("set14", 4, "rgb.v1"),
        ("set14", 4, "standard.v1"),
    ]
    assert build_tables([]) == []


def test_rank_is_by_mean_with_the_ranks_that_other_images_might_give() -> None:
    noise = np.tile([0.3, -0.3], 7)
    alike = cell("b_x4.c", metrics={"psnr": scores(IMAGES + 0.49 + noise)})
    table = only([cell("d_x4.c", -1.0), alike, cell("a_x4.c", 0.5), cell("c_x4.c", 0.0)])
    assert measured(table) == ["a_x4.c", "b_x4.c", "c_x4.c", "d_x4.c"]
    ranks = [row.rank for row in table.rows]
    assert [(r.place, r.low, r.high, r.alike) for r in ranks if r] == [
        (1, 1, 2, 1),
        (2, 1, 2, 1),
        (3, 3, 3, 3),
        (4, 4, 4, 4),
    ]
    assert sum(r.first or 0.0 for r in ranks if r) == pytest.approx(1.0)
    assert ranks[0] is not None
    assert 0.4 < (ranks[0].first or 0) < 0.7
    assert table.separable
    assert len(table.images) == 14
    assert "| 1 [1–2] | A |" in render_table(table)


def test_mean_and_interval_are_not_rounded() -> None:
    score = row(only([cell("a_x4.c")]), "a_x4.c").scores["psnr"]
    assert score.mean == pytest.approx(IMAGES.mean(), rel=1e-15)
    assert score.interval is not None
    assert score.interval[0] < (score.mean or 0) < score.interval[1]
    assert score.values == pytest.approx(IMAGES)


def test_five_images_cannot_separate_and_still_have_an_order() -> None:
    """Nearest neighbour once shared rank 1 with the best network there."""
    table = only([cell("a_x4.c", 3.0, n=5), cell("b_x4.c", 0.0, n=5), cell("c_x4.c", 1.0, n=5)])
    assert not table.separable
    assert [(r.rank.place, r.rank.low, r.rank.first) for r in table.rows if r.rank] == [
        (1, None, None),
        (2, None, None),
        (3, None, None),
    ]
    text = render_table(table)
    assert "| 1 ≈ |" in text
    assert "| 3 ≈ |" in text
    assert "the least p that the paired test can give with so few images is .0625" in text


def test_few_images_show_the_paired_difference_in_the_place_of_an_interval() -> None:
    away = np.array([0.1, 0.2, 0.15, 0.12, 0.18])
    second = cell("b_x4.c", n=5, metrics={"psnr": scores(IMAGES[:5] - away)})
    table = only([cell("a_x4.c", n=5), second])
    behind = row(table, "b_x4.c").scores["psnr"].behind
    assert behind is not None
    assert behind.mean == pytest.approx(-0.15)
    assert behind.interval == pytest.approx(mean_interval(-away))
    assert row(table, "a_x4.c").scores["psnr"].behind is None
    assert "(−0.15 [−0.20, −0.10])" in render_table(table)


def test_no_interval_leaves_the_range_of_its_metric() -> None:
    """SSIM once had an interval up to 1.004."""
    values = [0.999, 0.99, 0.9, 0.5, 0.4]
    table = only([cell("a_x4.c", n=5, metrics={"ssim": scores(values, "ssim")})])
    interval = row(table, "a_x4.c").scores["ssim"].interval
    free = mean_interval(values)
    assert interval is not None
    assert free is not None
    assert interval == (free[0], min(1.0, free[1]))
    assert free[1] > 1.0


def test_lower_is_better_is_respected() -> None:
    low, high = scores([0.1] * 7 + [0.2] * 7, "lpips"), scores([0.3] * 7 + [0.4] * 7, "lpips")
    table = only([cell("a_x4.c", metrics={"lpips": high}), cell("b_x4.c", metrics={"lpips": low})])
    assert measured(table) == ["b_x4.c", "a_x4.c"]
    assert "**0.1500**" in render_table(table)


def test_a_cell_without_number_is_named_with_its_reason() -> None:
    table = only([cell("a_x4.c"), bare("drrn"), bare("b_x4.c", "oom", "needed 9 GB")])
    assert measured(table) == ["a_x4.c"]
    assert absent(table) == {"drrn": ("no_weights", "no checkpoint yet"), "b_x4.c": ("oom", "needed 9 GB")}
    text = render_table(table)
    assert "- `no_weights`: DRRN: no checkpoint yet" in text
    assert "- `oom`: B: needed 9 GB" in text
    [only_bare] = build_tables([bare("drrn")])
    assert list(absent(only_bare)) == ["drrn"]
    assert "No cell has a number." in render_table(only_bare)


def test_no_weights_leaves_when_a_checkpoint_of_the_model_has_a_number() -> None:
    trained = cell("fsrcnn_x4.tuned", model="fsrcnn")
    assert list(absent(only([trained, bare("fsrcnn"), bare("drrn")]))) == ["drrn"]
    elsewhere = cell("fsrcnn_x4.tuned", model="fsrcnn", dataset="set5", n=5)
    tables = build_tables([elsewhere, bare("fsrcnn")])
    assert list(absent(tables[1])) == ["fsrcnn"]


def card(name: str, **changes: Any) -> Card:
    model, _, recipe = name.partition("_x4.")
    facts = {"channels": "rgb", "wall_time_s": 90.0, "precision": "bf16", "sha256": "now", "created": "2026-01-02"}
    return make_card(model, recipe, **(facts | changes))


@pytest.mark.parametrize("recorded", [False, True], ids=["without records", "with records of them"])
def test_cells_that_can_have_no_number_follow_from_zoo_and_protocol(recorded: bool) -> None:
    cards = [card("edsr_x4.tuned"), card("espcn_x4.tuned", channels="y")]
    results = [cell("espcn_x4.tuned", preset=preset, weights_sha256="now") for preset in ("classic", "standard")]
    if recorded:
        results += [
            bare("drrn", preset="classic"),
            bare("edsr_x4.tuned", "unsupported_protocol", "luma alone", preset="classic"),
            bare("rrdb", "unsupported_protocol", "luma alone", preset="classic"),
            bare("drrn"),
            bare("rrdb"),
        ]
    classic, standard = build_tables(results, cards=cards)
    found = absent(classic)
    assert found["edsr_x4.tuned"][0] == found["rrdb"][0] == "unsupported_protocol"
    assert found["drrn"][0] == "no_weights"
    assert {"espcn", "bicubic", "edsr"} & set(found) == set()
    assert absent(standard)["rrdb"][0] == "no_weights"
    assert "edsr_x4.tuned" not in absent(standard), "it can be measured"
    lines = [line for line in render_table(classic).splitlines() if line.startswith("- `")]
    assert [line.split("`")[1] for line in lines] == ["no_weights", "unsupported_protocol"], "a line a status"


def test_a_record_of_replaced_weights_has_no_number() -> None:
    table = only([cell("espcn_x4.tuned", weights_sha256="before")], cards=[card("espcn_x4.tuned")])
    assert absent(table)["espcn_x4.tuned"][0] == "outdated"
    older = cell("mine", weights_sha256="a" * 64, dataset="set5", n=5)
    newer = cell("mine", weights_sha256="b" * 64, created="2026-02-01T00:00:00+00:00")
    tables = {table.dataset: table for table in build_tables([older, newer])}
    assert measured(tables["set14"]) == ["mine"]
    assert absent(tables["set5"])["mine"][0] == "outdated", "two trainings of one name are not mixed"


def test_older_versions_of_a_metric_are_not_ranked() -> None:
    old = cell("a_x4.c", 9.0)
    ssim = {"ssim": scores(IMAGES / 40, "ssim")}
    half = cell("b_x4.c", 1.0, metrics={"psnr": scores(IMAGES + 1, version=2), **ssim})
    new_ssim = {"ssim": scores(IMAGES / 40, "ssim", version=3)}
    new = cell("c_x4.c", 0.0, metrics={"psnr": scores(IMAGES, version=2), **new_ssim})
    table = only([old, half, new])
    assert measured(table)[:2] == ["b_x4.c", "c_x4.c"]
    assert absent(table)["a_x4.c"][0] == "outdated"
    assert row(table, "b_x4.c").scores["ssim"].status == "outdated"
    assert "measured with version 1 of ssim; now 3" in render_table(table)


def test_older_versions_of_a_protocol_are_not_ranked() -> None:
    old, gone = cell("a_x4.c", 9.0), cell("b_x4.c", 8.0)
    table = only([old, gone, cell("a_x4.c", 0.0, protocol="standard.v10"), cell("c_x4.c", 0.0, protocol="standard.v2")])
    assert table.protocol == "standard.v10"
    assert measured(table) == ["a_x4.c"]
    assert row(table, "a_x4.c").scores["psnr"].mean == pytest.approx(IMAGES.mean())
    assert absent(table)["b_x4.c"] == ("outdated", "measured under standard.v1; now standard.v10")


def test_other_images_are_not_ranked_together() -> None:
    table = only([cell("a_x4.c"), cell("b_x4.c"), cell("c_x4.c", 9.0, data_sha256="e" * 64), cell("d_x4.c", 9.0, n=13)])
    assert measured(table) == ["a_x4.c", "b_x4.c"]
    assert absent(table)["c_x4.c"][0] == absent(table)["d_x4.c"][0] == "other_data"


def test_records_that_contradict_each_other_are_set_aside() -> None:
    other = dict(PRESETS["standard"].model_dump()) | {"luma": "rounded"}
    turned = scores(IMAGES).model_copy(update={"higher_is_better": False})
    table = only(
        [
            cell("a_x4.c"),
            cell("b_x4.c", 1.0),
            cell("c_x4.c", 9.0, protocol_fields=other),
            cell("d_x4.c", metrics={"psnr": turned, "ssim": scores(IMAGES / 40, "ssim")}),
        ]
    )
    assert measured(table) == ["b_x4.c", "a_x4.c", "d_x4.c"]
    assert absent(table)["c_x4.c"][0] == "contradiction"
    assert row(table, "d_x4.c").scores["psnr"].status == "contradiction"
    assert row(table, "d_x4.c").rank is None


def test_infinite_means_rank_first_and_read_so() -> None:
    perfect = cell("a_x4.c", metrics={"psnr": scores([math.inf] * 14)})
    table = only([cell("b_x4.c"), perfect])
    assert measured(table) == ["a_x4.c", "b_x4.c"]
    assert "| **∞** |" in render_table(table)
    assert leaderboard_rows([only([perfect])])[0]["psnr"] == "inf"


def test_a_metric_may_lack_a_number() -> None:
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
    rank = row(table, "a_x4.c").rank
    assert rank is not None
    assert rank.place == 1
    assert "- `unavailable`: A (lpips): no net" in render_table(table)
    nothing = only([cell("a_x4.c", metrics={"lpips": lpips})])
    assert absent(nothing)["a_x4.c"][0] == "unavailable"
    both = only([cell(name, metrics={"psnr": scores(IMAGES), "lpips": lpips}) for name in ("a_x4.c", "b_x4.c")])
    assert [info.name for info in both.metrics] == ["psnr", "lpips"]
    assert render_table(both).count("| `unavailable` |") == 2
    mixed = only([cell("a_x4.c", metrics={"psnr": lpips, "ssim": scores(IMAGES / 40, "ssim")})])
    assert mixed.primary is not None
    assert mixed.primary.name == "ssim"
    assert "unavailable: lpips of A on set14 ×4, standard.v1: no net" in render([table], 80)


def test_own_records_stay_out_where_the_zoo_alone_is_wanted() -> None:
    results = [cell("a_x4.c"), cell("mine", 1.0, own=True), cell("bicubic", dataset="dir-photos")]
    assert measured(build_tables(results)[-1]) == ["mine", "a_x4.c"]
    tables = build_tables(results, own=False)
    assert [table.dataset for table in tables] == ["set14"]
    assert measured(tables[0]) == ["a_x4.c"]
    rank = row(tables[0], "a_x4.c").rank
    assert rank is not None
    assert rank.place == 1


# Published figures


def test_published_stands_only_beside_its_own_protocol() -> None:
    classic, standard = cell("fsrcnn_x4.c", preset="classic"), cell("fsrcnn_x4.c")
    tables = {table.protocol: row(table, "fsrcnn_x4.c").scores["psnr"] for table in build_tables([classic, standard])}
    figure = tables["classic.v1"].published
    assert figure is not None
    assert figure.value == 27.59
    assert tables["classic.v1"].delta == pytest.approx(IMAGES.mean() - 27.59)
    assert "ASSLN" in figure.note
    assert "trained on T91 + General-100" in figure.note
    assert tables["standard.v1"].published is None
    assert tables["standard.v1"].delta is None


def test_published_is_of_the_same_network_and_way() -> None:
    plain, tiled = cell("edsr_x4.c"), cell("edsr_x4.c", variant="tile128")
    skip, wide = cell("edsr_x4.d", options={"skip": "bicubic"}), cell("edsr_x4.e", options={"features": 8})
    own = cell("edsr_x4.f", own=True)
    figures = {r.who.key: r.scores["psnr"].published for r in only([plain, tiled, skip, wide, own]).rows}
    values = {key: figure.value for key, figure in figures.items() if figure}
    assert values == {("edsr_x4.c", ""): 28.8, ("edsr_x4.d", ""): 28.8}
    figure = find_figure("edsr", "div2k-val", 4, "div2k-edsr.v1", "psnr", "ensemble")
    assert figure is not None
    assert figure.value == 29.38


def test_models_that_were_only_published_stand_below() -> None:
    table = only([cell("edsr_x4.c"), bare("drrn")])
    found = {row.who.model: row.figures["psnr"].value for row in table.published}
    assert found["rcan"] == 28.87
    assert "edsr" not in found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert "| RCAN (published only) |" in render_table(table)


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


def test_doubtful_numbers_have_a_footnote() -> None:
    from srbench.reports.markdown import render_leaderboard

    said = "below bicubic: 26.81 dB, where bicubic has 28.43 dB from the same LR images"
    text = render_leaderboard(build_tables([cell("a_x4.c", notes=[said]), cell("b_x4.c", -1.0)]))
    (row,) = (line for line in text.splitlines() if line.startswith("| 1 "))
    assert "<sup>1</sup>" in row
    assert f"<sup>1</sup> {said}" in text
