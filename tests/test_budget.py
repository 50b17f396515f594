"""A time in place of steps: planned once, kept by a resumed run, planned anew by one that is replaced."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import srbench
from srbench.cli import main
from srbench.errors import InputError
from srbench.training.loop.folder import Stop
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.pace import Pace, PaceFacts
from srbench.training.loop.state import load_state
from srbench.training.loop.trainer import Trainer, train
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe
from tests.builders import small_recipe, write_images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks at a clock that is 50 ms further each time, whatever else the machine does."""
    looks = itertools.count(1)
    monkeypatch.setattr("srbench.training.loop.progress.RunTime.seconds", lambda _: next(looks) / 20)
    monkeypatch.setattr("srbench.training.loop.pace.Pace.validated", lambda *_: None)
    monkeypatch.setattr("srbench.training.loop.validation.Validation.seconds", lambda *_: 0.0)


def spent(folder: Path) -> float:
    """Seconds of the run in ``folder`` as its state holds them; a card's are rounded, which for so short a run may give 0."""
    state = load_state(folder)
    assert state is not None
    return state.facts.progress.seconds


def test_a_budget_fixes_the_steps_once(
    images: Path, srbench_home: Path, clock: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
        "srbench.training.loop.pace.Pace._fitting", lambda self, recipe, done, *_: recipe.replanned(done, 3, 3)
    )
    assert train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1, budget=50.0, overwrite=True)).steps == 3


def followed(
    pace: Pace,
    recipe: Recipe,
    clock: float,
    validation: float,
    cost: Callable[[Recipe, int, float], float],
    done: int = 0,
) -> tuple[Recipe, float]:
    """The plan of a run at its end, and its clock then, which is made up.

    Args:
        pace: plans the run.
        recipe: as it is planned at first.
        clock: seconds of the run until now.
        validation: seconds of one.
        cost: ``cost(recipe, done, clock)`` → seconds of the next step.
        done: steps that were made.
    """
    while done < recipe.steps:
        clock += cost(recipe, done, clock)
        done += 1
        if pace.due(done):
            recipe = pace.plan(recipe, done, clock)
        if done % recipe.val_every == 0 or done == recipe.steps:
            clock += validation
            pace.validated(validation)
    return recipe, clock + validation  # of the weights as they are stored


@settings(max_examples=60)
@given(
    step=st.floats(1e-3, 12.0),
    validation=st.floats(1e-3, 8.0),
    first=st.floats(0.0, 15.0),
    drift=st.floats(0.6, 1.7),
    turn=st.floats(0.05, 0.7),
    grow=st.booleans(),
)
def test_the_time_is_kept_whatever_a_step_costs(
    step: float, validation: float, first: float, drift: float, turn: float, grow: bool
) -> None:
    """A minute by a made-up clock; the first step takes longer, and the machine gets slower or faster on the way."""
    budget, recipe = 60.0, Recipe(steps=1000, val_every=100, patch=8, grow=(12,) if grow else ())
    pace, costs = Pace(budget, recipe), 0.0

    def cost(recipe: Recipe, done: int, clock: float) -> float:
        nonlocal costs
        patch = next(patch for start, stop, patch in recipe.stages() if start <= done < stop)
        costs = step * (patch / 8) ** 2 * (drift if clock > turn * budget else 1.0)
        return costs + (first if done == 0 else 0.0)

    pace.validated(validation)
    pace.begin(validation)
    recipe, clock = followed(pace, recipe, validation, validation, cost)
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    stages = recipe.stages()
    assert [start for start, *_ in stages] == [0, *(stop for _, stop, _ in stages[:-1])]
    assert stages[-1][1] == recipe.steps
    assert abs(clock - budget) <= 0.05 * budget + costs + validation + (first if recipe.steps < 3 else 0.0)


