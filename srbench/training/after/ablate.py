"""Ablations: a grid of recipes × models × data × seeds × recipe values, each cell a run, into one table.

The plan is one TOML file. ``recipe``, ``model``, ``data``, ``seed`` and ``steps`` take a value or a list; ``[grid]`` gives lists
of values of any recipe key, ``[set]`` values for every cell; ``budget`` is a time a cell instead of steps. ``[variants]`` names
sets of changes that are tried one at a time, ``{}`` being the recipe as it is. ``within`` names what rows that are compared have
in common: with ``within = ["model"]`` each row is compared with the best of the same network::

    recipe = "tuned"
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
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from srbench.errors import InputError, InUseError, SrbenchError, UnknownNameError, first_problem
from srbench.home import home
from srbench.models import get_model
from srbench.names import check_name, slug
from srbench.records import read_toml
from srbench.training.loop.budget import parse_budget
from srbench.training.loop.distributed import is_main
from srbench.training.loop.folder import claim
from srbench.training.loop.log import read_log
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe, Size
from srbench.zoo import Card, checkpoint_name, find_checkpoint

Axis = Any  # one value or a list of values
SCORES = ("val_psnr", "val_lpips", "val_lattice")
"""What is told of the weights on validation images: PSNR (dB), and of adversarial runs LPIPS and the lattice (dB)."""

_PAUSE = 2.0  # seconds until cells that other processes hold are looked at again


class AblationPlan(BaseModel):
    """An ablation as its file gives it; the attributes are the file's keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    recipe: str | list[str] = "tuned"
    model: str | list[str]
    data: str | list[str] | None = None
    seed: int | list[int] | None = None
    steps: int | list[int] | None = None
    budget: str = ""
    size: Literal["auto", "full", "cpu"] = "auto"
    within: list[str] = []
    set: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    variants: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class AblationCell:
    """One run of an ablation.

    Attributes:
        model: the network.
        recipe: the resolved recipe.
        tag: recipe part of the checkpoint's name.
        values: what distinguishes the cell from others, seed included, as shown in the table.
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
class AblationOutcome:
    """What became of a cell.

    Attributes:
        cell: of the plan.
        card: of its checkpoint.
        reason: why there is no card; ``missing`` before it ran.
        start: ``val_psnr`` and the like before the first step, as the run's log has them.
    """

    cell: AblationCell
    card: Card | None = None
    reason: str = "missing"
    start: dict[str, float] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether it has a card or failed."""
        return self.card is not None or self.reason != "missing"

    @property
    def psnr(self) -> float:
        """Validation PSNR in dB of the weights that were kept."""
        assert self.card is not None
        scores = [point["val_psnr"] for point in self.card.curve]
        return float(scores[-1] if self.cell.recipe.keep == "last" else max(scores))


def read_plan(path: Path) -> AblationPlan:
    """The plan in a TOML file, named after the file unless it says otherwise.

    Raises:
        UnknownNameError: an unknown key, with the nearest.
        InputError: a file that is not TOML, values that cannot be used or contradict each other.
    """
    try:
        values = read_toml(path, "a plan")
    except FileNotFoundError:
        raise InputError(f"no plan {path}; expected a TOML file") from None
    except OSError as error:
        raise InputError(f"plan {path} cannot be read: {error.strerror}") from None
    values.setdefault("name", slug(path.stem))
    try:
        plan = AblationPlan.model_validate(values)
    except ValidationError as error:
        raise first_problem(error, f"{path}; recipe keys stand in [set] and [grid]", AblationPlan) from None
    _check_plan(plan, path)
    return plan


def _check_plan(plan: AblationPlan, path: Path) -> None:
    check_name("ablation", plan.name)
    if plan.budget and (plan.steps is not None or "steps" in plan.grid):
        raise InputError(f"{path} gives a budget and steps; expected one of them")
    for key, axis in plan.grid.items():
        if not axis:
            raise InputError(f"{path}: [grid] {key} has no values")
    for name in plan.within:
        if name not in _axes(plan):
            raise UnknownNameError("value that varies", name, _axes(plan), f"within of {path}")
    for name, changes in plan.variants.items():
        for key in sorted(set(changes) & ({"steps"} if plan.budget else set()) | set(changes) & set(plan.grid)):
            raise InputError(f"{path}: [variants] {name} changes {key}, which the plan gives; expected one of them")


