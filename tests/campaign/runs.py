"""Damaged states and logs of training runs, and recipes: what was written, or a clear error; never another number."""

from __future__ import annotations

import math
import random
import tomllib
from pathlib import Path

import tomli_w
import torch

from srbench.errors import InputError
from srbench.training.loop.log import LOG, LogLine, log_line, read_log
from srbench.training.loop.progress import ProgressFacts
from srbench.training.loop.state import STATE, RunFacts, RunState, load_state, save_state
from srbench.training.optim.optimisers import make_optimisers
from srbench.training.optim.schedule import learning_rate
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe
from tests.campaign import Fuzzer, damage
from tests.campaign.records import edited_toml

_RECIPE = Path(__file__).resolve().parents[2] / "zoo" / "recipes" / "srgan.toml"
LINES: list[LogLine] = [
    {"step": step, "loss": 0.5 / step, "lr": 1e-3, "samples_per_s": 99.5, "collapse": "é"} for step in range(1, 6)
]


def prepare_states(folder: Path) -> tuple[bytes, RunState]:
    """A small state."""
    torch.manual_seed(0)
    tensors = {
        "network": {"a.weight": torch.rand(4, 3), "b.running_mean": torch.zeros(0)},
        "random": {"cpu": torch.arange(9)},
    }
    state = RunState(7, tensors, RunFacts(model="fsrcnn_s", recipe=Recipe(), progress=ProgressFacts(best_psnr=28.5)))
    save_state(folder, state)
    return (folder / STATE).read_bytes(), state


def attempt_state(prepared: object, random_: random.Random, folder: Path) -> None:
    """One damaged state, without an older one beside it."""
    assert isinstance(prepared, tuple)
    sound, expected = prepared
    run = folder / "mutant"
    run.mkdir(exist_ok=True)
    (run / STATE).write_bytes(damage(sound, random_))
    found = load_state(run)
    assert found is not None
    assert (found.step, found.facts) == (expected.step, expected.facts)
    for group, tensors in expected.tensors.items():
        assert found.tensors[group].keys() == tensors.keys()
        wrong = [name for name, value in tensors.items() if not torch.equal(found.tensors[group][name], value)]
        assert not wrong, f"other values of {wrong}"


def prepare_logs(_folder: Path) -> bytes:
    """A few lines."""
    return "".join(log_line(line["step"], line) for line in LINES).encode()


def attempt_log(prepared: object, random_: random.Random, folder: Path) -> None:
    """One damaged log: its lines are those that were written, and what is lost is said."""
    assert isinstance(prepared, bytes)
    run = folder / "mutant"
    run.mkdir(exist_ok=True)
    (run / LOG).write_bytes(damage(prepared, random_))
    found = read_log(run)
    strange = [line for line in found.lines if line not in LINES]
    assert not strange, f"{strange[0]} was never written"
    if found.damaged:
        raise InputError(found.remark(run))


def prepare_recipes(_folder: Path) -> bytes:
    """A recipe with every table."""
    load_recipe(str(_RECIPE), "srgan")  # so that no try pays for what is imported and found once
    make_optimisers([torch.nn.Parameter(torch.ones(2, 2))], Recipe())
    return _RECIPE.read_bytes()


def attempt_recipe(prepared: object, random_: random.Random, folder: Path) -> None:
    """A recipe has no checksum, as people write it: whatever is taken can be trained by."""
    assert isinstance(prepared, bytes)
    path = folder / "mutant.toml"
    path.write_bytes(edited_toml(prepared, random_) if random_.random() < 0.5 else damage(prepared, random_))
    found = load_recipe(str(path), "srgan", size=random_.choice(("full", "cpu")))
    weight = [torch.nn.Parameter(torch.ones(2, 2))]
    assert make_optimisers(weight, found)
    assert found.discriminator is None or make_optimisers(weight, found.discriminator)
    assert all(math.isfinite(learning_rate(found, step)) for step in (0, found.steps // 2, found.steps - 1))
    assert tomllib.loads(tomli_w.dumps(found.model_dump(mode="json", exclude_none=True)))


STATES = Fuzzer("states", prepare_states, attempt_state)
LOGS = Fuzzer("logs", prepare_logs, attempt_log)
RECIPES = Fuzzer("recipes", prepare_recipes, attempt_recipe)
