"""Recipes: everything that decides what a training run learns, as one flat TOML file under zoo/recipes.

``NAME.toml`` serves every model, ``MODEL.NAME.toml`` one model and goes before it. Besides the tables of a recipe's own
keys there are two: ``[models.MODEL]``, values that one model needs otherwise, such as its peak learning rate, and
``[cpu]``, the size that a CPU can bear: other patches, batches and steps, on images that hold such patches, and the loss
that small crops need; ``[models.MODEL.cpu]`` has the last word on that size. What a run used is resolved to a flat recipe
before training, and that is what its card stores.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from srbench.errors import InputError, UnknownNameError
from srbench.home import home
from srbench.training.tables import Adversarial, Perceptual

Size = Literal["full", "cpu"]
CPU_KEYS = ("data", "val", "patch", "grow", "batch", "steps", "loss", "freeze_norm", "val_every", "log_every")
"""What ``[cpu]`` may change."""


class Recipe(BaseModel):
    """A resolved recipe.

    Attributes:
        name: the file's name without model and suffix; part of the checkpoint's name.
        size: ``"full"``, or ``"cpu"`` where the values of ``[cpu]`` are in place.
        data: training sets of the catalog, ``div2k``, ``df2k``, or folders, joined with ``+``.
        val: images held back for validation: their names, or how many, which are then spread evenly over the data.
        val_data: sets that those are chosen from; ``data`` by default. They are never trained on.
        scale: the enlargement.
        channels: ``"y"``, ``"rgb"``, or ``"model"`` for what the network was published on.
        skip: ``"bicubic"`` adds the network's output to the bicubic enlargement, where it has no such skip itself.
        options: the model's build options.
        init: who draws the initial weights: the ``"model"``, as its file says, or ``"pytorch"`` (see ``initial.py``).
        init_from: a checkpoint of the same architecture, options and scale whose weights training starts from, or "".
        warm_from: a checkpoint of the same architecture at any scale, or ``x2.common`` for whatever network is trained;
            training starts from those of its weights that fit.
        patch: side of an LR crop in pixels; the HR crop's is ``scale`` times it.
        grow: sides of the crops of later stages; all stages have equally many steps.
        batch: crops a step, over all processes.
        steps: optimiser steps.
        rescale: sizes of additional bicubic copies of every image.
        augment: each crop is flipped and turned into one of its 8 orientations.
        loss: weight of each loss term.
        perceptual, adversarial: the tables that the terms of these names need.
        optimiser, lr, betas, weight_decay, grad_clip: the optimiser (muon: see ``muon.py``), its peak rate, and the largest
            gradient norm (0: not clipped).
        schedule: how the rate falls after the warm-up: ``cosine`` to ``lr_end``, ``exponential`` to ``lr_end``,
            ``step`` by ``gamma`` at each of ``milestones``, or ``constant``.
        warmup, milestones: as fractions of ``steps``. The warm-up is linear.
        lr_end: the last rate as a fraction of ``lr``.
        freeze_norm: the fraction of ``steps`` after which batch norm keeps its statistics, in training too. A network trained
            on small batches learns to lean on theirs, which a whole image does not have.
        ema: decay a step of the averaged weights, which are validated and kept (0: the weights themselves).
        precision: ``"bf16"`` runs the network under autocast; weights and optimiser stay float32.
        channels_last: memory layout of the network's tensors.
        compile: run the network through ``torch.compile`` (2.15 cannot compile the replicated edges of srcnn and fsrcnn).
        keep: the weights that are kept: ``"best"`` by validation PSNR, or ``"last"``, which adversarial runs need, as
            their PSNR falls while their images sharpen.
        seed: decides initial weights and every crop.
        val_every, log_every: steps between validations and log lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    size: Size = "full"
    data: str = "t91+bsds200"
    val: int | tuple[str, ...] = 10
    val_data: str = ""
    scale: int = Field(4, ge=1)
    channels: Literal["model", "y", "rgb"] = "model"
    skip: Literal["none", "bicubic"] = "none"
    options: dict[str, str | int | float | bool] = {}
    init: Literal["model", "pytorch"] = "model"
    init_from: str = ""
    warm_from: str = ""
    patch: int = Field(24, ge=1)
    grow: tuple[int, ...] = ()
    batch: int = Field(16, ge=1)
    steps: int = Field(10_000, ge=1)
    rescale: tuple[float, ...] = ()
    augment: bool = True
    loss: dict[str, float] = {"l1": 1.0}
    perceptual: Perceptual | None = None
    adversarial: Adversarial | None = None
    optimiser: Literal["adam", "adamw", "muon", "sgd", "rmsprop"] = "adam"
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    grad_clip: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "step", "exponential", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)
    lr_end: float = Field(0.0, ge=0, le=1)
    milestones: tuple[float, ...] = ()
    gamma: float = Field(0.5, gt=0, le=1)
    freeze_norm: float = Field(1.0, ge=0, le=1)
    ema: float = Field(0.999, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    keep: Literal["best", "last"] = "best"
    seed: int = Field(0, ge=0)
    val_every: int = Field(500, ge=1)
    log_every: int = Field(50, ge=1)

    @field_validator("loss", mode="before")
    @classmethod
    def _one_term(cls, value: Any) -> Any:
        """A term's name alone has weight 1."""
        return {value: 1.0} if isinstance(value, str) else value

    @field_validator("loss")
    @classmethod
    def _some_term(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("needs at least one term, such as loss = { l1 = 1.0 }")
        return value

    @field_validator("rescale")
    @classmethod
    def _shrinks(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < factor < 1 for factor in value):
            raise ValueError("sizes of rescaled copies lie between 0 and 1")
        return value

    @field_validator("milestones")
    @classmethod
    def _fractions(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < part < 1 for part in value):
            raise ValueError("milestones are fractions of the steps, between 0 and 1")
        return value

    @field_validator("grow")
    @classmethod
    def _sides(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(side < 1 for side in value):
            raise ValueError("sides of crops are 1 LR pixel or more")
        return value

    @model_validator(mode="after")
    def _has_tables(self) -> Recipe:
        for term in ("perceptual", "adversarial"):
            if term in self.loss and getattr(self, term) is None:
                raise ValueError(f"the loss term {term!r} needs a table [{term}]")
        if self.game and self.keep == "best":
            raise ValueError("keep = 'best' by PSNR would keep an adversarial run's first weights; use keep = 'last'")
        return self

    @model_validator(mode="after")
    def _one_start(self) -> Recipe:
        if self.init_from and self.warm_from:
            raise ValueError("init_from takes all weights of a parent and warm_from what fits: give one of them")
        return self

    @model_validator(mode="after")
    def _reaches(self) -> Recipe:
        if self.schedule == "exponential" and self.lr_end == 0:
            raise ValueError("an exponential schedule never reaches lr_end = 0")
        return self

    @property
    def game(self) -> Adversarial | None:
        """How generator and discriminator play, or None where the loss has no adversarial term."""
        return self.adversarial if "adversarial" in self.loss else None

    def stages(self) -> list[tuple[int, int, int]]:
        """First step, end and LR patch of each stage."""
        patches = (self.patch, *self.grow)
        ends = [round(self.steps * (index + 1) / len(patches)) for index in range(len(patches))]
        return list(zip([0, *ends], ends, patches, strict=False))


def recipe_folders() -> list[Path]:
    """Where recipes are looked for: the working zoo first, then the source checkout's."""
    checkout = Path(__file__).resolve().parents[2]
    return list(dict.fromkeys([home() / "zoo" / "recipes", checkout / "zoo" / "recipes"]))


def list_recipes(model: str) -> list[str]:
    """Names of the recipes that serve a model, sorted."""
    names = set()
    for folder in recipe_folders():
        for path in folder.glob("*.toml"):
            owner, _, name = path.stem.rpartition(".")
            if owner in ("", model):
                names.add(name)
    return sorted(names)


def find_recipe(name: str, model: str) -> Path:
    """The file of a recipe: a path to one, ``MODEL.NAME.toml`` or ``NAME.toml``.

    Raises:
        UnknownNameError: with the nearest recipe that serves the model.
    """
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise InputError(f"no recipe file {name}")
        return Path(name)
    for folder in recipe_folders():
        for path in (folder / f"{model}.{name}.toml", folder / f"{name}.toml"):
            if path.is_file():
                return path
    raise UnknownNameError("recipe", name, list_recipes(model), f"zoo/recipes for {model}")


def load_recipe(name: str, model: str, changes: Iterable[str] = (), size: Size = "full") -> Recipe:
    """The recipe called ``name``, resolved for one model.

    Args:
        name: a recipe of zoo/recipes or the path of a TOML file.
        model: whose ``[models.MODEL]`` values apply.
        changes: ``key=value``, read as TOML where that is possible and as text where not; ``loss.mse=0.1`` sets one
            value of a table.
        size: ``"cpu"`` puts the values of ``[cpu]`` in place before the changes; a recipe without that table has one size.

    Raises:
        InputError, UnknownNameError: no such recipe, not TOML, an unknown key (with the nearest) or a value that
            cannot be used.
    """
    path = find_recipe(name, model)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is not TOML: {error}") from None
    by_model, cpu = values.pop("models", {}), values.pop("cpu", {})
    own = dict(by_model.get(model, {}))
    own_cpu = own.pop("cpu", {})
    for key in [*cpu, *own_cpu]:
        if key not in CPU_KEYS:
            raise UnknownNameError("key of [cpu]", key, CPU_KEYS, str(path))
    values.setdefault("name", path.stem.rpartition(".")[2])
    small = [cpu, own_cpu, {"size": "cpu"}] if size == "cpu" and (cpu or own_cpu) else []
    for table in (own, *small):
        values = merged(values, {key: _table(value) for key, value in table.items()})
    return resolve(values, str(path), changes)


def resolve(values: Mapping[str, Any], where: str, changes: Iterable[str] = ()) -> Recipe:
    """Checked values with ``key=value`` changes applied; ``where`` names their source in an error."""
    for change in changes:
        values = merged(values, _read_change(change))
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        table, entry = (*map(str, first["loc"][:2]), "", "")[:2]
        entry = entry if table in _TABLES else ""
        key = f"{table}.{entry}" if entry else table
        if first["type"] == "extra_forbidden":
            allowed = _TABLES[table].model_fields if entry else Recipe.model_fields
            raise UnknownNameError(
                "recipe key", entry or key, allowed, f"{table} of {where}" if entry else where
            ) from None
        held = values.get(table, {})
        held = held.get(entry, {}) if entry and isinstance(held, dict) else held
        given = f" = {held!r}" if table in values and not (isinstance(held, dict) and table in _TABLES) else ""
        raise InputError(f"{where}: {key or 'recipe'}{given}: {first['msg'].removeprefix('Value error, ')}") from None


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``changes`` in place; a table is merged key by key unless the change gives a whole one."""
    result = dict(values)
    for key, value in changes.items():
        result[key] = {**result.get(key, {}), **value[_PARTIAL]} if _is_partial(value) else value
    return result


_TABLES: dict[str, type[BaseModel]] = {"perceptual": Perceptual, "adversarial": Adversarial}
_PARTIAL = "\0partial"


def _table(value: Any) -> Any:
    """A model's values of a table go into the recipe's table key by key."""
    return {_PARTIAL: value} if isinstance(value, dict) else value


def _is_partial(value: Any) -> bool:
    return isinstance(value, dict) and _PARTIAL in value


def _read_change(change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not key:
        raise InputError(f"--set takes key=value, not {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    table, _, entry = key.partition(".")
    return {table: {_PARTIAL: {entry: value}}} if entry else {key: value}
