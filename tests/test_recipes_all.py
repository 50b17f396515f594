"""Every recipe of zoo/recipes trains: three steps in the fast tests, fifty in the slow ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from srbench.models import get_model
from srbench.training.loop.options import RunOptions
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import find_recipe, load_recipe
from tests.builders import narrow_vgg, store_parent, write_images

pytestmark = pytest.mark.usefixtures("one_thread")

FOLDER = Path(__file__).parents[1] / "zoo" / "recipes"
STAGED = ("srcnn", "fsrcnn", "btsrn")
HEAVY = ("edsr", "rrdb", "srresnet", "btsrn", "vdsr")  # networks that take more than a moment a step


def cases(heavy: bool) -> list[tuple[str, str]]:
    """(recipe, model) of every committed file; the narrow generators stand for the wide ones."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        owner, _, name = path.stem.rpartition(".")
        if owner:
            models: tuple[str, ...] = (owner,)
        elif name == "staged-crops":
            models = STAGED
        else:
            models = ("esrgan_s",) if name.startswith("esrgan") else ("srgan_s",) if "srgan" in name else ("fsrcnn",)
        found += [(name, model) for model in models if heavy or model not in HEAVY]
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"), 10, (96, 100))


def run(name: str, model: str, steps: int, images: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srbench.training.losses.perceptual.load_backbone", narrow_vgg(home))
    given = load_recipe(name, model)
    if given.init_from:
        parent, _, tag = given.init_from.partition("_x4.")
        store_parent(parent, tag, skip="bicubic", **given.options)
    # Crops and batches that eight small images can fill; everything else is the recipe's.
    changes = {"data": str(images), "val": 2, "patch": 8, "batch": 4, "steps": steps, "val_every": steps}
    changes["log_every"] = max(1, steps // 5)
    if load_recipe(name, model).grow:
        changes["grow"] = [12, 16]
    recipe = load_recipe(name, model, changes, "cpu")
    card = train(model, recipe, RunOptions(progress=False))
    assert card.recipe == name
    assert math.isfinite(card.curve[-1]["val_psnr"])
    lines = [json.loads(line) for line in (home / "runs" / card.name / "log.jsonl").read_text().splitlines() if line]
    steps_seen = [line for line in lines if "samples_per_s" in line]
    assert steps_seen[-1]["step"] == steps
    assert all(math.isfinite(value) for value in steps_seen[-1].values() if isinstance(value, float))


@pytest.mark.parametrize(("name", "model"), cases(heavy=False))
def test_three_steps(name: str, model: str, images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strides = [1, 2] * 4
    widths = tuple((512 if number == 7 else 8, stride) for number, stride in enumerate(strides))
    monkeypatch.setattr("srbench.models.discriminators.srgan._WIDTHS", widths)
    run(name, model, 3, images, srbench_home, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), cases(heavy=True))
def test_fifty_steps(name: str, model: str, images: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(name, model, 50, images, srbench_home, monkeypatch)


def test_each_header_says_source_time_and_score() -> None:
    for path in FOLDER.glob("*.toml"):
        header = [line for line in path.read_text().splitlines() if line.startswith("#")]
        for part in ("# Source: ", "# Expected time: ", "# Expected score: "):
            assert any(line.startswith(part) for line in header), f"{path.name} does not say {part[2:-2]}"


@pytest.mark.parametrize("model", ["srcnn", "fsrcnn", "espcn", "vdsr", "btsrn", "edsr", "srresnet", "rrdb"])
def test_papers_have_a_recipe_of_their_own_for_the_published_network(model: str) -> None:
    recipe = load_recipe("paper", model)
    assert find_recipe("paper", model).name == f"{model}.paper.toml"
    assert (recipe.skip, recipe.options) == ("none", {})
    assert recipe.channels in ("model", get_model(model).channels)
