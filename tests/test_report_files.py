"""The rendered files: markdown that holds together, the same bytes for the same records, and freshness."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError
from srbench.markdown import marks
from srbench.protocol import PRESETS
from srbench.reports import build_tables, stale_files, write_reports
from srbench.reports.markdown import render_excerpt, render_leaderboard
from srbench.reports.page.build import render_page
from srbench.reports.page.data import page_data
from srbench.reports.plots import Point, frontier, plan
from srbench.results import Result, write_result
from srbench.stats import paired_test
from tests.test_reports import IMAGES, bare, cell, scores


def everything() -> list[Result]:
    return [
        cell("bicubic", parameters=0),
        cell("fsrcnn_x4.tuned", 1.2, options={"skip": "bicubic"}, trained_on="t91+bsds200"),
        cell("espcn_x4.tuned", 1.0, precision="bf16", variant="bf16"),
        bare("drrn"),
        cell("bicubic", n=5, dataset="set5", parameters=0),
        cell("fsrcnn_x4.tuned", 1.2, n=5, dataset="set5", preset="classic"),
    ]


def grids(text: str) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    return [[line.strip("| ").split(" | ") for line in block.splitlines()] for block in blocks]


def test_markdown_is_sound() -> None:
    text = render_leaderboard(build_tables(everything()))
    found = grids(text)
    assert len(found) == 4
    for grid in found:
        assert {len(line) for line in grid} == {len(grid[0])}
        assert all(set(cell) <= set(":-") for cell in grid[1])
    assert found[0][0][:3] == ["model", "parameters", "training (min)"], "the overview comes first"
    first = found[-1]
    assert first[0][:6] == ["rank", "model", "parameters", "P(best)", "p", "PSNR (dB) ↑"]
    assert first[2][:3] == ["1", "FSRCNN · bicubic skip", "12.3 K"]
    assert re.fullmatch(r"\*\*\d\d\.\d\d\*\* \[\d\d\.\d, \d\d\.\d\]", first[2][5])
    assert first[2][4] == "–", "the best row is tested against nothing"
    assert all(re.fullmatch(r"&lt; \.001|\.\d+|1", line[4]) for line in first[3:5])
    assert first[3][1] == "ESPCN · bf16"
    assert first[4][1:3] == ["Bicubic", "0"]
    assert "nan" not in text.lower()
    assert text.count("- `standard.v1`: measures Y") == text.count("- `classic.v1`: measures Y") == 1
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    results = everything()
    text = render_leaderboard(build_tables(results))
    assert render_leaderboard(build_tables(results[::-1])) == text
    later = [r.model_copy(update={"seconds": 9.0, "provenance": {"commit": "abc"}}) for r in results]
    assert render_leaderboard(build_tables(later)) == text
    code = (
        "from tests.test_report_files import everything; from srbench.reports.markdown import render_leaderboard as r;"
        "from srbench.reports import build_tables as b; import sys; sys.stdout.buffer.write(r(b(everything())).encode())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env={"PYTHONHASHSEED": "7"})
    assert other.stdout.decode() == text


def test_names_cannot_break_a_table() -> None:
    evil = cell("a|b\nc<script>", model="x", own=True)
    text = render_leaderboard(build_tables([evil]))
    assert grids(text)[1][2][1] == "a\\|b c&lt;script>"
    assert "<script>" not in text


def test_every_preset_is_described_by_its_fields() -> None:
    text = render_leaderboard(build_tables([cell("bicubic", preset=name) for name in PRESETS]))
    assert "`rgb.v1`: measures RGB" in text
    assert "multiples of 12" in text
    assert "a border of scale + 6 pixels" in text
    assert "kept as unrounded Y; gray files stay gray" in text
    strange = cell("bicubic", protocol="mine.v1", protocol_fields={})
    assert "`mine.v1`: its records do not say" in render_leaderboard(build_tables([strange]))


def test_report_check_names_what_is_stale(srbench_home: Path) -> None:
    runner = CliRunner()
    for result in everything():
        write_result(result)
    start, end = marks("leaderboard")
    (srbench_home / "README.md").write_text(f"# Title\n\n{start}\nold\n{end}\n\nrest\n")
    first = runner.invoke(main, ["report", "--check"])
    assert first.exit_code == 1
    assert "reports/leaderboard.md" in first.output
    assert "README.md" in first.output
    assert len(first.output.strip().splitlines()) == 1
    assert not (srbench_home / "reports").exists()
    assert runner.invoke(main, ["report"]).exit_code == 0
    readme = (srbench_home / "README.md").read_text()
    assert readme.startswith(f"# Title\n\n{start}\n×4, protocol `standard.v1`")
    assert readme.endswith(f"{end}\n\nrest\n")
    assert runner.invoke(main, ["report", "--check"]).exit_code == 0
    assert write_reports() == []
    write_result(cell("srcnn_x4.tuned", 0.7))
    assert runner.invoke(main, ["report", "--check"]).exit_code == 1
    (srbench_home / "README.md").write_text(start)
    with pytest.raises(InputError, match=r"README\.md"):
        stale_files()


def test_excerpt_puts_datasets_side_by_side() -> None:
    [grid] = grids(render_excerpt(build_tables(everything())))
    assert grid[0] == ["model", "parameters", "training (min)", "Set5 (5)", "published", "Set14 (14)", "published"]
    assert [line[0] for line in grid[2:]] == ["FSRCNN <sub>bicubic skip</sub>", "Bicubic"]
    assert grid[2][3] == "–"
    assert grid[2][5].startswith("**")
    assert grid[2][6] == "27.59 *c*"
    assert "no results yet" in render_excerpt([])


def test_json_rows(srbench_home: Path) -> None:
    for result in everything():
        write_result(result)
    done = CliRunner().invoke(main, ["report", "--json"])
    rows = json.loads(done.output)
    assert {r["dataset"] for r in rows} == {"set5", "set14"}
    best = rows[0]
    assert (best["rank"], best["parameters"], best["checkpoint"]) == (1, 12_345, "fsrcnn_x4.tuned")
    assert next(r for r in rows if r["checkpoint"] == "drrn")["status"] == "no_weights"
    assert not (srbench_home / "reports").exists()


def test_report_runs_where_torch_cannot_be_imported(srbench_home: Path) -> None:
    for result in everything():
        write_result(result)
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'lpips', 'piq'): sys.modules[name] = None\n"
        "from srbench.cli import main\nmain(['report'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (srbench_home / "reports" / "leaderboard.md").is_file()


class _Page(HTMLParser):
    """What a page's scripts hold, and what it asks a browser to load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag == "script":
            self.script = named.get("id") or "code"
            self.scripts[self.script] = ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self.script] += data


