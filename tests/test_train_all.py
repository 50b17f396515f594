"""``srbench train --all``: which networks a recipe trains, that it goes on where it stopped, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner, Result

from srbench.cli import main, train
from srbench.errors import SrbenchError
from srbench.images import write_image
from srbench.training import trainer
from srbench.training.recipe import Recipe
from srbench.training.settings import InterruptedRunError, Settings
from srbench.zoo import Card, checkpoint_name, zoo_root


def asked(recipe: str, scale: int | None = None) -> train.Asked:
    return train.Asked(recipe, scale, None, None, None, (), "cpu", "cpu", None)


def test_a_recipe_trains_the_networks_it_serves_smallest_first(srbench_home: Path) -> None:
    common = train._served(asked("common"))
    assert common[0] == "fsrcnn_s"
    assert common.index("fsrcnn") < common.index("espcn") < common.index("srcnn") < common.index("edsr_baseline")
    assert {"drrn", "edsr", "srresnet", "rrdb"} <= set(common)
    assert not {"bicubic", "mdsr", "srgan", "esrgan"} & set(common)
    for recipe in ("srgan", "srgan-perpix", "srgan-wgan-clip"):
        assert train._served(asked(recipe)) == ["srgan_s", "srgan"]
    assert train._served(asked("esrgan")) == ["esrgan_s", "esrgan"]
    assert "msrresnet" not in train._served(asked("paper"))
    with pytest.raises(SrbenchError, match="Did you mean 'common'"):
        train._served(asked("comon"))


@pytest.fixture
def trained(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Settings]]:
    """Networks trained by a pretended trainer: vdsr fails, the second call of drrn is stopped the first time."""
    calls: list[tuple[str, Settings]] = []

    def pretended(model: str, recipe: Recipe, settings: Settings) -> Card:
        calls.append((model, settings))
        if model == "vdsr":
            raise SrbenchError("loss is nan in step 3")
        if model == "drrn" and [name for name, _ in calls].count("drrn") == 1:
            raise InterruptedRunError("drrn_x4.common stopped at step 3 of 9; go on with --resume")
        card = Card(
            name=checkpoint_name(model, [4], settings.name), model=model, scales=[4], channels="y", recipe=settings.name,
            parameters=1, data={}, steps=9, samples_seen=9, seed=0, commit="", hardware="", wall_time_s=1.0,
            precision="fp32", config={"keep": "best"}, curve=[{"step": 9, "val_psnr": 30.0}],
        )  # fmt: skip
        path = (settings.zoo or zoo_root()) / f"{card.stem}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tomli_w.dumps(card.model_dump(mode="json", exclude_none=True)))
        return card

    monkeypatch.setattr(trainer, "train", pretended)
    monkeypatch.setattr(train, "_served", lambda _: ["fsrcnn", "vdsr", "drrn", "edsr"])
    return calls


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", "--all", "--budget", "1h", *arguments])


def test_it_goes_on_skips_what_is_done_and_ends_with_the_leaderboard(
    trained: list[tuple[str, Settings]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[list[str]] = []
    monkeypatch.setattr(train, "_leaderboard", lambda cards, _: measured.append([card.name for card in cards]))
    stopped = run()
    assert stopped.exit_code == 1
    assert "drrn_x4.common stopped at step 3 of 9; the same command goes on" in stopped.stderr
    assert "vdsr failed: loss is nan in step 3" in stopped.stderr
    assert [name for name, _ in trained] == ["fsrcnn", "vdsr", "drrn"]
    assert {(settings.budget, settings.resume) for _, settings in trained} == {(3600.0, True)}
    assert not measured
    trained.clear()
    trained.append(("drrn", Settings()))
    done = run()
    assert "fsrcnn_x4.common is in the zoo" in done.stderr
    assert [name for name, _ in trained[1:]] == ["vdsr", "drrn", "edsr"]
    assert done.exit_code == 1
    assert measured == [["fsrcnn_x4.common", "drrn_x4.common", "edsr_x4.common"]]


def test_several_recipes_are_trained_in_turn(
    trained: list[tuple[str, Settings]], srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_leaderboard", lambda *_: None)
    served = {"paper": ["fsrcnn"], "common": ["fsrcnn", "edsr"]}
    monkeypatch.setattr(train, "_served", lambda asked: served[asked.recipe])
    assert run("--recipe", "paper", "--recipe", "common").exit_code == 0
    assert [(name, settings.name) for name, settings in trained] == [
        ("fsrcnn", "paper"),
        ("fsrcnn", "common"),
        ("edsr", "common"),
    ]


def test_a_child_does_not_start_from_another_parent_where_its_own_failed(
    trained: list[tuple[str, Settings]], srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_leaderboard", lambda *_: None)
    monkeypatch.setattr(train, "_served", lambda asked: {"common": ["vdsr"], "srgan": ["srgan"]}[asked.recipe])
    done = run("--recipe", "common", "--recipe", "srgan", "--set", "init_from=vdsr_x4.common")
    assert done.exit_code == 1
    assert [name for name, _ in trained] == ["vdsr"]
    assert "srgan failed: its parent vdsr_x4.common failed" in done.stderr


def test_another_zoo_is_not_measured_and_json_is_the_cards(trained: list[tuple[str, Settings]], tmp_path: Path) -> None:
    trained.append(("drrn", Settings()))
    result = run("--out", str(tmp_path / "other"), "--json")
    assert [card["name"] for card in json.loads(result.stdout)] == [
        "fsrcnn_x4.common",
        "drrn_x4.common",
        "edsr_x4.common",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one MODEL, or give --all"),
        (["fsrcnn", "--all"], "name one MODEL"),
        (["--all", "--overwrite"], "--all skips"),
        (["fsrcnn", "--recipe", "common", "--recipe", "paper"], "one MODEL takes one --recipe"),
        (["--all", "--recipe", "common", "--recipe", "paper", "--name", "mine"], "several keep their own"),
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
    monkeypatch.setattr(train, "_served", lambda _: ["fsrcnn_s", "espcn"])
    monkeypatch.setenv("SRBENCH_DATA", str(srbench_home / "nothing"))
    monkeypatch.setenv("SRBENCH_CACHE", str(srbench_home / "cache"))
    changes = ["val=1", "patch=6", "batch=4", "val_every=4", "log_every=2", "rescale=[]"]
    given = [part for change in changes for part in ("--set", change)]
    result = CliRunner().invoke(
        main, ["train", "--all", "--data", str(srbench_home / "few"), "--steps", "4", "--threads", "1", *given]
    )
    assert result.exit_code == 0, result.stderr
    assert "fsrcnn_s_x4.common: " in result.stderr
    assert "not measured on set5" in result.stderr
    assert "espcn_x4.common" in result.stdout
    assert (srbench_home / "reports" / "leaderboard.md").is_file()
