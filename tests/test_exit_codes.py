"""Exit codes: 0 only where everything asked for has a number or was known to have none; out of memory and failures are 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.errors import UnavailableError
from srbench.images import write_image
from srbench.results import read_results
from tests.builders import smooth

NET = """
from torch import nn
class Nan(nn.Module):
    scale, channels, identity = 2, "rgb", "1"
    def forward(self, x):
        y = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
        return y * float("{factor}")
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for index in range(2):
        write_image(tmp_path / "images" / f"p{index}.png", smooth(48, 60, index))
    return tmp_path / "images"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_cell_that_failed_is_exit_code_1_and_one_line(images: Path, srbench_home: Path) -> None:
    file = srbench_home / "mynet.py"
    file.write_text(NET.format(factor="nan"))
    command = ["eval", f"{file}:Nan", "--scale", 2, "--datasets", images, "--metrics", "psnr", "--no-report"]
    for _ in range(2):  # a record of the failure is no reason to call it done
        done = run(*command)
        assert done.exit_code == 1
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
        assert "failed: the network made NaN" in line
    assert [record.status for record in read_results()] == ["failed"]
    file.write_text(NET.format(factor="1"))
    assert run(*command, "--overwrite").exit_code == 0


def test_out_of_memory_is_exit_code_1(images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise UnavailableError("oom", "out of memory on an LR image of 15×12; try --tile 128")

    monkeypatch.setattr("srbench.evaluation.quality.super_resolve", full)
    done = run("eval", "bicubic", "--scale", 2, "--datasets", images, "--metrics", "psnr", "--no-report")
    assert done.exit_code == 1
    assert "oom: out of memory" in done.stderr


def test_what_is_known_to_be_impossible_is_exit_code_0(images: Path, srbench_home: Path) -> None:
    file = srbench_home / "mynet.py"
    file.write_text(NET.format(factor="1"))
    command = ["eval", f"{file}:Nan", "bicubic", "--scale", 2, "--datasets", images, "--metrics", "psnr", "--no-report"]
    done = run(*command, "--protocol", "standard,classic")  # classic is of luma, the network of RGB
    assert done.exit_code == 0, done.stderr
    assert "Note: " in done.stderr
    assert len(read_results()) == 3


def test_a_metric_that_failed_is_exit_code_1_of_score(tmp_path: Path) -> None:
    for side, code in ((24, 0), (12, 1)):  # of 12 pixels, 8 are left without the border: fewer than SSIM's window
        folder = tmp_path / str(side)
        write_image(folder / "a.png", smooth(side, side))
        done = run("score", "--sr", folder, "--hr", folder, "--scale", 2, "--metrics", "psnr,ssim", "--json")
        assert done.exit_code == code, done.stderr
        assert (json.loads(done.stdout)["metrics"]["ssim"]["status"] == "failed") == bool(code)
        assert ("ssim failed: " in done.stderr) == bool(code)


def test_a_variant_that_failed_is_exit_code_1_of_speed(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [
        "speed",
        "fsrcnn_s",
        "--input",
        "8x8",
        "--quick",
        "--seconds",
        "0.01",
        "--variants",
        "eager,channels_last",
    ]
    assert run(*command).exit_code == 0

    def broken(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("srbench.evaluation.speed_rows.passes", broken)
    assert run(*command, "--overwrite").exit_code == 1
