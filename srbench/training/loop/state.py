"""The state of a run in one safetensors file, replaced as a whole: a run killed at any moment has the last one.

It holds the weights, their average, the best average so far, the optimiser, the random state and, as JSON in the
header, the step and what was measured. Nothing in it is a pickle.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from srbench.errors import InputError, first_problem
from srbench.files import replacing
from srbench.training.loop.pace import PaceFacts
from srbench.training.loop.progress import ProgressFacts
from srbench.training.losses.collapse import CollapseFacts
from srbench.training.recipe.schema import Recipe

STATE = "state.safetensors"

Groups = dict[str, dict[str, Tensor]]
"""Tensors of a saved state, by group (``network``, ``average``, ``best``, ``optimiser``, ``random`` …) and name."""


class Origin(BaseModel):
    """Where a run's first weights came from. A name may mean other weights at the next sitting.

    Attributes:
        init_sha256: of the parent's weights, "" without ``init_from``.
        warm: what was taken of weights of which not all fit, for the card; "" where all were or none were asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    init_sha256: str = ""
    warm: str = ""


class AdversarialFacts(BaseModel):
    """What an adversarial run remembers besides tensors.

    Attributes:
        collapse: of its watch.
        latest: mean values of the discriminator's steps of the last log line.
    """

    model_config = ConfigDict(extra="forbid")

    collapse: CollapseFacts
    latest: dict[str, float] = {}


class RunFacts(BaseModel):
    """What a state holds besides tensors.

    Attributes:
        model: its name.
        recipe: that the run follows.
        progress: what was measured.
        budget: seconds that the steps follow from; 0 where the recipe gave them.
        extensions: seconds by which the run was made longer after its end, each time.
        origin: of its first weights.
        pace: of a run with a budget.
        adversarial: of a run with a discriminator.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    recipe: Recipe
    progress: ProgressFacts
    budget: float = 0.0
    extensions: tuple[float, ...] = ()
    origin: Origin = Origin()
    pace: PaceFacts = PaceFacts()
    adversarial: AdversarialFacts | None = None


@dataclass(frozen=True)
class RunState:
    """What a run needs to go on.

    Attributes:
        step: steps done.
        tensors: by group and name.
        facts: all else.
    """

    step: int
    tensors: Groups
    facts: RunFacts


def save_state(folder: Path, state: RunState) -> None:
    """Write a state to ``folder``; the file appears whole or the last one stays. Raises OSError."""
    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    path = folder / STATE
    try:
        with replacing(path) as staging:
            save_file(flat, staging, {"step": str(state.step), "facts": json.dumps(state.facts.model_dump())})
    except SafetensorError as error:  # the system's own error stands in its text, such as a full disk's
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from None


def load_state(folder: Path) -> RunState | None:
    """The state in ``folder``, or None where there is none; raises InputError for a file that is no state."""
    path = folder / STATE
    if not path.is_file():
        return None
    tensors: Groups = {}
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                group, _, name = key.partition("/")
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
        return RunState(int(header["step"]), tensors, RunFacts.model_validate_json(header["facts"]))
    except ValidationError as error:
        raise InputError(f"{first_problem(error, str(path), RunFacts)}; --overwrite starts again") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the state of a run, or cut off ({error}); --overwrite starts again") from None


def random_tensors() -> dict[str, Tensor]:
    """The states of torch's random generators. Crops do not depend on them: they follow from seed and step."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def load_random(tensors: dict[str, Tensor]) -> None:
    """Put the states of :func:`random_tensors` back."""
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
