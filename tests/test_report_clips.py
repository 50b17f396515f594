"""Clips in reports: means of clips' means, the zoo's in clips.md, one's own in own.md, and why others do not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.clip_results import ClipResult, write_clip_result
from srbench.reports import stale_files, write_reports
from srbench.reports.clips_page import render_clips
from srbench.reports.tables.clips import build_clip_tables
from srbench.results import MetricScores
from tests.builders import write_clips
from tests.test_report_files import grids
from tests.test_reports import card, cell

FRAMES = ["city/0", "city/1", "walk/0", "walk/1", "walk/2"]
PAIRS = ["city/1", "walk/1", "walk/2"]


def frames(*values: float | None, **changes: Any) -> MetricScores:
    facts = {"values": list(values), "space": "Y", "unit": "dB", "higher_is_better": True, "digits": 2, "version": 1}
    return MetricScores(**(facts | changes))


def record(checkpoint: str, gain: float = 0.0, *, tof: MetricScores | None = None, **fields: Any) -> ClipResult:
    psnr = frames(*(value + gain for value in (20.0, 30.0, 40.0, 41.0, 42.0)))
    of = cell(checkpoint, images=FRAMES, metrics={"psnr": psnr}, **{"dataset": "vid4"} | fields)
    flow = tof or frames(0.5, 0.1, 0.3, unit="px", higher_is_better=False)
    return ClipResult(frames=of, pairs=PAIRS, temporal={"tof": flow})


def test_the_total_is_the_mean_of_the_clips_means() -> None:
    [table] = build_clip_tables([record("a_x4.c"), record("b_x4.c", 1.0)])
    assert [row.who.checkpoint for row in table.rows] == ["b_x4.c", "a_x4.c"], "the best first"
    assert table.clips == {"city": 2, "walk": 3}
    assert table.rows[1].means == {"psnr": 33.0, "tof": pytest.approx(0.35)}, (
        "(25 + 41) / 2, and not the mean of five frames"
    )
    assert table.rows[1].clips["walk"] == {"psnr": 41.0, "tof": pytest.approx(0.2)}
    means, clips = grids(render_clips([table]))
    assert means[0][2:] == ["PSNR (dB) ↑", "TOF (px) ↓"]
    assert means[2][2:] == ["**34.00**", "**0.35**"]
    assert clips[0][1:] == ["city", "walk"]
    assert clips[3][1:] == ["25.00 / 0.50", "41.00 / 0.20"]


def test_what_no_longer_counts_is_named_and_not_shown() -> None:
    old = record("b_x4.c", tof=frames(0.0, 0.0, 0.0, unit="px", higher_is_better=False, version=1))
    new = record("c_x4.c", tof=frames(0.5, 0.1, 0.3, unit="px", higher_is_better=False, version=2))
    gone = record("a_x4.c", 9.0, weights_sha256="before")
    [table] = build_clip_tables([gone, old, new], [card("a_x4.c", sha256="now")])
    assert {row.who.checkpoint: row.means["tof"] for row in table.rows} == {
        "b_x4.c": None,
        "c_x4.c": pytest.approx(0.35),
    }
    [(who, status, reason)] = table.absent
    assert (who.checkpoint, status) == ("a_x4.c", "outdated")
    assert "since replaced" in reason
    assert f"- `outdated`: {who.label}" in render_clips([table])


def test_clips_cut_in_another_way_are_other_data() -> None:
    short = record("b_x4.c")
    short = short.model_copy(update={"frames": short.frames.model_copy(update={"data_sha256": "e" * 64}), "trim": 1})
    [table] = build_clip_tables([record("a_x4.c"), record("c_x4.c"), short])
    assert [(who.checkpoint, status) for who, status, _ in table.absent] == [("b_x4.c", "other_data")]


def test_the_zoos_stand_in_a_file_and_ones_own_in_another(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_clip_result(record("bicubic", model="bicubic"), results)
    write_reports(root=tmp_path)
    folder = tmp_path / "reports"
    assert "## vid4 ×4, standard.v1: clips" in (folder / "clips.md").read_text()
    assert "- clips: [vid4 ×4](clips.md)" in (folder / "leaderboard.md").read_text()
    assert not (folder / "own.md").exists()
    assert stale_files(root=tmp_path) == []

    write_clip_result(record("mine", own=True), results)
    write_clip_result(record("bicubic", model="bicubic", dataset="dir-holiday"), results)
    assert [path.name for path in stale_files(root=tmp_path)] == ["own.md"]
    write_reports(root=tmp_path)
    own = (folder / "own.md").read_text()
    assert own.index("dir-holiday ×4") < own.index("vid4 ×4")
    assert "mine" in own
    assert "mine" not in (folder / "clips.md").read_text()


def test_a_name_makes_no_markup() -> None:
    [table] = build_clip_tables([record("a|<b>", own=True)], own=True)
    assert "<b>" not in render_clips([table])


def test_the_command_brings_reports_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_HOME", str(tmp_path))
    clips = write_clips(tmp_path / "mine", 2, (32, 40))
    done = CliRunner().invoke(main, ["clips", "bicubic", "--datasets", str(clips), "--metrics", "psnr"])
    assert done.exit_code == 0, done.output
    assert "own.md" in done.stderr
    assert stale_files(root=tmp_path) == []
    assert "## dir-mine ×4" in (tmp_path / "reports/own.md").read_text()