def cells(plan: AblationPlan, size: Size) -> list[AblationCell]:
    """Every cell, its recipe checked; raises as ``load_recipe`` does. ``size`` stands for the plan's ``auto``."""
    chosen: Size = size if plan.size == "auto" else plan.size
    axes = _axes(plan)
    for model in axes["model"]:
        get_model(model)
    combinations = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    varied = [key for key, axis in axes.items() if len(axis) > 1]
    return [_cell(plan, values, varied, chosen) for values in combinations]


def _axes(plan: AblationPlan) -> dict[str, list[Any]]:
    """What is varied and how: the names of the axes, each with its values."""
    axes: dict[str, list[Any]] = {"recipe": _list(plan.recipe), "model": _list(plan.model)}
    axes |= {key: _list(axis) for key, axis in (("data", plan.data), ("steps", plan.steps)) if axis is not None}
    axes |= plan.grid
    axes |= {"variant": list(plan.variants)} if plan.variants else {}
    return axes | ({"seed": _list(plan.seed)} if plan.seed is not None else {})


def _cell(plan: AblationPlan, values: dict[str, Any], varied: list[str], size: Size) -> AblationCell:
    shown = {key: _show(value) for key, value in values.items() if key in {"recipe", "model", "seed", *varied}}
    name, model = values.pop("recipe"), values.pop("model")
    own = plan.variants[values.pop("variant")] if plan.variants else {}
    recipe = load_recipe(name, model, {**plan.set, **values, **own}, size)
    shown.setdefault("seed", str(recipe.seed))
    budget = parse_budget(plan.budget) if plan.budget else 0.0
    facts = json.dumps([identity(recipe), budget], sort_keys=True)
    words = [recipe.name, *(f"{key}-{shown[key]}" for key in varied if key not in ("recipe", "model"))]
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))[:80].strip("-.")
    tag = f"{readable}-{hashlib.sha256(facts.encode()).hexdigest()[:6]}"
    return AblationCell(model, recipe, tag, shown, budget)


def identity(keys: BaseModel, table: str = "") -> dict[str, Any]:
    """The values of a recipe, or of one of its tables, that tell one cell from another.

    Keys that came to the schema after the first ablations count only where they differ from their defaults, which is how the
    cells of before were trained: so these keep their names, whatever keys are added.
    """
    dumped = keys.model_dump(mode="json")
    found = {}
    for key, known in type(keys).model_fields.items():
        value = getattr(keys, key)
        if f"{table}{key}" in _FIRST_KEYS or value != known.default:
            found[key] = identity(value, f"{key}.") if isinstance(value, BaseModel) else dumped[key]
    return found


# Keys of the recipe, and of its tables, when the first ablations were made. It is history: new keys do not belong here.
_FIRST_KEYS = {
    "name", "size", "data", "val", "val_data", "scale", "channels", "skip", "options", "init_from", "patch", "grow", "batch",
    "steps", "rescale", "augment", "loss", "perceptual", "adversarial", "optimiser", "lr", "betas", "weight_decay",
    "grad_clip", "schedule", "warmup", "lr_end", "milestones", "gamma", "ema", "precision", "channels_last", "compile",
    "keep", "seed", "val_every", "log_every",
    "perceptual.backbone", "perceptual.layer", "perceptual.activation", "perceptual.distance",
    "adversarial.kind", "adversarial.discriminator", "adversarial.norm", "adversarial.reference", "adversarial.optimiser",
    "adversarial.lr", "adversarial.betas", "adversarial.weight_decay", "adversarial.grad_clip", "adversarial.real_label",
    "adversarial.fake_label", "adversarial.label_noise", "adversarial.n_critic", "adversarial.clip", "adversarial.penalty",
}  # fmt: skip


