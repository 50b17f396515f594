"""``srbench train --all``: which networks a recipe trains, that it goes on where it stopped, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from srbench.cli import main, train
from srbench.errors import InputError, SrbenchError
from srbench.images import write_image
from srbench.models import Model
from srbench.training import zoo
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.recipe.schema import Recipe
from srbench.training.zoo import RecipeRequest
from srbench.zoo import Card, write_card, zoo_root
from tests.builders import make_card


def served(recipe: str) -> list[str]:
    return zoo.served(RecipeRequest(recipe, size="cpu", device="cpu"))


def test_a_recipe_trains_the_networks_it_serves_smallest_first(srbench_home: Path) -> None:
    common = served("tuned")
    assert common[0] == "fsrcnn_s"
    assert common.index("fsrcnn") < common.index("espcn") < common.index("srcnn") < common.index("edsr_baseline")
    assert {"drrn", "edsr", "srresnet", "rrdb"} <= set(common)
    assert not {"bicubic", "mdsr", "srgan", "esrgan"} & set(common)
    for recipe in ("srgan", "srgan-perpix", "srgan-wgan-clip"):
        assert served(recipe) == ["srgan_s", "srgan"]
    assert served("esrgan") == ["esrgan_s", "esrgan"]
    assert "msrresnet" not in served("paper")
    with pytest.raises(SrbenchError, match="Did you mean 'tuned'"):
        served("tunde")


def test_further_scales_have_the_networks_that_can_be_built_for_them(srbench_home: Path) -> None:
    def at(scale: int) -> list[str]:
        return zoo.served(RecipeRequest("tuned", size="cpu", device="cpu", changes={"scale": scale}))

    assert {"espcn", "fsrcnn", "srcnn", "edsr_baseline", "srresnet"} <= set(at(8)) < set(at(4))
    with pytest.raises(InputError, match=r"built at x5; expected x2, x3, x4, x8$"):
        at(5)


@pytest.fixture
def trained(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, RunOptions]]:
    """Networks trained by a pretended trainer: vdsr fails, the second call of drrn is stopped the first time."""
    calls: list[tuple[str, RunOptions]] = []

    def pretended(described: Model, recipe: Recipe, settings: RunOptions) -> Card:
        model = described.name
        calls.append((model, settings))
        if model == "vdsr":
            raise SrbenchError("loss is nan in step 3")
        if model == "drrn" and [name for name, _ in calls].count("drrn") == 1:
            raise InterruptedRunError("drrn_x4.tuned stopped at step 3 of 9; go on with --resume")
        curve = [{"step": 9, "val_psnr": 30.0}]
        card = make_card(model, settings.name, steps=9, config={"keep": "best"}, curve=curve)
        write_card(card, settings.zoo or zoo_root())
        return card

    monkeypatch.setattr(zoo, "train", pretended)
    monkeypatch.setattr(zoo, "served", lambda _: ["fsrcnn", "vdsr", "drrn", "edsr"])
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", "--all", "--budget", "1h", *arguments])


def test_it_goes_on_skips_what_is_done_and_ends_with_the_leaderboard(
    trained: list[tuple[str, RunOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[list[str]] = []
    monkeypatch.setattr(train, "_leaderboard", lambda cards, _: measured.append([card.name for card in cards]))
    stopped = run()
    assert stopped.exit_code == 1
    assert "drrn_x4.tuned stopped at step 3 of 9; the same command goes on" in stopped.stderr
    assert "vdsr failed: loss is nan in step 3" in stopped.stderr
    assert [name for name, _ in trained] == ["fsrcnn", "vdsr", "drrn"]
    assert {(settings.budget, settings.resume) for _, settings in trained} == {(3600.0, True)}
    assert not measured
    trained.clear()
    trained.append(("drrn", RunOptions()))
    done = run()
    assert "fsrcnn_x4.tuned is in the zoo" in done.stderr
    assert [name for name, _ in trained[1:]] == ["vdsr", "drrn", "edsr"]
    assert done.exit_code == 1
    assert measured == [["fsrcnn_x4.tuned", "drrn_x4.tuned", "edsr_x4.tuned"]]


def test_several_recipes_are_trained_in_turn(
    trained: list[tuple[str, RunOptions]], srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_leaderboard", lambda *_: None)
    serving = {"paper": ["fsrcnn"], "tuned": ["fsrcnn", "edsr"]}
    monkeypatch.setattr(zoo, "served", lambda request: serving[request.recipe])
    assert run("--recipe", "paper", "--recipe", "tuned").exit_code == 0
    assert [(name, settings.name) for name, settings in trained] == [
        ("fsrcnn", "paper"),
        ("fsrcnn", "tuned"),
        ("edsr", "tuned"),
    ]


def test_a_child_does_not_start_from_another_parent_where_its_own_failed(
    trained: list[tuple[str, RunOptions]], srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_leaderboard", lambda *_: None)
    monkeypatch.setattr(zoo, "served", lambda request: {"tuned": ["vdsr"], "srgan": ["srgan"]}[request.recipe])
    done = run("--recipe", "tuned", "--recipe", "srgan", "--set", "init_from=vdsr_x4.tuned")
    assert done.exit_code == 1
    assert [name for name, _ in trained] == ["vdsr"]
    assert "srgan failed: its parent vdsr_x4.tuned failed" in done.stderr


def test_another_zoo_is_not_measured_and_json_is_the_cards(
    trained: list[tuple[str, RunOptions]], tmp_path: Path
) -> None:
    trained.append(("drrn", RunOptions()))
    result = run("--out", str(tmp_path / "other"), "--json")
    assert [card["name"] for card in json.loads(result.stdout)] == [
        "fsrcnn_x4.tuned",
        "drrn_x4.tuned",
        "edsr_x4.tuned",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one MODEL, or give --all"),
        (["fsrcnn", "--all"], "name one MODEL"),
        (["--all", "--overwrite"], "--all skips"),
        (["fsrcnn", "--recipe", "tuned", "--recipe", "paper"], "one MODEL takes one --recipe"),
        (["--all", "--recipe", "tuned", "--recipe", "paper", "--name", "mine"], "several keep their own"),
    ],
)
def test_contradictions_are_usage_errors(arguments: list[str], message: str, srbench_home: Path) -> None:
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.slow
def test_two_networks_are_trained_and_measured(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for index in range(6):
        write_image(srbench_home / "few" / f"p{index}.png", random.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    monkeypatch.setattr(zoo, "served", lambda _: ["fsrcnn_s", "espcn"])
    monkeypatch.setenv("SRBENCH_DATA", str(srbench_home / "nothing"))
    monkeypatch.setenv("SRBENCH_CACHE", str(srbench_home / "cache"))
    changes = ["val=1", "patch=6", "batch=4", "val_every=4", "log_every=2", "rescale=[]"]
    given = [part for change in changes for part in ("--set", change)]
    result = CliRunner().invoke(
        main, ["train", "--all", "--data", str(srbench_home / "few"), "--steps", "4", "--threads", "1", *given]
    )
    assert result.exit_code == 0, result.stderr
    assert "fsrcnn_s_x4.tuned: " in result.stderr
    assert "not measured on set5" in result.stderr
    assert "ESPCN" in result.stdout
    assert (srbench_home / "reports" / "leaderboard.md").is_file()
