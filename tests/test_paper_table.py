"""``srbench table``: the numbers of the records in a paper's forms."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError, UnknownNameError
from srbench.reports import build_tables
from srbench.reports.paper.table import PaperTable, paper_table, render
from srbench.results import Result, read_results, write_result
from tests.test_reports import bare, card, cell

CARDS = [card("edsr_x4.tuned"), card("fsrcnn_x4.tuned", channels="y"), card("fsrcnn_x4.paper", channels="y")]


def results() -> list[Result]:
    found = []
    for dataset, n in (("set5", 5), ("set14", 14)):
        for name, gain in (
            ("bicubic", -2.0),
            ("edsr_x4.tuned", 1.0),
            ("fsrcnn_x4.tuned", 0.5),
            ("fsrcnn_x4.paper", 0.4),
        ):
            parameters = 0 if name == "bicubic" else 12_809
            sha = "" if name == "bicubic" else "now"
            found.append(cell(name, gain, n=n, dataset=dataset, parameters=parameters, weights_sha256=sha))
    return [*found, bare("drrn")]


def made(*names: str, datasets: tuple[str, ...] = ("set5", "set14"), published: bool = True) -> PaperTable:
    return paper_table(build_tables(results(), cards=CARDS), names, datasets, published=published)


def test_numbers_are_those_of_the_records(srbench_home: Path) -> None:
    for result in results():
        write_result(result)
    named = [CliRunner().invoke(main, ["table", "bicubic", "--format", form]) for form in ("md", "markdown")]
    assert (named[0].exit_code, named[0].stdout) == (0, named[1].stdout)
    done = CliRunner().invoke(main, ["table", "bicubic", "*_x4.*", "--format", "csv", "--metrics", "ssim,psnr"])
    assert done.exit_code == 0, done.output
    rows = {row["checkpoint"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert len(rows) == 4
    for record in read_results():
        if record.ok:
            for metric in ("psnr", "ssim"):
                assert float(rows[record.checkpoint][f"{record.dataset}_{metric}"]) == record.mean(metric)
    out = srbench_home / "table.tex"
    assert CliRunner().invoke(main, ["table", "--all", "--format", "latex", "-o", str(out)]).exit_code == 0
    printed = re.findall(r"\d\d\.\d\d", out.read_text(encoding="utf-8").partition(r"\midrule")[2])
    assert set(printed) == {
        f"{r.mean('psnr'):.2f}" for r in read_results() if r.ok and r.checkpoint != "fsrcnn_x4.paper"
    }


def test_best_is_bold_and_second_underlined_and_published_in_parentheses() -> None:
    text = render(made("bicubic", "fsrcnn", "edsr"), "md")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| Bicubic", "| FSRCNN", "| EDSR"], "in the order given"
    assert re.search(r"\| \*\*\d\d\.\d\d\*\* \(32\.46\) \|", lines[4])
    assert re.search(r"\| <u>\d\d\.\d\d</u> \(30\.71†\) \|", lines[3]), "published under another protocol has a mark"
    assert "another protocol" in text
    assert "Protocol standard.v1: measures Y" in text
    assert "(" not in "".join(render(made("bicubic", published=False), "md").splitlines()[-1:])


def test_names_are_as_short_as_they_can_be() -> None:
    assert [name for _, name, _ in made().rows] == ["Bicubic", "FSRCNN", "EDSR"], "the best of each, worst first"
    names = [name for _, name, _ in made("fsrcnn_x4.*", "edsr_x4.tuned").rows]
    assert names == ["FSRCNN tuned", "FSRCNN paper", "EDSR"]


def test_what_is_unknown_is_named_with_the_nearest() -> None:
    tables = build_tables(results(), cards=CARDS)
    with pytest.raises(UnknownNameError, match=r"'fsrcn'.*Did you mean 'fsrcnn'"):
        paper_table(tables, ["fsrcn"], ["set5"])
    with pytest.raises(UnknownNameError, match=r"dataset 'set6'.*Did you mean 'set5'"):
        paper_table(tables, ["fsrcnn"], ["set6"])
    with pytest.raises(UnknownNameError, match=r"metric 'pnsr'.*Did you mean 'psnr'"):
        paper_table(tables, ["fsrcnn"], ["set5"], metrics=["pnsr"])
    with pytest.raises(UnknownNameError, match="drrn"):
        paper_table(tables, ["drrn"], ["set14"])
    with pytest.raises(InputError, match="nothing at x3"):
        paper_table(tables, ["fsrcnn"], ["set5"], scale=3)
    with pytest.raises(UnknownNameError, match="format 'tex'"):
        render(made(), "tex")


EVIL = r"a_b & 50% {x} #1 $y$ \z ~ ^ <script>|"


@pytest.mark.parametrize("form", ["latex", "html", "md"])
def test_a_name_cannot_break_a_table(form: str) -> None:
    found = [*results(), cell(EVIL, 3.0, model="x", own=True, parameters=None)]
    text = render(paper_table(build_tables(found, cards=CARDS), [EVIL, "edsr"], ["set14"]), form)
    if form == "latex":
        _check_latex(text)
    elif form == "html":
        assert "<script>" not in text
        assert text.count("<tr>") == text.count("</tr>") == 3
    else:
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
        assert "<script>" not in text


def test_latex_compiles_or_is_sound(tmp_path: Path) -> None:
    text = render(made(), "latex")
    _check_latex(text)
    engine = next(
        (found for name in ("tectonic", "pdflatex", "xelatex", "lualatex") if (found := shutil.which(name))), None
    )
    if engine is None:
        pytest.skip("no LaTeX engine on this machine; the table was parsed")
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    done = subprocess.run([engine, "t.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 0


def _check_latex(text: str) -> None:
    """Braces and environments close, every row has as many cells as there are columns, and no bare special letter is left."""
    plain = re.sub(r"\\[\\{}$&%#_]", "", text.partition("\n")[2])  # without the comment, whose line is the first
    depth = 0
    for letter in plain:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    assert not re.search(r"[#%]|[^\x00-\x7f]", plain.replace("^\\dagger", "")), "only ASCII without comments"
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    assert sorted(opened) == sorted(re.findall(r"\\end\{(\w+)\}", text)) == ["table", "tabular"]
    columns = len(re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)[0])
    rows = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    assert rows
    for row in rows:
        assert row.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