def folder_of(plan: AblationPlan) -> Path:
    """Where the cells' runs and checkpoints and the table lie."""
    return home() / "runs" / f"ablate-{plan.name}"


def outcomes(plan: AblationPlan, planned: list[AblationCell]) -> list[AblationOutcome]:
    """What the folder holds of each cell."""
    return [_stored(folder_of(plan), cell) for cell in planned]


def ablate(
    plan: AblationPlan,
    planned: list[AblationCell],
    options: RunOptions,
    say: Callable[[str], None],
    report: Callable[[list[AblationOutcome]], None],
) -> list[AblationOutcome]:
    """Train the cells that are missing, in order.

    Processes that are given the same plan share its cells: each trains what no other holds, and waits for the rest.

    Args:
        plan: names the folder.
        planned: from :func:`cells`.
        options: device, threads, data root and the like of every cell; names and folders are set here.
        say: told what is trained next.
        report: given all outcomes after each cell.

    Raises:
        InterruptedRunError: the user stopped a cell; the same call goes on.
    """
    folder = folder_of(plan)
    found = outcomes(plan, planned)
    waiting = [index for index, outcome in enumerate(found) if not outcome.card]
    while waiting:
        held = []
        for index in waiting:
            cell = found[index].cell
            try:
                with claim(folder / "held" / cell.checkpoint, is_main()):
                    found[index] = _stored(folder, cell)  # another process may have made it meanwhile
                    if not found[index].card:
                        values = ", ".join(f"{key} {value}" for key, value in cell.values.items())
                        say(f"cell {index + 1} of {len(found)}: {values}")
                        found[index] = _trained(folder, cell, replace(options, **_places(folder, cell)), say)
            except InUseError:
                held.append(index)
                continue
            if is_main():
                report([outcome if outcome.settled else _stored(folder, outcome.cell) for outcome in found])
        if len(held) == len(waiting):
            time.sleep(_PAUSE)
        waiting = held
    return found


def _places(folder: Path, cell: AblationCell) -> dict[str, Any]:
    return {"name": cell.tag, "zoo": folder / "zoo", "runs": folder, "resume": True, "budget": cell.budget}


def _trained(folder: Path, cell: AblationCell, options: RunOptions, say: Callable[[str], None]) -> AblationOutcome:
    try:
        card = train(cell.model, cell.recipe, options)
    except InterruptedRunError as error:
        raise InterruptedRunError(f"{error}; the same `srbench ablate` does so") from None
    except SrbenchError as error:
        say(f"failed: {error}")
        return AblationOutcome(cell, None, str(error))
    return AblationOutcome(cell, card, "", _start(folder, cell))


def _stored(folder: Path, cell: AblationCell) -> AblationOutcome:
    try:
        card = find_checkpoint(cell.checkpoint, folder / "zoo")
    except UnknownNameError:
        return AblationOutcome(cell)
    return AblationOutcome(cell, card, "", _start(folder, cell))


def _start(folder: Path, cell: AblationCell) -> dict[str, float]:
    """The scores before the first step; none where the run's folder is gone, or a short budget had no room for them."""
    try:
        lines = read_log(folder / cell.checkpoint).lines
    except OSError:
        return {}
    first = next((line for line in lines if line["step"] == 0), {})
    return {key: value for key, value in first.items() if key in SCORES and isinstance(value, float)}


def _list(axis: Axis) -> list[Any]:
    return axis if isinstance(axis, list) else [axis]


def _show(value: Any) -> str:
    """``0.1 mse + 1 l1`` of a table, ``0.6 0.8`` of a list."""
    if isinstance(value, dict):
        return " + ".join(
            f"{entry:g} {key}" if isinstance(entry, int | float) else f"{key} {entry}" for key, entry in value.items()
        )
    if isinstance(value, list):
        return " ".join(_show(entry) for entry in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
