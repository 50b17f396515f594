"""Ablations: a grid of recipes × models × data × seeds × recipe values, each cell a run, into one table.

The plan is one TOML file. ``recipe``, ``model``, ``data``, ``seed`` and ``steps`` take a value or a list; ``[grid]`` gives lists
of values of any recipe key, ``[set]`` values for every cell; ``budget`` is a time a cell instead of steps. ``[variants]`` names
sets of changes that are tried one at a time, ``{}`` being the recipe as it is::

    recipe = "common"
    model = ["fsrcnn", "espcn"]
    seed = [0, 1, 2]
    budget = "3m"

    [set]
    val_every = 200

    [grid]
    lr = [1e-3, 4e-3]
    loss = ["l1", "mse"]

    [variants]
    recipe = {}
    no-skip = { skip = "none", lr = 1e-3 }

A cell is named by its values and a hash of its whole recipe, so that a changed plan trains what is new and keeps the rest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.home import home
from srbench.models import get_model
from srbench.training.budget import parse_budget
from srbench.training.distributed import is_main
from srbench.training.recipe import Recipe, Size, load_recipe
from srbench.training.settings import InterruptedRunError, Settings
from srbench.zoo import Card, checkpoint_name, find_checkpoint

Axis = Any  # one value or a list of values


class Plan(BaseModel):
    """An ablation as its file gives it; the attributes are the file's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    recipe: str | list[str] = "common"
    model: str | list[str]
    data: str | list[str] | None = None
    seed: int | list[int] | None = None
    steps: int | list[int] | None = None
    budget: str = ""
    size: Literal["auto", "full", "cpu"] = "auto"
    set: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    variants: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Cell:
    """One run of an ablation.

    Attributes:
        model: the network. recipe: resolved. tag: recipe part of the checkpoint's name.
        values: what tells the cell from others, seed included, as shown in the table.
        budget: seconds, 0 for the recipe's steps.
    """

    model: str
    recipe: Recipe
    tag: str
    values: dict[str, str]
    budget: float = 0.0

    @property
    def checkpoint(self) -> str:
        """Name of the cell's run and checkpoint."""
        return checkpoint_name(self.model, [self.recipe.scale], self.tag)


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its card, or why it has none (``missing`` before it ran)."""

    cell: Cell
    card: Card | None = None
    reason: str = "missing"

    @property
    def psnr(self) -> float:
        """Held-back PSNR in dB of the weights that were kept."""
        assert self.card is not None
        scores = [point["val_psnr"] for point in self.card.curve]
        return float(scores[-1] if self.cell.recipe.keep == "last" else max(scores))


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file, named after the file unless it says otherwise; InputError, UnknownNameError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no plan {path}; expected a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"plan {path} is not TOML: {error}") from None
    values.setdefault("name", re.sub(r"[^A-Za-z0-9._-]", "-", path.stem))
    try:
        plan = Plan.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UnknownNameError(
                "key", key, Plan.model_fields, f"{path}; recipe keys stand in [set] and [grid]"
            ) from None
        raise InputError(f"{path}: {key}: {first['msg']}") from None
    if plan.budget and (plan.steps is not None or "steps" in plan.grid):
        raise InputError(f"{path} gives a budget and steps; expected one of them")
    for key, axis in plan.grid.items():
        if not axis:
            raise InputError(f"{path}: [grid] {key} has no values")
    for name, changes in plan.variants.items():
        for key in sorted(set(changes) & ({"steps"} if plan.budget else set()) | set(changes) & set(plan.grid)):
            raise InputError(f"{path}: [variants] {name} changes {key}, which the plan gives; expected one of them")
    return plan


def cells(plan: Plan, size: Size) -> list[Cell]:
    """Every cell, its recipe checked; raises as ``load_recipe`` does. ``size`` stands for the plan's ``auto``."""
    chosen: Size = size if plan.size == "auto" else plan.size
    axes: dict[str, list[Any]] = {"recipe": _list(plan.recipe), "model": _list(plan.model)}
    axes |= {key: _list(axis) for key, axis in (("data", plan.data), ("steps", plan.steps)) if axis is not None}
    axes |= plan.grid
    axes |= {"variant": list(plan.variants)} if plan.variants else {}
    axes |= {"seed": _list(plan.seed)} if plan.seed is not None else {}
    budget = parse_budget(plan.budget) if plan.budget else 0.0
    varied = [key for key, axis in axes.items() if len(axis) > 1]
    for model in axes["model"]:
        get_model(model)
    found = []
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        shown = {key: _show(value) for key, value in values.items() if key in {"recipe", "model", "seed", *varied}}
        name, model = values.pop("recipe"), values.pop("model")
        own = plan.variants[values.pop("variant")] if plan.variants else {}
        changes = [f"{key}={_toml(value)}" for key, value in {**plan.set, **values, **own}.items()]
        recipe = load_recipe(name, model, changes, chosen)
        shown.setdefault("seed", str(recipe.seed))
        facts = json.dumps([_identity(recipe), budget], sort_keys=True)
        slug = [recipe.name, *(f"{key}-{shown[key]}" for key in varied if key not in ("recipe", "model"))]
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(slug))[:80].strip("-.")
        tag = f"{readable}-{hashlib.sha256(facts.encode()).hexdigest()[:6]}"
        found.append(Cell(model, recipe, tag, shown, budget))
    return found


