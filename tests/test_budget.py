"""A time in place of steps: planned once, kept by a resumed run, planned anew by one that is replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.errors import InputError
from srbench.images import imresize, write_image
from srbench.training.checkpoint import load_state
from srbench.training.recipe import Recipe, load_recipe
from srbench.training.settings import InterruptedRunError, Settings
from srbench.training.trainer import train


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    random = np.random.default_rng(0)
    for index in range(8):
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        write_image(folder / f"p{index}.png", imresize(blocks, size=(64, 72)))
    return folder


def spent(folder: Path) -> float:
    """Seconds of the run in ``folder`` as its state holds them; a card's are rounded, which for so short a run may give 0."""
    state = load_state(folder)
    assert state is not None
    return float(state.facts["progress"]["seconds"])


def small(images: Path) -> Recipe:
    values = {"data": str(images), "val": 2, "patch": 8, "batch": 4, "steps": 12, "val_every": 6, "log_every": 3}
    return load_recipe("common", "fsrcnn_s", [f"{key}={json.dumps(value)}" for key, value in values.items()])


def test_a_budget_fixes_the_steps_once(
    images: Path, srbench_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(images)
    card = train("fsrcnn_s", recipe, Settings(progress=False, threads=1, budget=1.0))
    assert card.config["steps"] == card.steps != 12
    assert card.steps > 5
    assert card.config["val_every"] <= card.steps
    assert "steps follow from a budget of 1 s" in card.notes
    assert sorted(path.name for path in (srbench_home / "runs").iterdir()) == [card.name]
    again = train("fsrcnn_s", recipe, Settings(threads=1, budget=50.0, resume=True))
    assert again.steps == card.steps
    assert "budget of 1 s" in again.notes
    warning = f"the run keeps the {card.steps} steps of a budget of 1 s; --overwrite plans anew"
    assert warning in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(
        "srbench.training.trainer.steps_within", lambda recipe, *_: recipe.model_copy(update={"steps": 3})
    )
    assert train("fsrcnn_s", recipe, Settings(progress=False, threads=1, budget=50.0, overwrite=True)).steps == 3


def test_a_run_that_has_ended_goes_on_with_its_curve(images: Path, srbench_home: Path) -> None:
    recipe = small(images)
    first = train("fsrcnn_s", recipe, Settings(progress=False, threads=1))
    folder = srbench_home / "runs" / first.name
    seconds = spent(folder)
    longest = Settings(progress=False, threads=1, extend=seconds)
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
    recipe = small(images)
    first = train("fsrcnn_s", recipe, Settings(progress=False, threads=1))
    longer = Settings(progress=False, threads=1, extend=spent(srbench_home / "runs" / first.name))
    with monkeypatch.context() as stopping:
        stopping.setattr("srbench.training.run.Stop.asked", property(lambda _: True, lambda *_: None), raising=False)
        with pytest.raises(InterruptedRunError, match="at step 13 of"):
            train("fsrcnn_s", recipe, longer)
    with pytest.raises(InputError, match=r"is at step 13 of .*: --resume ends it, then --extend"):
        train("fsrcnn_s", recipe, replace(longer, extend=1234.0))
    card = train("fsrcnn_s", recipe, longer)
    assert card.notes.count("made longer") == 1
    assert card.curve[:2] == first.curve


def test_only_a_run_that_is_there_becomes_longer(images: Path, srbench_home: Path) -> None:
    longer = Settings(progress=False, threads=1, extend=5.0)
    with pytest.raises(InputError, match="holds no run to extend"):
        train("fsrcnn_s", small(images), longer)
    growing = small(images).model_copy(update={"grow": (12,)})
    train("fsrcnn_s", growing, replace(longer, extend=0.0))
    with pytest.raises(InputError, match="its crops grow"):
        train("fsrcnn_s", growing, longer)
    refused = CliRunner().invoke(main, ["train", "fsrcnn_s", "--extend", "5m", "--overwrite"])
    assert refused.exit_code == 2
    assert "--extend goes on with one run" in refused.output
    refused = CliRunner().invoke(main, ["train", "fsrcnn_s", "--extend", "soon"])
    assert "--extend 'soon' is no time" in refused.output
