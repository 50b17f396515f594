"""The rendered files: markdown that holds together, the same bytes for the same records, and freshness."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError
from srbench.protocol import PRESETS
from srbench.reports import build_tables, stale_files, write_reports
from srbench.reports.files import END, START
from srbench.reports.html import render_html
from srbench.reports.markdown import render_excerpt, render_leaderboard
from srbench.reports.plots import plan
from srbench.results import Result, write_result
from tests.test_reports import bare, cell, scores


def everything() -> list[Result]:
    return [
        cell("bicubic", parameters=0),
        cell("fsrcnn_x4.common", 1.2, options={"skip": "bicubic"}, trained_on="t91+bsds200"),
        cell("espcn_x4.common", 1.0, precision="bf16", variant="bf16"),
        bare("drrn"),
        cell("bicubic", n=5, dataset="set5", parameters=0),
        cell("fsrcnn_x4.common", 1.2, n=5, dataset="set5", preset="classic"),
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
    first = found[1]
    assert first[0][:5] == ["rank", "model", "parameters", "P(best)", "PSNR (dB) ↑"]
    assert first[2][:3] == ["1", "FSRCNN · bicubic skip", "12.3 K"]
    assert re.fullmatch(r"\*\*\d\d\.\d\d\*\* \[\d\d\.\d, \d\d\.\d\]", first[2][4])
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
    (srbench_home / "README.md").write_text(f"# Title\n\n{START}\nold\n{END}\n\nrest\n")
    first = runner.invoke(main, ["report", "--check"])
    assert first.exit_code == 1
    assert "reports/leaderboard.md" in first.output
    assert "README.md" in first.output
    assert len(first.output.strip().splitlines()) == 1
    assert not (srbench_home / "reports").exists()
    assert runner.invoke(main, ["report"]).exit_code == 0
    readme = (srbench_home / "README.md").read_text()
    assert readme.startswith(f"# Title\n\n{START}\n×4, protocol `standard.v1`")
    assert readme.endswith(f"{END}\n\nrest\n")
    assert runner.invoke(main, ["report", "--check"]).exit_code == 0
    assert write_reports() == []
    write_result(cell("srcnn_x4.common", 0.7))
    assert runner.invoke(main, ["report", "--check"]).exit_code == 1
    (srbench_home / "README.md").write_text(START)
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
    assert (best["rank"], best["parameters"], best["checkpoint"]) == (1, 12_345, "fsrcnn_x4.common")
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
    """Rows of cells of every table, and what the page asks a browser to load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def test_page_is_whole_and_loads_nothing_from_elsewhere() -> None:
    tables = build_tables([*everything(), cell("<b>&evil", model="x", dataset="dir-<i>", own=True)])
    text = render_html(tables, [("a b.svg", "A & B")])
    page = _Page(text)
    assert page.open == []
    assert len(page.tables) == len(tables)
    assert all(len(row) == len(grid[0]) for grid in page.tables for row in grid)
    assert sorted(page.loads) == ["#t0", "#t1", "#t2", "#t3", "data:,", "figures/a%20b.svg"]
    assert "://" not in text.replace("http://www.w3.org", "")
    shown = page.tables[1][1]
    assert shown[1].strip() == "FSRCNN · bicubic skip"
    assert re.fullmatch(r"\d\d\.\d\d \[\d\d\.\d, \d\d\.\d\]", " ".join(shown[4].split()))
    assert "<b>&evil" in page.tables[0][1][1]
    assert "<b>&evil" not in text


def test_figures_are_drawn_once_and_alike(srbench_home: Path) -> None:
    results = [*everything(), cell("edsr_x4.$c$", 2.5, parameters=43_089_923)]
    written = write_reports(results)
    figures = sorted(path.name for path in written if path.suffix == ".svg")
    assert figures == ["set14_x4_standard_images.svg", "set14_x4_standard_parameters.svg"]
    page = (srbench_home / "reports" / "index.html").read_text()
    assert all(f'src="figures/{name}"' in page for name in figures)
    assert write_reports(results) == []
    assert write_reports(results, redraw=True) == []
    (srbench_home / "reports" / "figures" / figures[0]).unlink()
    assert [path.name for path in stale_files(results)] == [figures[0]]
    assert [path.name for path in write_reports(results)] == [figures[0]]
    svg = (srbench_home / "reports" / "figures" / figures[1]).read_text()
    assert "<dc:date>" not in svg
    write_reports(everything()[4:])
    assert list((srbench_home / "reports" / "figures").iterdir()) == []


def test_infinite_scores_have_no_figure() -> None:
    perfect = cell("a_x4.c", metrics={"psnr": scores([math.inf] * 14)})
    assert plan(build_tables([perfect, cell("b_x4.c")])) == []