def _identity(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values without unused keys that earlier versions lacked, so that cells keep their names."""
    values = recipe.model_dump(mode="json")
    return {key: value for key, value in values.items() if _LATER.get(key, _UNSET) != value}


_LATER: dict[str, Any] = {"warm_from": "", "freeze_norm": 1.0, "init": "model"}
_UNSET = object()


def folder_of(plan: Plan) -> Path:
    """Where the cells' runs and checkpoints and the table lie."""
    return home() / "runs" / f"ablate-{plan.name}"


def outcomes(plan: Plan, planned: list[Cell]) -> list[Outcome]:
    """What the folder holds of each cell."""
    return [_stored(folder_of(plan), cell) for cell in planned]


def ablate(
    plan: Plan,
    planned: list[Cell],
    settings: Settings,
    say: Callable[[str], None],
    report: Callable[[list[Outcome]], None],
) -> list[Outcome]:
    """Train the cells that are missing, in order.

    Args:
        plan: names the folder. planned: from :func:`cells`.
        settings: device, threads, data root and the like of every cell; names and folders are set here.
        say: told what is trained next. report: given all outcomes after each cell.

    Raises:
        InterruptedRunError: the user stopped a cell; the same call goes on.
    """
    from srbench.training.trainer import train

    folder = folder_of(plan)
    found = outcomes(plan, planned)
    for index, outcome in enumerate(found):
        if outcome.card:
            continue
        cell = outcome.cell
        say(f"cell {index + 1} of {len(found)}: {', '.join(f'{key} {value}' for key, value in cell.values.items())}")
        own = replace(settings, name=cell.tag, zoo=folder / "zoo", runs=folder, resume=True, budget=cell.budget)
        try:
            found[index] = Outcome(cell, train(cell.model, cell.recipe, own), "")
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{error}; the same `srbench ablate` does so") from None
        except SrbenchError as error:
            found[index] = Outcome(cell, None, str(error))
            say(f"failed: {error}")
        if is_main():
            report(found)
    return found


def _stored(folder: Path, cell: Cell) -> Outcome:
    try:
        return Outcome(cell, find_checkpoint(cell.checkpoint, folder / "zoo"), "")
    except UnknownNameError:
        return Outcome(cell)


def _list(axis: Axis) -> list[Any]:
    return axis if isinstance(axis, list) else [axis]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(entry)}" for key, entry in value.items()) + " }"
    return json.dumps(value)


def _show(value: Any) -> str:
    """``0.1 mse + 1 l1`` of a table, ``0.6 0.8`` of a list."""
    if isinstance(value, dict):
        return " + ".join(
            f"{entry:g} {key}" if isinstance(entry, int | float) else f"{key} {entry}" for key, entry in value.items()
        )
    if isinstance(value, list):
        return " ".join(_show(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