def test_page_is_whole_and_loads_nothing_from_elsewhere() -> None:
    evil = "</script><script>alert(1)</script>"
    tables = build_tables([*everything(), cell(evil, model="x", dataset="dir-<i>", own=True)])
    text = render_page(tables)
    page = _Page(text)
    assert page.open == []
    assert page.loads == [
        "data:,",
        *[f"#{name}" for name in ("table", "charts", "images", "per-image")],
        "leaderboard.md",
        "speed.md",
    ]
    assert set(page.scripts) == {"data", "code"}
    digest = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text
    assert "sourceMappingURL" not in text
    data = json.loads(page.scripts["data"])
    assert evil in {who["name"] for who in data["entrants"]}
    assert evil not in text
    shown = next(t for t in data["tables"] if t["dataset"] == "set14")
    best = shown["rows"][0]
    assert data["entrants"][best["e"]]["name"] == "fsrcnn_x4.tuned"
    assert best["m"]["psnr"][0] == pytest.approx(IMAGES.mean() + 1.2, abs=1e-4)
    scores = shown["scores"]["psnr"]
    values = [(v + base) / scores["unit"] for v, base in zip(scores["rows"][0], scores["base"], strict=True)]
    assert values == pytest.approx(list(IMAGES + 1.2), abs=1e-3)


