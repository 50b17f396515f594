"""The net under every command: whatever a file, a name or a machine brings, it is one line with the file and exit code 1."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import Commands, main, one_line
from srbench.images import write_image
from srbench.results import results_root


def raising(error: Exception) -> Commands:
    """The command line with one command, which raises while it works on a file."""

    class One(Commands):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["go"]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            def work() -> None:
                # As a function of the package that reads a file.
                scope = {"__name__": "srbench.reading", "error": error, "Path": Path}
                exec("def read(path):\n    raise error\nread(Path('some/file.json'))", scope)

            return click.Command("go", callback=work)

    return One("srbench")


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
        RecursionError("maximum recursion depth exceeded"),
        OverflowError("cannot convert float infinity to integer"),
        MemoryError(),
        struct.error("unpack requires a buffer of 4 bytes"),
        OSError("an error without a number"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_file_can_cause_is_one_line_with_its_name(error: Exception) -> None:
    result = CliRunner().invoke(raising(error), ["go"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "some/file.json" in line


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert one_line(ZeroDivisionError("division by zero")) is None
    assert isinstance(CliRunner().invoke(raising(KeyError("x")), ["go"]).exception, KeyError)


def test_debug_shows_everything() -> None:
    group = raising(RecursionError("deep"))
    group.params = [*main.params]
    group.callback = main.callback
    assert isinstance(CliRunner().invoke(group, ["--debug", "go"]).exception, RecursionError)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"checkpoint": "\\ud800"}', '{"scale": ' + "9" * 5000 + "}", "\xff\xfe", '{"a":1,"a":2}', "{"],
    ids=["deep", "surrogate", "digits", "bytes", "twice", "cut"],
)
def test_a_hostile_record_is_one_line_with_its_file(srbench_home: Path, text: str) -> None:
    path = results_root() / "quality" / "set5_x4" / "standard.v1" / "m_x4.tuned.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    result = CliRunner().invoke(main, ["report"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert path.name in result.stderr
    assert "Traceback" not in result.stderr


def run(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [os.fsencode(sys.executable), b"-m", b"srbench", *map(os.fsencode, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_name_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", np.zeros((32, 32, 3), np.uint8))
    bad = os.path.join(os.fsencode(tmp_path), b"b\xff.png")  # noqa: PTH118  (a path of bytes)
    os.rename(tmp_path / "x.png", bad)  # noqa: PTH104
    for locale in ("C", "C.UTF-8"):
        done = run("eval", "bicubic", "--datasets", str(tmp_path), LC_ALL=locale, SRBENCH_HOME=str(tmp_path / "home"))
        assert done.returncode == 1, done.stderr
        assert done.stderr.count(b"Error:") == 1
        assert b"not UTF-8" in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_a_terminal_of_another_encoding_gets_escapes_and_no_error() -> None:
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = run("ls", "metrics", LC_ALL="C", PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
    done = run("ls", "models", "--json", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)


def test_the_limit_of_pixels_reaches_every_command(
    srbench_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_MAX_PIXELS", "")  # so that what the command sets is taken back
    write_image(tmp_path / "a.png", np.zeros((8, 9, 3), np.uint8))
    command = ["upscale", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--checkpoint", "bicubic", "--scale", "2"]
    refused = CliRunner().invoke(main, ["--max-pixels", "71", *command])
    assert refused.exit_code == 1
    assert "a.png: has 9×8 pixels; expected at most 71" in refused.stderr
    assert CliRunner().invoke(main, ["--max-pixels", "72", *command]).exit_code == 0
