"""What ``srbench eval`` prints: it fits the terminal, breaks no number and no name, and counts images while it runs."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from srbench.images import write_image
from srbench.reports import build_tables
from srbench.reports.files import read_source
from srbench.reports.tables.rows import Table
from srbench.reports.terminal import render
from tests.test_reports import IMAGES, bare, card, cell, scores

ROOT = Path(__file__).resolve().parent.parent


def on_terminal(columns: int, *arguments: object) -> list[str]:
    """What a command prints on a pseudo-terminal of so many columns, as lines, the last state of a line that is redrawn."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("COLUMNS", None)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "srbench", *map(str, arguments)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    out = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    _, status = os.waitpid(pid, 0)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.decode("utf-8"))
    assert os.waitstatus_to_exitcode(status) == 0, text
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]


@pytest.fixture
def committed() -> list[Table]:
    """The repository's own results."""
    if not (ROOT / "results" / "quality").is_dir():
        pytest.skip("no committed results")
    return [
        t for t in read_source(root=ROOT).tables if t.dataset in ("set5", "set14") and t.protocol_name == "standard"
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_tables_fit_and_hold_the_six_columns(committed: list[Table], width: int) -> None:
    text = render(committed, width, condense=True)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 58, "a line of progress and one of what was written come on top"
    heads = [line.split() for line in lines if line.lstrip().startswith(("model", "rank"))]
    assert len(heads) == len(committed) == 8
    rows = [int(found) for found in re.findall(r"×4, standard.v1: .*; (\d+) of \d+ rows", text)]
    assert len(rows) == 2
    assert min(rows) >= 5, "the scale with the most networks shows the most"
    for head in heads:
        assert {"model", "parameters", "PSNR", "SSIM", "LPIPS"} <= set(head)
    assert render(committed, width, condense=True) == text


def test_a_wider_terminal_shows_more_and_wide_shows_all(committed: list[Table]) -> None:
    def columns(text: str) -> int:
        return len(re.split(r"\s{2,}", text.splitlines()[1].strip()))

    narrow, wide, everything = (render(committed, *how) for how in ((80,), (160,), (80, True)))
    assert columns(narrow) < columns(wide) < columns(everything)
    assert len(everything.splitlines()) > len(render(committed, 80, condense=True).splitlines())


def test_times_say_whose_they_are(committed: list[Table]) -> None:
    """They may be of another machine than the reader's."""
    said = "ms: one pass for 1280×720 output on AMD EPYC, 2 threads; ~: read with care"
    assert render(committed, 400).splitlines().count(said) == 1
    narrow = render(committed, 60)
    assert " ms " not in narrow.splitlines()[1]
    assert said not in narrow


def test_names_and_numbers_are_never_broken() -> None:
    long = "a-network-with-a-rather-long-name-and-more_x4.with-a-recipe-that-goes-on-and-on"
    table = build_tables([cell("b_x4.c", 1.0, parameters=127_780_761), cell(long, model=long, own=True), bare("drrn")])
    text = render(table, 60)
    assert long in text, "the line is longer than the terminal where a name leaves no room"
    assert "127.8 M" in text
    assert re.search(r"\d\d\.\d\d", next(line for line in text.splitlines() if long in line))


def test_statuses_are_a_line_each_however_many_names() -> None:
    cards = [card("espcn_x4.tuned", channels="y")]
    results = [cell("espcn_x4.tuned", preset="classic", weights_sha256="now"), bare("x_x4.c", "failed", "[3, 4]")]
    lines = render(build_tables(results, cards=cards), 80).splitlines()
    statuses = [line for line in lines if re.match(r"[a-z_]+: ", line)]
    assert [line.partition(":")[0] for line in statuses] == ["failed", "no_weights", "unsupported_protocol"]
    assert all(len(line) <= 80 for line in statuses)
    assert statuses[0] == "failed: X ([3, 4])"
    assert re.search(r" and \d+ more$", statuses[2])


def test_seeds_are_merged_where_the_best_alone_are_shown() -> None:
    cards = [card("espcn_x4.tuned"), card("espcn_x4.tuned-seed1", seed=1)]
    results = [cell("espcn_x4.tuned", weights_sha256="now"), cell("espcn_x4.tuned-seed1", 0.2, weights_sha256="now")]
    tables = build_tables(results, cards=cards, derive=False)
    assert "± 0.14" in render(tables, 80, condense=True)
    assert render(tables, 80, condense=True).count("ESPCN") == 1
    assert "ESPCN tuned seed 1" in render(tables, 80)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_run_on_a_terminal(srbench_home: Path, tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for i in range(3):
        image = np.random.default_rng(i).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / f"p{i}.png", image)
    lines = on_terminal(
        columns, "eval", "bicubic", "nearest", "--datasets", tmp_path / "photos", "--metrics", "psnr,ssim"
    )
    assert max(map(len, lines)) <= columns
    assert any("6/6 images" in line for line in lines), "two subjects on three images"
    assert any("2 measured, 0 as stored" in line for line in lines)
    rows = [line for line in lines if re.match(r"\s*\d ≈\s+(Bicubic|Nearest)\s", line)]
    assert len(rows) == 2
    assert all(re.search(r"\s\d\d\.\d\d\s.*\s0\.\d{4}", row) for row in rows)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("columns", [80, 120])
def test_the_whole_zoo_is_at_most_sixty_lines(
    srbench_home: Path, data_root: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for folder in ("results", "zoo"):
        shutil.copytree(ROOT / folder, srbench_home / folder)
    lines = on_terminal(
        columns, "eval", "--all", "--datasets", "set5,set14", "--data-root", data_root, "--device", "cpu"
    )
    assert len([line for line in lines if line]) + 6 <= 60
    assert len(lines) <= 61
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith("model ") for line in lines) == 8


def test_a_metric_that_few_rows_have_is_one_entry_and_not_one_a_row() -> None:
    rows = [cell(f"n{i}_x4.c", i / 10, metrics={"psnr": scores(IMAGES + i / 10)}) for i in range(5)]
    rows.append(cell("bicubic", metrics={"psnr": scores(IMAGES), "lattice": scores([0.1] * 14)}))
    text = render(build_tables(rows), 120)
    assert "not_measured: lattice of 5 rows on set14 ×4, standard.v1" in text
    assert "n1_x4.c (lattice)" not in text


def test_columns_without_room_are_named() -> None:
    """Metrics that were asked for do not vanish: each is a column, or is named as left out."""
    names = ("psnr", "ssim", "fsim", "haarpsi", "iw-ssim", "ms-ssim", "vif", "vsi")  # higher is better
    rows = [cell(f"n{i}_x4.c", metrics={name: scores(IMAGES + i, name) for name in names}) for i in range(2)]
    for width in (60, 80, 120):
        text = render(build_tables(rows), width)
        assert all(f" {name.upper()} ↑" in text for name in names), text
        assert re.search(rf"^not shown at {width} columns: ", text, re.M)
        assert max(map(len, text.splitlines())) <= width
    assert "not shown" not in render(build_tables(rows), 80, wide=True)


def test_a_metric_that_was_named_stands_before_what_was_not(committed: list[Table]) -> None:
    """Memory and mult-adds of every row are no answer to who asked for LR-PSNR."""
    plain, asked = (render(committed, 80, asked=names) for names in ((), ("lr-psnr",)))
    assert not re.search(r"^model .* LR-PSNR ↑", plain, re.M)
    assert re.search(r"^(rank +)?model .* LR-PSNR ↑", asked, re.M)
    assert max(map(len, asked.splitlines())) <= 80


def test_why_a_metric_has_no_number_is_said_once_and_whole() -> None:
    """The reason says how to get it: a terminal's width does not cut it, and a row more does not repeat it."""
    remedy = (
        "needs the package pyiqa: pip install 'srbench[pyiqa]' (licence: PolyForm Noncommercial, no commercial use)"
    )
    gone = {
        name: scores([0.0] * 14).model_copy(
            update={"status": "unavailable", "reason": f"{name} {remedy}", "values": []}
        )
        for name in ("clipiqa", "ma")
    }
    rows = [cell(f"n{i}_x4.c", i / 10, metrics={"psnr": scores(IMAGES + i / 10), **gone}) for i in range(5)]
    lines = render(build_tables(rows), 80).splitlines()
    assert [line for line in lines if "pip install" in line] == [f"unavailable: clipiqa, ma of 5 rows: {remedy}"]