def test_packed_scores_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [*everything(), cell("edsr_x4.tuned", metrics={"psnr": scores([math.inf] * 14)})]
    tables = build_tables(results)
    plain = json.loads(page_data(tables).text)
    monkeypatch.setattr("srbench.reports.page.data.PLAIN_SCORES", 10)
    packed = page_data(tables)
    assert packed.packed
    content = gzip.decompress(base64.b64decode(packed.text))
    size = int.from_bytes(content[:4], "little")
    found, blob = json.loads(content[4 : 4 + size]), np.frombuffer(content[4 + size :], np.uint8)
    high, low = blob[: blob.size // 2], blob[blob.size // 2 :]
    whole = ((high.astype(np.uint16) << 8) | low).view(np.int16)
    assert [t["rows"] for t in found["tables"]] == [t["rows"] for t in plain["tables"]]
    for ours, theirs in zip(found["tables"], plain["tables"], strict=True):
        for metric, matrix in theirs["scores"].items():
            mine, shape = ours["scores"][metric], np.shape(matrix["rows"])
            numbers = whole[mine["at"] : mine["at"] + np.prod(shape)].reshape(shape)
            for line, expected in zip(numbers, matrix["rows"], strict=True):
                for value, fine, base, fine_base in zip(line, expected, mine["base"], matrix["base"], strict=True):
                    if fine in (None, "inf"):
                        assert value == (-32768 if fine is None else 32767)
                    else:
                        exact = (fine + fine_base) / matrix["unit"]
                        assert (int(value) + base) / mine["unit"] == pytest.approx(exact, abs=0.51 / mine["unit"])


def test_the_page_s_scores_give_the_paired_test_s_p() -> None:
    """With one digit more than is shown, differences of a thousandth of a dB were ties."""
    rng = np.random.default_rng(0)
    apart = rng.normal(0.0004, 0.002, 14)
    results = [
        cell("a_x4.c", metrics={"psnr": scores(IMAGES + apart)}),
        cell("b_x4.c", metrics={"psnr": scores(IMAGES)}),
    ]
    [table] = json.loads(page_data(build_tables(results)).text)["tables"]
    held = table["scores"]["psnr"]
    rows = [[(v + base) / held["unit"] for v, base in zip(line, held["base"], strict=True)] for line in held["rows"]]
    assert paired_test(*rows) == paired_test(IMAGES + apart, IMAGES)


def test_figures_are_drawn_once_and_alike(srbench_home: Path) -> None:
    results = [*everything(), cell("edsr_x4.$c$", 2.5, parameters=43_089_923)]
    results.append(cell("vdsr_x4.tuned", 1.7, parameters=664_704))
    written = write_reports(results)
    assert [path.name for path in written if path.suffix == ".svg"] == ["parameters.svg"]
    assert write_reports(results) == []
    assert write_reports(results, redraw=True) == []
    figure = srbench_home / "reports" / "figures" / "parameters.svg"
    drawn = figure.read_text()
    assert "<dc:date>" not in drawn
    assert "prefers-color-scheme:dark" in drawn
    assert re.search(r'id="patch_1">\s*<path d="M 0 302[^"]*" style="fill: #ffffff', drawn), "a ground for its text"
    assert '[style*="fill: #ffffff"]{fill:#14171b!important}' in drawn, "and one in the dark"
    figure.unlink()
    assert stale_files(results) == [figure]
    assert write_reports(results) == [figure]
    write_reports(everything()[4:])
    assert list(figure.parent.iterdir()) == []


def test_ticks_are_counts_and_no_power_in_dollars() -> None:
    sizes = {"fsrcnn_x4.tuned": 12_464, "edsr_x4.tuned": 43_089_923, "vdsr_x4.tuned": 664_704}
    tables = build_tables([cell(name, i, parameters=size) for i, (name, size) in enumerate(sizes.items())])
    [plot] = plan(tables)
    assert plot.file == "parameters.svg"
    assert frontier([Point("a", 1, 30, ""), Point("b", 2, 29, ""), Point("c", 3, 31, ""), Point("d", 3, 30.5, "")], True) == [
        Point("a", 1, 30, ""), Point("c", 3, 31, ""),
    ]  # fmt: skip
    drawn = plot.draw()
    ids = re.findall(r"<!-- (.*?) -->", drawn)
    assert {"10 K", "1 M", "FSRCNN", "EDSR", "VDSR"} <= set(ids)
    assert not any("mathdefault" in text or "$" in text for text in ids)
