"""Whatever stands in a record is text: no report makes markup, HTML or a heading of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.results import Result, write_result
from srbench.speed_results import SpeedResult, VariantSpeed, write_speed
from tests.test_reports import cell

EVIL = "<script>alert(1)</script>|<img src=x onerror=alert(2)>\n# heading [a](javascript:alert(3)) \"'&"
LIVE = re.compile(r"<script>alert|<img src=x|^# heading|(?<!\\)\]\(javascript", re.MULTILINE)


def spoilt(value: Any, path: str = "") -> Any:
    """The values of a record, each free text with markup behind it."""
    fixed = {
        "checkpoint",
        "model",
        "dataset",
        "protocol",
        "status",
        "data_sha256",
        "created",
        "cell_hash",
        "kind",
        "device",
    }
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, list):
        return [spoilt(item) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in fixed or key == "protocol_fields" else spoilt(item, key)
            for key, item in ((k + EVIL if path in ("options", "provenance") else k, v) for k, v in value.items())
        }
    return value


@pytest.fixture
def home(srbench_home: Path) -> Path:
    """Records of the zoo and of one's own, with and without numbers, and of speed."""
    for own, dataset in ((False, "set5"), (True, "dir-mine")):
        for name, gain in (("bicubic", 0.0), ("fsrcnn_x4.tuned", 1.0), ("vdsr_x4.tuned", 2.0)):
            made = cell(name, gain, dataset=dataset, own=own, notes=["note"], provenance={"commit": "1"})
            write_result(Result.model_validate(spoilt(made.model_dump())))
    for status in ("oom", "failed", "no_weights"):
        write_result(cell(f"espcn_x4.{status}", dataset="set5", status=status, reason=EVIL, images=[], metrics={}))
    speed = SpeedResult(
        name="fsrcnn", model="fsrcnn", scale=4, random_weights=True, device="cpu", device_type="cpu", device_name="CPU",
        torch="2", threads=1, input=(180, 320), output=(720, 1280), run="now", seconds=1.0, spread_limit=0.1,
        driver="d", psnr_set="s", same_as="t", provenance={"commit": "1"},
        variants={
            "eager": VariantSpeed(n=3, times_ms=[2.0, 2.5, 2.25], median_ms=2.25, sweep_end="end"),
            f"bf16{EVIL}": VariantSpeed(status="failed", reason="why"),
        },
    )  # fmt: skip
    values = spoilt(speed.model_dump(mode="json"))
    values["variants"]["eager"]["status"], values["variants"][f"bf16{EVIL}"]["status"] = "ok", "failed"
    kept = {"name": "fsrcnn", "model": "fsrcnn", "device_type": "cpu", "kind": "speed"}
    write_speed(SpeedResult.model_validate(values | kept))
    return srbench_home


def test_no_report_makes_markup_of_what_a_record_says(home: Path) -> None:
    done = CliRunner().invoke(main, ["report"])
    assert done.exit_code == 0, done.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in (home / "reports").rglob("*.md")}
    assert {path.name for path in pages} >= {"leaderboard.md", "own.md", "speed.md"}
    for path, text in pages.items():
        assert EVIL[:8] not in text
        assert "&lt;script>" in text or path.name == "training.md", f"{path.name} shows none of it"
        found = LIVE.search(text)
        assert found is None, f"{path.name}: {text[max(0, found.start() - 80) : found.end() + 20]!r}"


def test_the_page_and_the_figures_hold_no_tag_of_a_record(home: Path) -> None:
    assert CliRunner().invoke(main, ["report"]).exit_code == 0
    page = (home / "reports" / "index.html").read_text(encoding="utf-8")
    assert "script>alert(1)" in page, "it is not there at all"
    for text in (page, *(path.read_text(encoding="utf-8") for path in (home / "reports").rglob("*.svg"))):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "Content-Security-Policy" in page
