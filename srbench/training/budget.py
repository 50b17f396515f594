"""Training for a given time: the first steps are measured on a trial, and the number of steps follows."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from srbench.errors import InputError
from srbench.training.checkpoint import load_state
from srbench.training.recipe import Recipe
from srbench.training.run import LOG

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TRIAL_STEPS = 8
_VALIDATIONS = 20
_VALIDATION_SHARE = 0.1  # of the time, at most


def parse_budget(text: str) -> float:
    """Seconds in ``90s``, ``20m`` or ``1.5h``; InputError for anything else.

    >>> parse_budget("20m")
    1200.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if not found or float(found[1]) == 0:
        raise InputError(f"--budget {text!r} is no time; expected a number with s, m or h, such as 20m")
    return float(found[1]) * _UNITS[found[2]]


def planned(recipe: Recipe, folder: Path) -> tuple[Recipe, float] | None:
    """The recipe with the steps of the run in ``folder``, and its budget in seconds (0: none); None without a state there.

    A resumed run keeps its schedule, whatever time it is given now.
    """
    state = load_state(folder)
    if state is None:
        return None
    kept = {key: state.facts["recipe"][key] for key in ("steps", "val_every")}
    return recipe.model_copy(update=kept), float(state.facts.get("budget", 0.0))


def steps_within(recipe: Recipe, seconds: float, trial: Callable[[Recipe], tuple[Path, float]]) -> Recipe:
    """The recipe with as many steps as fit into ``seconds``, and validations that take a tenth of it at most.

    Args:
        recipe: whose ``steps`` and ``val_every`` are replaced.
        seconds: of training and validation together; reading pictures is not counted.
        trial: runs a recipe of few steps and gives its folder and the seconds it took.
    """
    every = recipe.game.n_critic if recipe.game else 1
    count = math.ceil(_TRIAL_STEPS / every) * every * (1 + len(recipe.grow))
    found, total = trial(recipe.model_copy(update={"steps": count, "val_every": count, "log_every": every}))
    lines = [json.loads(line) for line in (found / LOG).read_text(encoding="utf-8").splitlines()]
    times = [recipe.batch / line["samples_per_s"] for line in lines if "samples_per_s" in line]
    spent = sum(times) * every
    # Without growing crops, the median is blind to the first step, which is slow; stages differ and need the mean.
    step = statistics.fmean(times) if recipe.grow else statistics.median(times)
    validation = max(0.0, total - spent)
    validations = min(_VALIDATIONS, max(1, int(_VALIDATION_SHARE * seconds / max(validation, 1e-9))))
    steps = max(1, int((seconds - validations * validation) / step))
    return recipe.model_copy(update={"steps": steps, "val_every": math.ceil(steps / validations)})
