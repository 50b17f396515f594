"""``srbench ls``: every kind, as a table and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from srbench.cli import main
from srbench.cli.ls import command
from srbench.models import MODELS
from srbench.zoo import save_checkpoint
from tests.test_zoo import card

[KIND] = [parameter for parameter in command.params if parameter.name == "kind"]
assert isinstance(KIND.type, click.Choice)
KINDS = tuple(KIND.type.choices)
"""Every kind that the command takes, so that none is listed without a test."""


@pytest.fixture
def zoo(srbench_home: Path) -> Path:
    save_checkpoint({"w": torch.zeros(1)}, card(), srbench_home / "zoo")
    return srbench_home / "zoo"


def ls(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["ls", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("kind", KINDS)
def test_table_and_json_name_the_same_things(kind: str) -> None:
    rows = json.loads(ls(kind, "--json"))
    names = [row["name"] for row in rows]
    assert names
    assert len(set(names)) == len(names)
    table = ls(kind)
    assert all(name in table for name in names)
    assert json.loads(ls(kind, names[0], "--json")) == rows[:1]
    assert f"no {kind} match 'zzz'" in ls(kind, "zzz")


@pytest.mark.usefixtures("zoo")
def test_models_show_parameters_and_checkpoints() -> None:
    rows = {row["name"]: row for row in json.loads(ls("models", "--json"))}
    assert set(rows) == set(MODELS.names())
    assert rows["espcn"]["parameters"] == {"x2": 21_284, "x3": 22_729, "x4": 24_752}
    assert rows["fsrcnn_s"]["checkpoints"] == ["fsrcnn_s_x4.tuned"]
    assert rows["bicubic"]["channels"] == "any"
    line = next(line for line in ls("models").splitlines() if line.startswith("espcn"))
    for part in ("2016", "Sub-Pixel", "x2 x3 x4", "21,284 / 22,729 / 24,752"):
        assert part in line


@pytest.mark.usefixtures("zoo")
def test_without_a_kind_all_are_counted() -> None:
    counts = json.loads(ls("--json"))
    assert tuple(counts) == KINDS
    assert (counts["models"], counts["checkpoints"]) == (len(MODELS.names()), 1)
    lines = ls().splitlines()
    for kind, count in counts.items():
        assert [line.split()[1] for line in lines if line.startswith(kind)] == [str(count)]


def test_an_unknown_kind_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["ls", "modles"])
    assert done.exit_code == 2
    assert "'models'" in done.output


def test_a_broken_recipe_is_one_line(srbench_home: Path) -> None:
    recipes = srbench_home / "zoo" / "recipes"
    recipes.mkdir(parents=True)
    (recipes / "bad.toml").write_text("steps = ")
    done = CliRunner().invoke(main, ["ls", "recipes"])
    assert done.exit_code == 1
    assert "bad.toml is not TOML" in done.output


@pytest.mark.parametrize("kind", ["models", "metrics"])
def test_without_torch_one_line_says_what_is_missing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SRBENCH_HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "srbench", *arguments, "ls", kind]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("Error: this command needs torch")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in run("--debug").stderr
