"""A time in place of steps: planned once, kept by a resumed run, planned anew by one that is replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.state import load_state
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import load_recipe
from tests.builders import small_recipe, write_images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def spent(folder: Path) -> float:
    """Seconds of the run in ``folder`` as its state holds them; a card's are rounded, which for so short a run may give 0."""
    state = load_state(folder)
    assert state is not None
    return state.facts.progress.seconds


def test_a_budget_fixes_the_steps_once(
    images: Path, srbench_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(images)
    card = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, budget=1.0))
    assert card.config["steps"] == card.steps != 12
    assert card.steps > 5
    assert card.config["val_every"] <= card.steps
    assert "steps follow from a budget of 1 s" in card.notes
    assert sorted(path.name for path in (srbench_home / "runs").iterdir()) == [card.name]
    again = train("fsrcnn_s", recipe, RunOptions(threads=1, budget=50.0, resume=True))
    assert again.steps == card.steps
    assert "budget of 1 s" in again.notes
    warning = f"the run keeps the {card.steps} steps of a budget of 1 s; --overwrite plans anew"
    assert warning in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(
        "srbench.training.loop.budget.steps_within", lambda recipe, *_: recipe.model_copy(update={"steps": 3})
    )
    assert train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, budget=50.0, overwrite=True)).steps == 3


def test_a_run_that_has_ended_goes_on_with_its_curve(images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(images)
    first = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    folder = srbench_home / "runs" / first.name
    seconds = spent(folder)
    longest = RunOptions(progress=False, threads=1, extend=seconds)
    card = train("fsrcnn_s", recipe, longest)
    assert 12 < card.steps <= 26
    assert [point["step"] for point in card.curve][:3] == [6, 12, 18]
    assert card.curve[:2] == first.curve
    assert max(point["val_psnr"] for point in card.curve) >= max(point["val_psnr"] for point in first.curve)
    assert f"made longer after its end by {seconds:g} s" in card.notes
    assert spent(folder) > seconds
    assert load_recipe(str(folder / "recipe.toml"), "fsrcnn_s").steps == card.steps
    rates = [line["lr"] for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if "lr" in line]
    assert rates[4] > rates[3]  # the end of the first schedule, then the middle of the longer one
    again = train("fsrcnn_s", recipe, replace(longest, extend=0.0, resume=True))
    assert again.steps == card.steps
    assert train("fsrcnn_s", recipe, longest).steps > card.steps


def test_an_extension_that_was_stopped_goes_on_by_the_same_call(
    images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(images)
    first = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    longer = RunOptions(progress=False, threads=1, extend=spent(srbench_home / "runs" / first.name))
    with monkeypatch.context() as stopping:
        stopping.setattr(
            "srbench.training.loop.folder.Stop.asked", property(lambda _: True, lambda *_: None), raising=False
        )
        with pytest.raises(InterruptedRunError, match="at step 13 of"):
            train("fsrcnn_s", recipe, longer)
    with pytest.raises(InputError, match=r"is at step 13 of .*: --resume ends it, then --extend"):
        train("fsrcnn_s", recipe, replace(longer, extend=1234.0))
    card = train("fsrcnn_s", recipe, longer)
    assert card.notes.count("made longer") == 1
    assert card.curve[:2] == first.curve


def test_only_a_run_that_is_there_becomes_longer(images: Path, srbench_home: Path) -> None:
    longer = RunOptions(progress=False, threads=1, extend=5.0)
    with pytest.raises(InputError, match="holds no run to extend"):
        train("fsrcnn_s", small_recipe(images), longer)
    growing = small_recipe(images).model_copy(update={"grow": (12,)})
    train("fsrcnn_s", growing, replace(longer, extend=0.0))
    with pytest.raises(InputError, match="its crops grow"):
        train("fsrcnn_s", growing, longer)
    refused = CliRunner().invoke(main, ["train", "fsrcnn_s", "--extend", "5m", "--overwrite"])
    assert refused.exit_code == 2
    assert "--extend goes on with one run" in refused.output
    refused = CliRunner().invoke(main, ["train", "fsrcnn_s", "--extend", "soon"])
    assert "--extend 'soon' is no time" in refused.output
