"""The spread between seeds in the leaderboard, and the tables of zoo/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srbench.errors import InputError
from srbench.reports.files import CURVES, stale_files, write_reports
from srbench.reports.leaderboard import MetricInfo
from srbench.reports.seeds import add_seeds
from srbench.reports.training import render_curves
from srbench.zoo import Card

PSNR = MetricInfo("psnr", "dB", True, 2)


def row(checkpoint: str, psnr: float | None, **changes: Any) -> dict[str, Any]:
    status = "ok" if psnr is not None else "oom"
    return {
        "checkpoint": checkpoint,
        "kind": "model",
        "status": status,
        "options": "skip=bicubic",
        "variant": "",
        "precision": "fp32",
        "psnr": psnr,
        "psnr_status": status,
    } | changes


def test_seeds_of_one_recipe_share_a_spread_and_nothing_else_does() -> None:
    rows = [
        row("fsrcnn_x4.common", 30.75),
        row("fsrcnn_x4.common-seed1", 30.71),
        row("fsrcnn_x4.common-seed2", 30.73),
        row("fsrcnn_x4.common-seed3", None),
        row("fsrcnn_x4.common", 30.80, variant="x8"),
        row("fsrcnn_x4.paper", 30.61),
        row("fsrcnn_x2.common-seed1", 36.0),
    ]
    add_seeds(rows, [PSNR])
    assert [r["seeds"] for r in rows] == [3, 3, 3, None, None, None, None]
    assert rows[1]["psnr_spread"] == pytest.approx(0.04)
    assert rows[5]["psnr_spread"] is None


def card(name: str, curve: list[dict[str, Any]], recipe: str = "common") -> Card:
    return Card(
        name=f"{name}_x4.{recipe}",
        model=name,
        scales=[4],
        channels="y",
        recipe=recipe,
        parameters=1,
        data={},
        steps=1234,
        samples_seen=1,
        seed=0,
        commit="",
        hardware="a machine, 1 threads",
        wall_time_s=1.0,
        precision="bf16",
        config={"batch": 16, "patch": 24},
        curve=curve,
    )


def test_minutes_are_read_from_the_curve() -> None:
    points = [(50.0, 27.0), (110.0, 28.125), (290.0, 28.0), (301.0, 28.5)]
    slow = card("fsrcnn", [{"step": 1, "seconds": s, "val_psnr": p} for s, p in points])
    quick = card("espcn", [{"step": 1, "seconds": 30.0, "val_psnr": 29.0}])
    others = [card("srcnn", []), card("vdsr", quick.curve, recipe="paper")]
    lines = render_curves([slow, quick, *others]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert cells == [
        ["espcn_x4.common", *6 * ["–"], "**29.00**", "0.5", "1,234", "16 × 24²", "a machine, 1 threads"],
        ["fsrcnn_x4.common", "27.00", "28.12", "28.50", *3 * ["–"], "**28.50**", "5.0", *cells[0][-3:]],
    ]
    assert "trained by the common recipe yet" in render_curves(others)


def test_the_zoos_readme_is_generated_between_its_marks_and_checked(tmp_path: Path) -> None:
    readme = tmp_path / "zoo" / "README.md"
    readme.parent.mkdir()
    readme.write_text(f"before\n{CURVES[0]}\nold\n{CURVES[1]}\nafter\n")
    assert readme in stale_files([], tmp_path)
    assert readme in write_reports([], tmp_path)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert readme not in stale_files([], tmp_path)
    readme.write_text(CURVES[0])
    with pytest.raises(InputError, match="without"):
        stale_files([], tmp_path)
