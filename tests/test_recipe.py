"""Recipes: what they hold, how they are found, and what is said when they are wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from srbench.cli.train import read_changes
from srbench.errors import InputError, UnknownNameError
from srbench.models import list_models
from srbench.training.recipe.load import find_recipe, list_recipes, load_recipe
from srbench.training.recipe.schema import CPU_KEYS, Recipe

# What a reader of a recipe asks first. A later key may be left out: its default is what runs did before it was there.
MUST_SAY = {
    "name",
    "data",
    "val",
    "scale",
    "channels",
    "skip",
    "init_from",
    "patch",
    "batch",
    "steps",
    "augment",
    "loss",
}
MUST_SAY |= {
    "optimiser",
    "lr",
    "betas",
    "schedule",
    "warmup",
    "ema",
    "keep",
    "precision",
    "seed",
    "val_every",
    "log_every",
}
RECIPES = sorted((Path(__file__).parents[1] / "zoo" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_committed_recipe_is_complete_and_named_as_its_file(path: Path) -> None:
    values = tomllib.loads(path.read_text())
    by_model, cpu = values.pop("models", {}), values.pop("cpu")
    tables = {"perceptual", "adversarial"}
    assert MUST_SAY <= set(values) <= set(Recipe.model_fields) - {"size"}
    assert {table for table in tables if table in values} == tables & set(values["loss"])
    assert {"patch", "batch", "steps"} <= set(cpu) <= set(CPU_KEYS)
    owner, _, name = path.stem.rpartition(".")
    assert values["name"] == name
    known = set(list_models())
    assert set(by_model) <= known
    assert not owner or owner in known
    assert load_recipe(name, owner or "fsrcnn").size == "full"
    assert load_recipe(name, owner or "fsrcnn", size="cpu").steps == cpu["steps"]


def test_a_models_own_values_and_changes_are_resolved() -> None:
    assert load_recipe("tuned", "msrresnet").lr == 6e-4
    assert load_recipe("tuned", "fsrcnn").lr == 4e-3
    assert load_recipe("tuned", "fsrcnn", {"lr": 0.002}).lr == 0.002
    assert load_recipe("paper", "fsrcnn").skip == "none"


def test_a_cpus_size_changes_terms_of_the_loss_and_keeps_the_others(tmp_path: Path) -> None:
    for model in ("srgan", "srgan_s"):
        loss = load_recipe("srgan", model, size="cpu").loss
        assert loss == {"perceptual": 0.06, "adversarial": 1e-3, "consistency": 1.0}
    assert load_recipe("srgan", "srgan").loss == {"perceptual": 0.006, "adversarial": 1e-3}
    path = tmp_path / "mine.toml"
    path.write_text(
        "loss = { l1 = 1.0, mse = 2.0, charbonnier = 3.0 }\n[cpu]\nloss = { mse = 4.0 }\n"
        "[models.espcn]\nloss = { l1 = 5.0 }\ncpu = { loss = { charbonnier = 6.0 } }\n"
    )
    assert load_recipe(str(path), "espcn", size="cpu").loss == {"l1": 5.0, "mse": 4.0, "charbonnier": 6.0}
    assert load_recipe(str(path), "espcn").loss == {"l1": 5.0, "mse": 2.0, "charbonnier": 3.0}


def test_changes_are_typed() -> None:
    changes = read_changes(["steps=100", "skip=none", "rescale=[0.5]", "loss.mse=0.25", "options.width=64", "val=3"])
    recipe = load_recipe("tuned", "fsrcnn", changes)
    assert (recipe.steps, recipe.skip, recipe.rescale, recipe.val) == (100, "none", (0.5,), 3)
    assert recipe.loss == {"l1": 1.0, "mse": 0.25}
    assert recipe.options == {"width": 64}
    assert load_recipe("tuned", "fsrcnn", {"loss": "mse"}).loss == {"mse": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stpes=5", r"unknown recipe key 'stpes' in .*tuned\.toml\. Did you mean 'steps'\?"),
        ("steps=abc", r"tuned\.toml: steps = 'abc': .*valid integer"),
        ("steps=0", r"steps = 0: .*greater than or equal to 1"),
        ("skip=lanczos", r"skip = 'lanczos': .*'none' or 'bicubic'"),
        ("rescale=[1.5]", "between 0 and 1"),
        ("loss={}", "at least one term"),
        ("schedule=exponential", "never reaches"),
        ("betas=[2.0, 0.9]", r"betas\.0 = 2\.0: .*less than 1"),
        ("betas=[0.9, -1.0]", r"betas\.1 = -1\.0: .*greater than or equal to 0"),
        ("betas=3", r"betas = 3: .*valid tuple"),
        ("adversarial.betas=[0.5, 1.0]", r"adversarial\.betas\.1 = 1\.0: .*less than 1"),
        ("lr=inf", r"lr = inf: .*finite"),
        ("loss={l1 = nan}", r"loss\.l1 = nan: .*finite"),
        (f"seed={10**30}", r"seed = 1000.*less than 9223372036854775808"),
        ("steps", "key=value"),
    ],
)
def test_a_wrong_value_is_named(change: str, message: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=message):
        load_recipe("tuned", "fsrcnn", read_changes([change]))


@pytest.mark.parametrize(
    "text", ["models = 3", "models = []", "[models]\nfsrcnn = 3", "cpu = [1]", "[models.fsrcnn]\ncpu = true"]
)
def test_what_should_be_a_table_and_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match=r"mine\.toml: .*: expected a table of values"):
        load_recipe(str(tmp_path / "mine.toml"), "fsrcnn", size="cpu")


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tuned'"):
        find_recipe("tunde", "fsrcnn")
    assert "paper" in list_recipes("fsrcnn")
    assert "paper" not in list_recipes("bicubic")


def test_a_users_own_file_goes_before_the_checkouts(srbench_home: Path) -> None:
    folder = srbench_home / "zoo" / "recipes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("steps = 7\n[models.espcn]\nsteps = 8\n")
    assert load_recipe("mine", "fsrcnn").steps == 7
    assert load_recipe("mine", "espcn").steps == 8
    assert load_recipe(str(folder / "mine.toml"), "espcn").name == "mine"
    (folder / "mine.toml").write_text("steps = ")
    with pytest.raises(InputError, match=r"mine\.toml is not a recipe"):
        load_recipe("mine", "fsrcnn")


def test_a_models_size_for_a_cpu_has_the_last_word_there_alone(srbench_home: Path) -> None:
    folder = srbench_home / "zoo" / "recipes"
    folder.mkdir(parents=True)
    text = "batch = 16\n[cpu]\nbatch = 8\npatch = 16\n[models.espcn]\nlr = 1.0\ncpu = { batch = 4 }\n"
    (folder / "mine.toml").write_text(text)
    assert load_recipe("mine", "espcn").batch == 16
    small = load_recipe("mine", "espcn", size="cpu")
    assert (small.batch, small.patch, small.lr) == (4, 16, 1.0)
    assert load_recipe("mine", "fsrcnn", size="cpu").batch == 8
    (folder / "mine.toml").write_text(text.replace("batch = 4", "bach = 4"))
    with pytest.raises(UnknownNameError, match=r"'bach' in .*Did you mean 'batch'"):
        load_recipe("mine", "espcn", size="cpu")
