"""A recipe's file under zoo/recipes, or any other, and a mapping of changes → one resolved recipe.

``NAME.toml`` serves every model, ``MODEL.NAME.toml`` one model and goes before it. Besides the tables of a recipe's own
keys there are two: ``[models.MODEL]``, values that one model needs otherwise, such as its peak learning rate, and
``[cpu]``, the size that a CPU can bear: other patches, batches and steps, on images that hold such patches, and the loss
that small crops need; ``[models.MODEL.cpu]`` has the last word on that size. What a run used is resolved to a flat recipe
before training, and that is what its card stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from srbench.errors import InputError, UnknownNameError, first_problem
from srbench.files import listed
from srbench.home import home
from srbench.models import MODELS
from srbench.names import check_name
from srbench.records import is_sealed, read_toml, unseal
from srbench.training.recipe.schema import CPU_KEYS, Recipe, Size


def recipe_folders() -> list[Path]:
    """Where recipes are looked for: the working zoo first, then the source checkout's."""
    checkout = Path(__file__).resolve().parents[3]
    return list(dict.fromkeys([home() / "zoo" / "recipes", checkout / "zoo" / "recipes"]))


def list_recipes(model: str) -> list[str]:
    """Names of the recipes that serve a model, sorted."""
    names = set()
    for folder in recipe_folders():
        for path in listed(folder, "*.toml"):
            owner, _, name = path.stem.rpartition(".")
            if owner in ("", model):
                names.add(name)
    return sorted(names)


def find_recipe(name: str, model: str) -> Path:
    """The file of a recipe: a path to one, ``MODEL.NAME.toml`` or ``NAME.toml``.

    Raises:
        UnknownNameError: with the nearest recipe that serves the model.
        InputError: a path to no file, or what can be no name.
    """
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise InputError(f"no recipe file {name}")
        return Path(name)
    check_name("recipe", name)
    for folder in recipe_folders():
        for path in (folder / f"{model}.{name}.toml", folder / f"{name}.toml"):
            if path.is_file():
                return path
    raise UnknownNameError("recipe", name, list_recipes(model), f"zoo/recipes for {model}")


def load_recipe(name: str, model: str, changes: Mapping[str, Any] | None = None, size: Size = "full") -> Recipe:
    """The recipe called ``name``, resolved for one model.

    Args:
        name: a recipe of zoo/recipes or the path of a TOML file.
        model: whose ``[models.MODEL]`` values apply.
        changes: recipe keys and their values; ``{"loss.mse": 0.1}`` sets one value of a table, ``{"loss": {...}}``
            gives a whole one. They go before everything in the file.
        size: ``"cpu"`` puts the values of ``[cpu]`` in place before the changes; a recipe without that table has one size.

    Raises:
        UnknownNameError: no such recipe, or an unknown key, with the nearest.
        InputError: a file that is not TOML, or a value that cannot be used.
    """
    path = find_recipe(name, model)
    values = _read(path)
    tables = _own_tables(values, path, model, size)
    values.setdefault("name", path.stem.rpartition(".")[2])
    for table in tables:
        values = merged(values, _one_by_one(table), path)
    return resolve(merged(values, changes or {}, path), str(path), changes or {})


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_toml(path, "a recipe")
    except OSError as error:
        raise InputError(f"recipe {path} cannot be read: {error.strerror}") from None
    if not is_sealed(values):
        return values
    try:
        return unseal(values, path)
    except InputError:
        raise InputError(
            f"{path} is not what a run wrote: remove its checksum to make it a recipe of your own"
        ) from None


def _own_tables(values: dict[str, Any], path: Path, model: str, size: Size) -> list[dict[str, Any]]:
    """Take ``[models]`` and ``[cpu]`` out of a file's values: the tables that apply, the last word last."""
    by_model, cpu = (_table_of(values.pop(key, {}), key, path) for key in ("models", "cpu"))
    for name in by_model:
        if name != model and name not in MODELS:
            raise UnknownNameError("model", name, MODELS.names(), f"[models] of {path}")
    own = dict(_table_of(by_model.get(model, {}), f"models.{model}", path))
    own_cpu = _table_of(own.pop("cpu", {}), f"models.{model}.cpu", path)
    for key in [*cpu, *own_cpu]:
        if key not in CPU_KEYS:
            raise UnknownNameError("key of [cpu]", key, CPU_KEYS, str(path))
    small = [cpu, own_cpu, {"size": "cpu"}] if size == "cpu" and (cpu or own_cpu) else []
    return [own, *small]


def _table_of(value: Any, key: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: {key} = {value!r}: expected a table of values")
    return value


def _one_by_one(table: Mapping[str, Any]) -> dict[str, Any]:
    """A model's values of a table change the recipe's table key by key."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= {f"{key}.{entry}": held for entry, held in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def merged(values: Mapping[str, Any], changes: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """``values`` of the recipe at ``path`` with ``changes`` in place, in order; ``table.entry`` changes one entry of a table.

    Raises:
        InputError: an entry of what is no table.
    """
    result = dict(values)
    for key, value in changes.items():
        table, dot, entry = key.partition(".")
        held = result.get(table, {})
        if dot and not isinstance(held, Mapping):
            raise InputError(f"{path}: {key} changes one value of a table, and {table} is {held!r}")
        result[table] = {**held, entry: value} if dot else value
    return result


def resolve(values: Mapping[str, Any], where: str, changes: Iterable[str] = ()) -> Recipe:
    """Checked values.

    Args:
        values: of every key that is not to have its default.
        where: names their source in an error.
        changes: keys whose values are not the source's, which an error says as well.

    Raises:
        UnknownNameError: an unknown key, with the nearest.
        InputError: a value that cannot be used.
    """
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        place = error.errors(include_url=False)[0]["loc"]
        if place and place[0] in {key.partition(".")[0] for key in changes}:
            where = f"a change of {where}"
        raise first_problem(error, where, Recipe, "recipe key") from None