@settings(max_examples=60)
@given(
    step=st.floats(1e-3, 6.0), validation=st.floats(1e-3, 5.0), faster=st.floats(0.3, 3.0), ended=st.integers(20, 5000)
)
def test_an_extension_takes_its_time_though_the_pace_is_another(
    step: float, validation: float, faster: float, ended: int
) -> None:
    """A minute more by a made-up clock, of a run that was slower or faster before."""
    seconds, recipe = 60.0, Recipe(steps=ended, val_every=max(1, ended // 5), patch=8)
    facts = PaceFacts(validations=5, validating=5 * validation)
    before = ended * step / faster + 5 * validation
    recipe = recipe.replanned(ended, ended + max(1, int(seconds * ended / before)), recipe.val_every)
    pace = Pace(seconds, recipe, facts)
    pace.begin_again(recipe, ended, before)
    recipe, clock = followed(pace, recipe, before, validation, lambda *_: step, ended)
    assert [plan[0] for plan in recipe.planned[:2]] == [0, ended]
    assert Recipe.model_validate(recipe.model_dump()) == recipe
    assert abs(clock - before - seconds) <= 0.05 * seconds + step + validation + max(0, validation * 6 - seconds)


def test_a_card_has_all_that_a_run_without_a_clock_needs(
    images: Path, tmp_path: Path, srbench_home: Path, clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget stopped and resumed: the recipe on its card gives the same weights, bit for bit."""
    recipe = small_recipe(images, grow=(10,))
    options = RunOptions(progress=False, threads=1, budget=2.0)
    after = Trainer._after

    def stopping(run: Trainer, done: int, batch: Any, stop: Stop) -> None:
        stop.asked = done == 6
        after(run, done, batch, stop)

    with monkeypatch.context() as once:
        once.setattr(Trainer, "_after", stopping)
        with pytest.raises(InterruptedRunError, match="stopped at step 6 of"):
            train("fsrcnn_s", recipe, options)
    card = train("fsrcnn_s", recipe, replace(options, resume=True))
    assert card.config["planned"][0][0] == 0
    assert card.config["planned"][-1][1] == card.steps > 6
    again = load_recipe(str(srbench_home / "runs" / card.name / "recipe.toml"), "fsrcnn_s")
    assert again.planned == tuple(map(tuple, card.config["planned"]))
    other = train(
        "fsrcnn_s", again, RunOptions(progress=False, threads=1, zoo=tmp_path / "other", runs=tmp_path / "other")
    )
    assert other.curve[-1]["val_psnr"] == card.curve[-1]["val_psnr"]
    assert read(srbench_home / "zoo") == read(tmp_path / "other")


def read(zoo: Path) -> bytes:
    return (zoo / "fsrcnn_s" / "x4.tuned.safetensors").read_bytes()


def test_other_steps_than_those_planned_are_refused() -> None:
    with pytest.raises(ValidationError, match="its last plan is of 9 steps, not 5"):
        Recipe(steps=5, val_every=3, planned=((0, 12, 3), (2, 9, 3)))


def test_edited_code_makes_no_card_unless_it_is_asked_for(
    images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SRBENCH_DIRTY")
    monkeypatch.setattr("srbench.provenance.source_commit", lambda: "0123456789ab+edited")
    with pytest.raises(InputError, match=r"differ from commit 0123456789ab .*--dirty"):
        train("fsrcnn_s", small_recipe(images), RunOptions(progress=False, threads=1))
    assert not (srbench_home / "runs").exists()
    card = train("fsrcnn_s", small_recipe(images), RunOptions(progress=False, threads=1, dirty=True))
    assert card.commit == "0123456789ab+edited"
    assert "differs from its commit (--dirty)" in card.notes
    monkeypatch.setattr("srbench.provenance.source_commit", lambda: "")
    monkeypatch.setattr("srbench.__file__", str(srbench_home / "site-packages" / "srbench" / "__init__.py"))
    installed = train("fsrcnn_s", small_recipe(images), RunOptions(progress=False, threads=1, overwrite=True))
    assert installed.commit == f"srbench {srbench.__version__}"
    assert "--dirty" not in installed.notes


def test_a_run_that_has_ended_goes_on_with_its_curve(images: Path, srbench_home: Path, clock: None) -> None:
    recipe = small_recipe(images)
    first = train("fsrcnn_s", recipe, RunOptions(progress=False, threads=1))
    folder = srbench_home / "runs" / first.name
    seconds = spent(folder)
    longest = RunOptions(progress=False, threads=1, extend=seconds)
    card = train("fsrcnn_s", recipe, longest)
    assert 12 < card.steps <= 26
    assert card.curve[2]["step"] > 12
    assert card.config["planned"][:2] == [[0, 12, 6], [12, card.config["planned"][1][1], 6]]
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
