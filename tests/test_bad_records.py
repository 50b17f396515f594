"""Commands that read results: an empty folder, records of other schemas, and what Python and a notebook show of an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import srbench
from srbench.cli import main
from srbench.errors import DEBUG, InputError, SrbenchError, UnknownNameError, without_inner_frames
from srbench.records import KEY, seal
from srbench.results import result_path, write_result
from tests.test_reports import cell


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "bicubic"], "srbench eval"),
        (["table", "--all", "--published"], "srbench eval"),
        (["compare", "bicubic", "nearest"], "srbench eval bicubic nearest"),
        (["choose", "--device", "cpu"], "srbench eval --all"),
        (["reproduce", "bicubic"], "unknown checkpoint 'bicubic'"),
    ],
)
def test_without_results_one_line_says_what_makes_some(srbench_home: Path, arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_report_without_results_is_a_report(srbench_home: Path) -> None:
    assert run("report").exit_code == 0
    assert "no results yet" in (srbench_home / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    assert json.loads(run("report", "--json").stdout) == []
    assert len(srbench.load_results()) == 0
    assert len(srbench.leaderboard()) == 0
    assert "no results" in srbench.leaderboard()._repr_html_()


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_record_of_another_schema_is_named_and_left_out(srbench_home: Path, version: int | None) -> None:
    write_result(cell("good_x4.c"))
    path = write_result(cell("other_x4.c"))
    record = json.loads(path.read_text(encoding="utf-8"))
    record.pop(KEY)
    if version is None:
        record["pictures"] = record.pop("images")
    else:
        record["schema_version"] = version
    path.write_text(json.dumps(seal(record)), encoding="utf-8")
    done = run("report")
    assert done.exit_code == 1
    assert "other_x4.c.json" in done.stderr
    assert "Traceback" not in done.output
    text = (srbench_home / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    assert "GOOD" in text
    assert "OTHER" not in text
    refused = run("table", "good_x4.c", "--datasets", "set14")
    assert refused.exit_code == 1
    assert "other_x4.c.json" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_models_measured_on_different_images_are_not_compared(srbench_home: Path) -> None:
    write_result(cell("a_x4.c"))
    write_result(cell("b_x4.c"))
    write_result(cell("c_x4.c", n=13))
    assert result_path(cell("c_x4.c")).is_file()
    done = run("compare", "a_x4.c", "c_x4.c")
    assert done.exit_code == 1
    assert "c_x4.c" in done.stderr
    table = run("table", "a_x4.c", "c_x4.c", "--datasets", "set14")
    assert table.exit_code == 1
    assert "unknown model or checkpoint 'c_x4.c'" in table.stderr


# What Python shows


def test_python_shows_the_callers_line_and_the_message_alone(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import srbench\nsrbench.evaluate('bicubic', 'sample', 4, metrics=['pnsr'])\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert "Did you mean 'psnr'" in lines[-1]
    assert len(lines) <= 6, done.stderr
    assert any("mine.py" in line for line in lines)


def test_a_notebook_shows_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    error = UnknownNameError("metric", "pnsr", ["psnr"])
    assert error._render_traceback_() == ["UnknownNameError: unknown metric 'pnsr'. Did you mean 'psnr'? Known: psnr"]
    monkeypatch.setenv(DEBUG, "1")
    assert "unknown metric" in "".join(error._render_traceback_())


def test_the_inner_frames_are_kept_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def inner() -> None:
        try:
            raise ValueError("cause")
        except ValueError as error:
            raise InputError("message") from error

    with pytest.raises(InputError) as short:
        without_inner_frames(inner)()
    assert short.value.__cause__ is None
    monkeypatch.setenv(DEBUG, "1")
    with pytest.raises(InputError) as whole:
        without_inner_frames(inner)()
    assert isinstance(whole.value.__cause__, ValueError)


def test_public_functions_keep_their_names_and_signatures() -> None:
    from srbench.evaluation import evaluate

    assert srbench.evaluate.__doc__ == evaluate.__doc__
    assert srbench.evaluate.__name__ == "evaluate"
    with pytest.raises(SrbenchError, match="Did you mean 'channels'"):
        srbench.evaluate("bicubic", "sample", 4, chanels="y")
    one = srbench.evaluate("bicubic", "sample", 4, metrics="psnr")
    assert list(one.metrics) == ["psnr"]
    assert "leaderboard" in dir(srbench)
