"""A time in place of steps: planned once, kept by a resumed run, planned anew by one that is replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from srbench.images import imresize, write_image
from srbench.training.recipe import load_recipe
from srbench.training.settings import Settings
from srbench.training.trainer import train


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for index in range(8):
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        write_image(folder / f"p{index}.png", imresize(blocks, size=(64, 72)))
    return folder


def test_a_budget_fixes_the_steps_once(
    pictures: Path, srbench_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"data": str(pictures), "val": 2, "patch": 8, "batch": 4, "steps": 12, "val_every": 6, "log_every": 3}
    recipe = load_recipe("common", "fsrcnn_s", [f"{key}={json.dumps(value)}" for key, value in values.items()])
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
