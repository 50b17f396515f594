"""The spread between seeds in the leaderboard, and the tables of zoo/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srbench.errors import InputError
from srbench.markdown import marks
from srbench.reports.files import stale_files, write_reports
from srbench.reports.order import render_order
from srbench.reports.tables import build_tables, overview
from srbench.reports.tables.order import order_of
from srbench.reports.training import render_curves
from srbench.results import Result
from srbench.zoo import Card
from tests.builders import make_card


def test_seeds_of_one_recipe_share_a_spread_and_nothing_else_does() -> None:
    reached = {"tuned": 30.75, "tuned-seed1": 30.71, "tuned-seed2": 30.73, "paper": 30.61, "tuned-seed4": 30.0}
    cards = [card("fsrcnn", [], recipe=recipe, seed=int(recipe[-1]) if "seed" in recipe else 0) for recipe in reached]
    cards[-1] = cards[-1].model_copy(update={"config": {"batch": 8}})
    results = [result(f"fsrcnn_x4.{recipe}", "set5", [psnr] * 5) for recipe, psnr in reached.items()]
    results.append(result("fsrcnn_x4.tuned", "set5", [30.8] * 5, variant="x8"))
    results.append(result("fsrcnn_x4.tuned-seed3", "set5", [], status="oom", reason="too large"))
    [table] = build_tables(results, cards=cards)
    seeds = {row.who.name: row.seeds for row in table.rows}
    found = seeds["fsrcnn_x4.tuned-seed1"]
    assert found is not None
    assert (found.count, found.mean["psnr"]) == (3, pytest.approx(30.73))
    assert found.spread["psnr"] == pytest.approx(0.02), "standard deviation"
    assert seeds["fsrcnn_x4.tuned"] == seeds["fsrcnn_x4.tuned-seed2"] == found
    assert seeds["fsrcnn_x4.paper"] is seeds["fsrcnn_x4.tuned+x8"] is None
    assert seeds["fsrcnn_x4.tuned-seed4"] is None, "another batch is another recipe"


def test_the_overview_merges_seeds_and_takes_the_best_recipe() -> None:
    cards = [
        card("fsrcnn", [], recipe=recipe, seed=seed)
        for recipe, seed in (("tuned", 0), ("tuned-seed1", 1), ("paper", 0))
    ]
    means = {"tuned": 30.7, "tuned-seed1": 30.74, "paper": 30.73}
    results = [result(f"fsrcnn_x4.{recipe}", "set5", [psnr] * 5) for recipe, psnr in means.items()]
    found = overview(build_tables(results, cards=cards))
    assert found is not None
    [row] = found.rows
    assert row.who.checkpoint == "fsrcnn_x4.paper", "30.73 is above the seeds' mean of 30.72"
    results[2] = result("fsrcnn_x4.paper", "set5", [30.0] * 5)
    found = overview(build_tables(results, cards=cards))
    assert found is not None
    [row] = found.rows
    cell = row.cells["set5"]
    assert cell is not None
    assert (row.who.checkpoint, row.seeds) == ("fsrcnn_x4.tuned", 2)
    assert cell.mean == pytest.approx(30.72)
    assert cell.spread == pytest.approx(0.04 / 2**0.5)


def card(name: str, curve: list[dict[str, Any]], recipe: str = "tuned", seed: int = 0) -> Card:
    facts = {"steps": 1234, "seed": seed, "hardware": "a machine, 1 threads", "wall_time_s": 1.0, "precision": "bf16"}
    return make_card(name, recipe, config={"batch": 16, "patch": 24}, curve=curve, **facts)


def test_minutes_are_read_from_the_curve() -> None:
    points = [(50.0, 27.0), (110.0, 28.125), (290.0, 28.0), (301.0, 28.5)]
    slow = card("fsrcnn", [{"step": 1, "seconds": s, "val_psnr": p} for s, p in points])
    quick = card("espcn", [{"step": 1, "seconds": 30.0, "val_psnr": 29.0}])
    others = [card("srcnn", []), card("vdsr", quick.curve, recipe="paper")]
    lines = render_curves([slow, quick, *others]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert cells == [
        ["espcn_x4.tuned", *6 * ["–"], "**29.00**", "0.5", "1,234", "16 × 24²", "a machine, 1 threads"],
        ["fsrcnn_x4.tuned", "27.00", "28.12", "28.50", *3 * ["–"], "**28.50**", "5.0", *cells[0][-3:]],
    ]
    assert "trained by the tuned recipe yet" in render_curves(others)


def test_the_zoos_readme_is_generated_between_its_marks_and_checked(tmp_path: Path) -> None:
    readme = tmp_path / "zoo" / "README.md"
    readme.parent.mkdir()
    curves, order = marks("curves"), marks("order")
    readme.write_text(f"before\n{curves[0]}\nold\n{curves[1]}\n{order[0]}\nold\n{order[1]}\nafter\n")
    assert readme in stale_files([], tmp_path)
    assert readme in write_reports([], tmp_path)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "measured on Set14 yet" in text
    assert readme not in stale_files([], tmp_path)
    readme.write_text(curves[0])
    with pytest.raises(InputError, match="without"):
        stale_files([], tmp_path)


def result(checkpoint: str, dataset: str, scores: list[float], **changes: Any) -> Result:
    score = {"unit": "dB", "higher_is_better": True, "digits": 2, "version": 1, "space": "y", "values": scores}
    facts = {
        "checkpoint": checkpoint,
        "model": checkpoint.partition("_x4")[0],
        "dataset": dataset,
        "scale": 4,
        "weights_sha256": "",
        "protocol": "standard.v1",
        "images": [f"p{index}" for index in range(len(scores))],
        "metrics": {"psnr": score} if scores else {},
    }
    return Result.model_validate(facts | changes)


def test_architectures_stand_in_their_order_beside_the_published_one() -> None:
    cards = [card(name, []) for name in ("espcn", "fsrcnn", "msrresnet", "vdsr")]
    others = [card("srcnn", [], recipe="paper"), card("srcnn", [], recipe="tuned-seed1", seed=1)]
    base = [26.0 + index / 10 for index in range(14)]
    lead = [0.1 * (1 + index / 14) for index in range(14)]
    found = [
        result("espcn_x4.tuned", "set14", base),
        result("fsrcnn_x4.tuned", "set14", [a + b for a, b in zip(base, lead, strict=True)]),
        result("fsrcnn_x4.tuned", "set5", [30.0, 31.0]),
        result("fsrcnn_x4.tuned", "set14", [40.0] * 14, variant="x8"),
        result("fsrcnn_x4.tuned", "set14", [40.0] * 14, protocol="classic.v1"),
        result("msrresnet_x4.tuned", "set14", [value + 1 for value in base]),
        result("vdsr_x4.tuned", "set14", [], status="oom", reason="too large"),
        *(result(other.name, "set14", [40.0] * 14) for other in others),
    ]
    lines = render_order(order_of([*cards, *others], found)).splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows == [
        ["1", "msrresnet_x4.tuned", "0", "–", "27.65", "–", "–", "–"],
        ["2", "fsrcnn_x4.tuned", "0", "30.50", "26.80", "0.85", "27.59 (classic)", "2"],
        ["3", "espcn_x4.tuned", "0", "–", "26.65", "0.15", "27.73 (classic)", "1"],
    ]
    assert "measured on Set14 yet" in render_order(order_of(others, found))
