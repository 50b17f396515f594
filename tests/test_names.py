"""Names become parts of file names: what they may hold, and that training asks before its first step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from srbench.cli import main
from srbench.errors import InputError
from srbench.names import LONGEST, check_name, slug
from srbench.training.after.runs import find_run
from srbench.training.loop.folder import check_writable
from tests.builders import write_images


@given(st.text(max_size=2 * LONGEST))
def test_a_name_is_one_part_of_a_path_and_a_slug_is_a_name(text: str) -> None:
    try:
        name = check_name("recipe", text)
    except InputError as error:
        name, message = slug(text), str(error)
        assert len(message.splitlines()) == 1
        assert not name or check_name("recipe", name) == name
    assert Path(name).name == name
    assert not name.startswith(".")


@pytest.mark.parametrize("name", ["my run", "x/../../../../escaped", "..", "/tmp/x", ".hidden", "a\nb", "é", "x" * 300])
def test_a_name_that_cannot_be_one_is_told_before_anything_is_read(name: str, srbench_home: Path) -> None:
    for arguments in (["fsrcnn_s"], ["--all"], ["fsrcnn_s", "--resume"]):
        result = CliRunner().invoke(main, ["train", *arguments, "--data", "nowhere", "--name", name])
        assert result.exit_code == 1
        assert "recipe name" in result.stderr
        assert "nowhere" not in result.stderr
        assert result.stderr.count("\n") == 1
    assert not list(srbench_home.iterdir())
    assert not (srbench_home.parent / "escaped").exists()


def test_a_recipes_own_name_and_an_ablations_are_asked_too(srbench_home: Path) -> None:
    recipe = srbench_home / "mine.toml"
    recipe.write_text('name = "my recipe"\n')
    result = CliRunner().invoke(main, ["train", "fsrcnn_s", "--recipe", str(recipe), "--data", "nowhere"])
    assert "recipe name 'my recipe': expected letters, digits" in result.stderr
    assert "such as 'my-recipe'" in result.stderr
    result = CliRunner().invoke(main, ["train", "fsrcnn_s", "--recipe", "../mine"])
    assert "recipe name '../mine'" in result.stderr
    plan = srbench_home / "plan.toml"
    plan.write_text('name = "../plan"\nmodel = "fsrcnn"\n')
    result = CliRunner().invoke(main, ["ablate", str(plan)])
    assert "ablation name '../plan'" in result.stderr
    with pytest.raises(Exception, match="unknown run"):
        find_run("../elsewhere", srbench_home / "runs")


def test_what_a_run_will_write_is_known_to_be_writable_before_it_starts(tmp_path: Path, srbench_home: Path) -> None:
    images = write_images(tmp_path / "images")
    values = {"data": str(images), "val": 2, "patch": 8, "batch": 4, "steps": 2}
    given = [part for key, value in values.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    for blocked in ("runs", "zoo"):
        (srbench_home / blocked).write_text("a file in the way")
        result = CliRunner().invoke(main, ["train", "fsrcnn_s", "--threads", "1", *given])
        assert result.exit_code == 1
        assert f"cannot write to {srbench_home / blocked}" in result.stderr
        assert "reading" not in result.stderr
        (srbench_home / blocked).unlink()
    check_writable(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()
