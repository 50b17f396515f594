"""What a user measures of their own: under their name, out of the zoo's reports, never replaced silently."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from srbench.cli import main
from srbench.images import write_image
from srbench.markdown import marks
from srbench.results import read_results

NET = """\
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self, scale, gain=1.0):
        super().__init__()
        self.up = nn.Upsample(scale_factor=scale)
        self.gain = nn.Parameter(torch.tensor(gain))
    def forward(self, x):
        return (self.up(x) * self.gain).clamp(0, 1)
"""


def srbench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def net(srbench_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of one's own in a file."""
    (srbench_home / "README.md").write_text("\n".join(marks("leaderboard")) + "\n")
    path = tmp_path_factory.mktemp("own") / "mynet.py"
    path.write_text(NET)
    return path


def evaluate(net: Path, *arguments: object) -> Result:
    usual = ("--scale", 4, "--datasets", "sample", "--metrics", "psnr")
    return srbench("eval", f"{net}:Mine", *usual, *arguments)


def report(home: Path, name: str) -> str:
    path = home / "reports" / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_own_results_stand_apart_from_the_zoos(net: Path, srbench_home: Path) -> None:
    assert srbench("eval", "bicubic", "--scale", 4, "--metrics", "psnr").exit_code == 0
    done = evaluate(net, "--name", "mine-1")
    assert done.exit_code == 0, done.output
    assert "mine-1" in done.stdout
    [own] = [result for result in read_results() if result.own]
    assert own.checkpoint == "mine-1"
    assert "mine-1" in report(srbench_home, "own.md")
    assert "Bicubic" in report(srbench_home, "own.md"), "the zoo stands beside it"
    for name in ("leaderboard.md", "index.html"):
        assert "mine-1" not in report(srbench_home, name)
        assert "icubic" in report(srbench_home, name)
    assert "mine-1" not in (srbench_home / "README.md").read_text(encoding="utf-8")
    assert srbench("report", "--check").exit_code == 0


def test_a_folder_of_ones_own_images_is_no_table_of_the_zoo(net: Path, srbench_home: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    write_image(tmp_path / "photos" / "a.png", image)
    assert srbench("eval", "bicubic", "--datasets", tmp_path / "photos", "--metrics", "psnr").exit_code == 0
    assert "dir-photos" not in report(srbench_home, "leaderboard.md")
    assert "dir-photos" in report(srbench_home, "own.md")


def test_two_trainings_of_one_class_do_not_replace_each_other(net: Path) -> None:
    assert evaluate(net).exit_code == 0
    assert evaluate(net).exit_code == 0, "the same weights again are found stored"
    other = evaluate(net, "--option", "gain=0.5", "--name", "mine")
    assert other.exit_code == 0
    again = evaluate(net, "--option", "gain=0.25", "--name", "mine")
    assert again.exit_code == 1
    assert "choose another --name, or --overwrite" in again.stderr
    assert len([line for line in again.stderr.splitlines() if line.startswith("Error")]) == 1
    before = {r.checkpoint: r.weights_sha256 for r in read_results()}
    assert evaluate(net, "--option", "gain=0.25", "--name", "mine", "--overwrite").exit_code == 0
    after = {r.checkpoint: r.weights_sha256 for r in read_results()}
    assert before.keys() == after.keys()
    assert before["mine"] != after["mine"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine.py:Mine", "--name", "bicubic"], "something in the zoo"),
        (["mine.py:Mine", "--name", "../x"], "expected letters"),
        (["bicubic", "--name", "mine"], "one file or class of your own"),
    ],
)
def test_a_name_that_cannot_be_chosen_is_one_line(net: Path, arguments: list[str], words: str) -> None:
    target = f"{net}:Mine" if arguments[0].endswith(":Mine") else arguments[0]
    done = srbench("eval", target, "--scale", 4, "--metrics", "psnr", *arguments[1:])
    assert done.exit_code == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("private", [True, False])
def test_a_private_run_leaves_no_trace_in_reports(
    net: Path, srbench_home: Path, tmp_path_factory: pytest.TempPathFactory, private: bool
) -> None:
    folder = srbench_home / "results" / "private" if private else tmp_path_factory.mktemp("elsewhere")
    where = ["--private"] if private else ["--results", folder]
    done = evaluate(net, *where, "--json")
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    assert row["own"] is True
    assert len(read_results(folder)) == 1
    assert read_results() == []
    assert not (srbench_home / "reports").exists()
    assert srbench("eval", "bicubic", "--private", "--results", folder).exit_code == 2


def test_own_results_can_be_compared_and_put_into_a_table(net: Path) -> None:
    assert srbench("eval", "bicubic", "--scale", 4, "--metrics", "psnr").exit_code == 0
    assert evaluate(net, "--name", "mine-1").exit_code == 0
    done = srbench("compare", "mine-1", "bicubic", "--dataset", "sample")
    assert done.exit_code == 0, done.output
    assert "A = mine-1" in done.stdout
    table = srbench("table", "mine-1", "bicubic", "--datasets", "sample", "--metrics", "psnr")
    assert table.exit_code == 0, table.output
    assert "| mine-1 |" in table.stdout
    assert "mine-1" not in srbench("table", "--all", "--datasets", "sample", "--metrics", "psnr").stdout
