"""Ablations: which cells a plan has, that they are trained once, resumed and tabulated, and what a bad plan is told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.datasets.local import find_datasets
from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.files import write_text
from srbench.images import write_image
from srbench.records import read_json, unseal
from srbench.stats import seeded_test
from srbench.training.after.ablate import (
    AblationCell,
    AblationOutcome,
    ablate,
    cells,
    folder_of,
    identity,
    outcomes,
    read_plan,
)
from srbench.training.after.table import as_json, make_rows, make_table, markdown, page, stored, write_table
from srbench.training.loop.folder import claim
from srbench.training.loop.log import log_line
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.validation import split
from srbench.training.recipe.schema import Recipe
from srbench.training.recipe.tables import Adversarial
from srbench.zoo import Card, write_card
from tests.builders import make_card

ABLATIONS = Path(__file__).resolve().parent.parent / "zoo" / "ablations"


def write_plan(folder: Path, text: str, name: str = "plan.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def card_of(cell: AblationCell, psnr: float = 30.0) -> Card:
    curve = [{"step": 50, "val_psnr": psnr}, {"step": 100, "val_psnr": psnr - 1}]
    return make_card(cell.model, cell.tag, steps=100, seed=cell.recipe.seed, wall_time_s=90.0, curve=curve)


def test_a_grid_is_the_product_of_its_lists(srbench_home: Path) -> None:
    text = 'model = ["fsrcnn", "espcn"]\nseed = [0, 1, 2]\nsteps = 10\n[set]\nval_every = 5\n'
    text += '[grid]\nlr = [1e-3, 4e-3]\nloss = ["l1", {mse = 0.5, l1 = 1.0}]\n"options" = [{}]\n'
    plan = read_plan(write_plan(srbench_home, text))
    planned = cells(plan, "cpu")
    assert len(planned) == 2 * 3 * 2 * 2
    assert len({cell.checkpoint for cell in planned}) == len(planned)
    first, last = planned[0], planned[-1]
    assert first.values == {"recipe": "tuned", "model": "fsrcnn", "lr": "0.001", "loss": "l1", "seed": "0"}
    assert (last.recipe.lr, last.recipe.loss, last.recipe.seed) == (4e-3, {"mse": 0.5, "l1": 1.0}, 2)
    assert {(cell.recipe.steps, cell.recipe.val_every) for cell in planned} == {(10, 5)}
    assert last.checkpoint.startswith("espcn_x4.tuned-lr-0.004-loss-0.5-mse-1-l1-seed-2-")
    assert folder_of(plan) == srbench_home / "runs" / "ablate-plan"


def test_a_changed_recipe_is_another_cell_and_an_added_value_keeps_the_rest(srbench_home: Path) -> None:
    def tags(text: str) -> set[str]:
        return {cell.checkpoint for cell in cells(read_plan(write_plan(srbench_home, text)), "cpu")}

    base = tags('model = "fsrcnn"\n[grid]\nlr = [1e-3, 2e-3]\n')
    assert base < tags('model = "fsrcnn"\n[grid]\nlr = [1e-3, 2e-3, 4e-3]\n')
    assert not base & tags('model = "fsrcnn"\nbudget = "3m"\n[grid]\nlr = [1e-3, 2e-3]\n')
    assert not base & tags('model = "fsrcnn"\n[set]\nema = 0.9\n[grid]\nlr = [1e-3, 2e-3]\n')


class LaterTable(Adversarial):
    """``[adversarial]`` with a key that is to come."""

    spectral: bool = False


class LaterRecipe(Recipe):
    """A recipe with a key that is to come."""

    adversarial: LaterTable | None = None
    patience: int = 3


def test_a_key_that_comes_later_leaves_the_names_of_cells_as_they_are() -> None:
    values = {"loss": {"l1": 1.0, "adversarial": 1e-3}, "adversarial": {"kind": "relativistic"}, "keep": "last"}
    before, after = (kind.model_validate(values) for kind in (Recipe, LaterRecipe))
    assert identity(before) == identity(after)
    assert identity(before)["adversarial"]["n_critic"] == 1  # keys of the beginning count at their defaults too
    other = {**values, "patience": 4}
    assert identity(LaterRecipe.model_validate(other)) == {**identity(before), "patience": 4}
    other = {**values, "adversarial": {"kind": "relativistic", "spectral": True}}
    assert identity(LaterRecipe.model_validate(other))["adversarial"]["spectral"] is True


def test_variants_change_one_thing_each_and_keep_their_names(srbench_home: Path) -> None:
    text = 'model = "fsrcnn"\nsteps = 10\n[set]\nlr = 2e-3\n[variants]\nrecipe = {}\nplain = { skip = "none", ema = 0.0 }\n'
    first, second = cells(read_plan(write_plan(srbench_home, text)), "cpu")
    assert (first.values["variant"], second.values["variant"]) == ("recipe", "plain")
    assert (first.recipe.skip, first.recipe.ema, first.recipe.lr) == ("bicubic", 0.999, 2e-3)
    assert (second.recipe.skip, second.recipe.ema, second.recipe.lr) == ("none", 0.0, 2e-3)
    assert second.checkpoint.startswith("fsrcnn_x4.tuned-variant-plain-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model = "fsrcnn"\n[variants]\na = { learning = 1 }\n', "unknown recipe key 'learning'"),
        ('model = "fsrcnn"\n[grid]\nlr = [1.0]\n[variants]\na = { lr = 1 }\n', "a changes lr, which the plan gives"),
        ('model = "fsrcnn"\nbudget = "3m"\n[variants]\na = { steps = 1 }\n', "a changes steps"),
        ('model = "fsrcnn"\nwithin = ["modle"]\n', "unknown value that varies 'modle'.*Did you mean 'model'"),
        ('model = "fsrcnn"\nsedd = 1\n', r"unknown key 'sedd'.*Did you mean 'seed'"),
        ('model = "fsrcnn"\n[grid]\nlearning = [1]\n', "unknown recipe key 'learning'"),
        ('model = "fsrcnn"\n[grid]\nlr = []\n', "lr has no values"),
        ('model = "fsrcnn"\n[grid]\nlr = [-1.0]\n', "lr = -1"),
        ('model = "fsrcnn"\nsteps = 5\nbudget = "3m"\n', "a budget and steps"),
        ('model = "fsrcnn"\nbudget = "soon"\n', "'soon' is no time"),
        ('recipe = "tunde"\nmodel = "fsrcnn"\n', "Did you mean 'tuned'"),
        ("seed = 1\n", "model: Field required"),
        ("seed = \n", "is not a plan"),
    ],
)
def test_a_bad_plan_is_told_in_one_line(text: str, message: str, srbench_home: Path) -> None:
    with pytest.raises(SrbenchError, match=message):
        cells(read_plan(write_plan(srbench_home, text)), "cpu")
    with pytest.raises(InputError, match="no plan"):
        read_plan(srbench_home / "none.toml")


Trained = Callable[[str, Recipe, RunOptions], Card]


def pretend(trained: list[str], fail: str = "", stop: str = "") -> Trained:
    """A ``train`` that makes a card at once, fails for one learning rate or is stopped at one."""

    def train(model: str, recipe: Recipe, settings: RunOptions) -> Card:
        trained.append(settings.name)
        assert settings.resume
        if fail and f"{recipe.lr:g}" == fail:
            raise SrbenchError("loss is nan in step 3")
        if stop and f"{recipe.lr:g}" == stop:
            raise InterruptedRunError("x stopped at step 3 of 9; go on with --resume")
        cell = AblationCell(model, recipe, settings.name, {})
        assert settings.zoo is not None
        card = card_of(cell, 30 + recipe.lr + recipe.seed / 10)
        write_card(card, settings.zoo)
        return card

    return train


PLAN = 'model = "fsrcnn"\nseed = [0, 1]\nsteps = 9\n[grid]\nlr = [1.0, 2.0, 3.0]\n'


def test_cells_are_trained_once_and_a_failed_one_again(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(write_plan(srbench_home, PLAN))
    planned = cells(plan, "cpu")
    trained: list[str] = []
    reports: list[int] = []

    def run() -> list[AblationOutcome]:
        trained.clear()
        return ablate(
            plan, planned, RunOptions(), lambda _: None, lambda found: reports.append(sum(bool(o.card) for o in found))
        )

    monkeypatch.setattr("srbench.training.after.ablate.train", pretend(trained, stop="2"))
    with pytest.raises(InterruptedRunError, match="the same `srbench ablate` does so"):
        run()
    assert len(trained) == 3
    monkeypatch.setattr("srbench.training.after.ablate.train", pretend(trained, fail="3"))
    found = run()
    assert len(trained) == 4
    assert [bool(outcome.card) for outcome in found] == [True] * 4 + [False] * 2
    assert found[-1].reason == "loss is nan in step 3"
    assert reports == [1, 2, 3, 4, 4, 4]
    monkeypatch.setattr("srbench.training.after.ablate.train", pretend(trained))
    run()
    assert len(trained) == 2
    assert all(outcome.card for outcome in outcomes(plan, planned))
    run()
    assert not trained


def test_seeds_are_one_row_with_mean_and_spread(srbench_home: Path) -> None:
    planned = cells(read_plan(write_plan(srbench_home, PLAN)), "cpu")
    found = [AblationOutcome(cell) for cell in planned]
    found[0] = AblationOutcome(planned[0], card_of(planned[0], 30.0), "")
    found[1] = AblationOutcome(planned[1], card_of(planned[1], 30.5), "")
    found[2] = AblationOutcome(planned[2], card_of(planned[2], 31.0), "")
    found[4] = AblationOutcome(planned[4], None, "loss is nan | step 3")
    table = make_table(found)
    assert list(table["lr"]) == ["2", "1", "3"]
    assert list(table["seeds"]) == [1, 2, 0]
    assert list(table["of"]) == [2, 2, 2]
    assert table["val_psnr"][1] == pytest.approx(30.25)
    assert table["spread"][1] == pytest.approx(0.5)
    assert math.isnan(table["spread"][0])
    assert table["minutes"][1] == 1.5
    lines = markdown(make_rows(found)).splitlines()
    assert len(lines) == 5
    assert "| tuned | fsrcnn | 1 | 30.250 | 0.500 | 2 | 2 | 1.5 | 100 |" in lines[3]
    assert "seed 0: loss is nan \\| step 3" in lines[4]
    written = unseal(
        read_json(write_table(srbench_home / "out", "plan", found).with_suffix(".json"), "a table"), "table"
    )
    assert written == as_json(found)
    assert written["rows"][2]["val_psnr"] is None
    assert written["cells"][0]["recipe"]["lr"] == 1.0
    assert sorted(path.name for path in (srbench_home / "out").iterdir()) == ["table.json", "table.md"]


def test_weights_kept_last_count_by_their_last_score(srbench_home: Path) -> None:
    plan = read_plan(write_plan(srbench_home, 'model = "fsrcnn"\n[grid]\nkeep = ["best", "last"]\n'))
    scores = [AblationOutcome(cell, card_of(cell, 30.0), "").psnr for cell in cells(plan, "cpu")]
    assert scores == [30.0, 29.0]


def test_processes_share_the_cells_and_wait_for_each_other(srbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(write_plan(srbench_home, 'model = "fsrcnn"\nseed = [0, 1, 2]\n'))
    planned = cells(plan, "cpu")
    held = planned[1]
    trained: list[str] = []

    def pause(_seconds: float) -> None:  # meanwhile the other process ends its cell
        other.close()
        write_card(card_of(held, 31.0), folder_of(plan) / "zoo")

    monkeypatch.setattr("srbench.training.after.ablate.train", pretend(trained))
    monkeypatch.setattr("srbench.training.after.ablate.time.sleep", pause)
    other = ExitStack()
    other.enter_context(claim(folder_of(plan) / "held" / held.checkpoint))
    found = ablate(plan, planned, RunOptions(), lambda _: None, lambda _: None)
    assert trained == [planned[0].tag, planned[2].tag]
    assert found[1].psnr == 31.0
    assert all(outcome.card for outcome in found)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for folder in ("few", "other"):
        for index in range(5):
            image = random.integers(0, 256, (48, 52, 3), dtype=np.uint8)
            write_image(tmp_path / folder / f"{folder}{index}.png", image)
    return tmp_path / "few", tmp_path / "other"


def test_validation_images_may_come_from_another_set(folders: tuple[Path, Path]) -> None:
    few, other = (find_datasets(str(folder)) for folder in folders)
    train, val = split(few, ("other1", "other3"), other)
    assert [path.stem for path in val] == ["other1", "other3"]
    assert [path.stem for path in train] == [f"few{index}" for index in range(5)]
    assert len(split(few, 5, other)[1]) == 5
    train, val = split([*few, *other], 2, other)
    assert (len(train), len(val)) == (8, 2)
    with pytest.raises(InputError, match="no image of dir-other is called"):
        split(few, ("few1",), other)
    with pytest.raises(InputError, match="expected 1 to 4"):
        split(few, 5)
    for path in few[0].paths[1:]:
        path.unlink()
    with pytest.raises(InputError, match="val = 1 of 1 image; at least two images are needed"):
        split(find_datasets(str(folders[0])), 1)


def test_the_command_trains_tabulates_and_goes_on(
    folders: tuple[Path, Path], srbench_home: Path, one_thread: None
) -> None:
    few, other = (str(folder) for folder in folders)
    values = {"val": 2, "patch": 6, "batch": 4, "val_every": 4, "log_every": 2, "rescale": [], "val_data": other}
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    plan = write_plan(
        srbench_home,
        f'model = "fsrcnn_s"\nseed = [0, 1]\nsteps = 4\ndata = ["{few}", "{few}+{other}"]\n[set]\n{settings}\n',
        "tails.toml",
    )
    empty = CliRunner().invoke(main, ["ablate", str(plan), "--table"])
    assert empty.exit_code == 0, empty.stderr
    assert not (srbench_home / "runs").exists()
    result = CliRunner().invoke(main, ["ablate", str(plan), "--threads", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    facts: dict[str, Any] = json.loads(result.stdout)
    assert [(row["seeds"], row["of"], row["steps"]) for row in facts["rows"]] == [(2, 2, 4), (2, 2, 4)]
    assert (srbench_home / "runs" / "ablate-tails" / "table.md").read_text().startswith("# tails\n")
    again = CliRunner().invoke(main, ["ablate", str(plan), "--threads", "1"])
    assert "cell" not in again.stderr
    listed = json.loads(CliRunner().invoke(main, ["runs", "--json"]).stdout)
    assert [row["state"] for row in listed] == ["done"] * 4
    assert all(row["name"].startswith("ablate-tails/fsrcnn_s_x4.tuned-data-") for row in listed)
    wrong = CliRunner().invoke(main, ["ablate", str(write_plan(srbench_home, 'model = "fsrcn"\n', "w.toml"))])
    assert wrong.exit_code == 1


def test_a_cell_that_fails_is_in_the_table_and_the_exit_code(folders: tuple[Path, Path], srbench_home: Path) -> None:
    plan = write_plan(
        srbench_home, f'model = "fsrcnn_s"\nsteps = 1\ndata = "{folders[0]}"\n[set]\nval = 2\npatch = 500\n'
    )
    result = CliRunner().invoke(main, ["ablate", str(plan), "--threads", "1"])
    assert result.exit_code == 1
    assert "1 of 1 cells failed" in result.stderr
    assert "holds a crop" in result.stdout


def test_unknown_model_is_told_before_anything_is_trained(srbench_home: Path) -> None:
    plan = write_plan(srbench_home, 'model = ["fsrcnn", "esprn"]\n')
    with pytest.raises(UnknownNameError, match="unknown model 'esprn'"):
        cells(read_plan(plan), "cpu")


def test_rows_are_compared_with_the_best_image_by_image(srbench_home: Path) -> None:
    plan = read_plan(write_plan(srbench_home, 'model = "fsrcnn"\nseed = [0, 1]\n[grid]\nlr = [1.0, 2.0, 3.0]\n'))
    planned = cells(plan, "cpu")
    each = {"1": [30.0, 31, 32, 33, 34], "2": [30.1, 31.2, 32.3, 33.4, 34.5], "3": []}
    found = [
        AblationOutcome(
            cell,
            card_of(cell, 32.0 + cell.recipe.lr / 10 - (3 if cell.recipe.lr == 3 else 0)).model_copy(
                update={"val_each": [value + cell.recipe.seed for value in each[f"{cell.recipe.lr:g}"]]}
            ),
            "",
        )
        for cell in planned
    ]
    table = make_table(found, seeded_test)
    assert list(table["lr"]) == ["2", "1", "3"]
    assert table["behind"][1] == pytest.approx(0.3)
    assert table["behind"].isna().tolist() == [True, False, True]
    assert table["p"].isna().all(), "two seeds say nothing of a recipe"
    assert "| behind | minutes |" in markdown(make_rows(found, seeded_test))
    assert "behind" not in markdown(make_rows(found))
    assert as_json(found, seeded_test)["cells"][0]["val_each"] == each["1"]


def test_three_seeds_have_a_p_and_a_stored_table_is_shown_again(srbench_home: Path) -> None:
    plan = read_plan(write_plan(srbench_home, 'model = "fsrcnn"\nseed = [0, 1, 2]\n[grid]\nlr = [1.0, 2.0]\n'))
    images = [30.0, 31, 32, 33, 34]
    found = []
    for cell in cells(plan, "cpu"):
        scores = [value + cell.recipe.lr + 0.01 * cell.recipe.seed for value in images]
        found.append(AblationOutcome(cell, card_of(cell, 32.0).model_copy(update={"val_each": scores}), ""))
    rows = make_rows(found, seeded_test)
    assert rows[1].p < 0.01 or rows[0].values["lr"] == "1"
    assert "| behind | p |" in markdown(rows)
    path = write_table(srbench_home / "out", "plan", found, seeded_test)
    again = CliRunner().invoke(main, ["ablate", str(path.with_suffix(".json"))])
    assert again.exit_code == 0, again.output
    assert again.stdout.partition("|")[2] == path.read_text().partition("|")[2]
    path.with_suffix(".json").write_text(path.with_suffix(".json").read_text().replace('"seeds": 3', '"seeds": 9', 1))
    damaged = CliRunner().invoke(main, ["ablate", str(path.with_suffix(".json"))])
    assert damaged.exit_code == 1


def test_rows_are_compared_with_the_best_of_the_same_network(srbench_home: Path) -> None:
    text = 'model = ["fsrcnn", "espcn"]\nseed = [0, 1, 2]\nwithin = ["model"]\n[grid]\nlr = [1.0, 2.0]\n'
    plan = read_plan(write_plan(srbench_home, text))
    found = []
    for cell in cells(plan, "cpu"):
        level = cell.recipe.lr / (
            1 if cell.model == "fsrcnn" else -10
        )  # the better rate of one is the worse of the other
        each = [30 + image + level + 0.01 * cell.recipe.seed for image in range(5)]
        found.append(AblationOutcome(cell, card_of(cell, sum(each) / 5).model_copy(update={"val_each": each}), ""))
    rows = make_rows(found, seeded_test, plan.within)
    assert [(row.values["model"], row.values["lr"]) for row in rows] == [
        ("fsrcnn", "2"), ("fsrcnn", "1"), ("espcn", "1"), ("espcn", "2"),
    ]  # fmt: skip
    assert [math.isnan(row.behind) for row in rows] == [True, False, True, False]
    assert [rows[1].behind, rows[3].behind] == pytest.approx([1.0, 0.1])
    path = write_table(srbench_home / "out", "plan", found, seeded_test, plan.within)
    assert "from the first row of the same model on the same images" in path.read_text()
    held, within = stored(path.with_suffix(".json"))
    assert page("plan", make_rows(held, seeded_test, within), within) == path.read_text()


def test_adversarial_cells_are_ranked_by_lpips(srbench_home: Path) -> None:
    plan = read_plan(
        write_plan(srbench_home, 'model = "fsrcnn"\n[set]\ninit_from = "srresnet_x4.tuned"\n[grid]\nlr = [1.0, 2.0]\n')
    )
    found = []
    for cell in cells(plan, "cpu"):
        for seed in (0, 1):
            one = replace(cell, values={**cell.values, "seed": str(seed)})
            scores = {"val_lpips": 0.4 - cell.recipe.lr / 10 + seed / 100, "val_lattice": 1.0 + seed}
            point = {"step": 1, "val_psnr": 30 - cell.recipe.lr, **scores}
            card = card_of(one, 30.0).model_copy(update={"curve": [point]})
            found.append(AblationOutcome(one, card, "", {"val_psnr": 29.5, "val_lpips": 0.35, "val_lattice": -0.5}))
    rows = make_rows(found)
    assert [row.values["lr"] for row in rows] == ["2", "1"]
    assert [(round(row.lpips_spread, 3), row.val_lattice) for row in rows] == [(0.01, 1.5)] * 2
    assert "| val_psnr | val_lpips | lpips_spread | val_lattice | spread |" in markdown(rows)
    path = write_table(srbench_home / "out", "table", found)
    parent = "Before the first step, srresnet_x4.tuned: val_psnr 29.500, val_lpips 0.3500, val_lattice -0.50."
    assert path.read_text().endswith(f"\n{parent}\n")
    assert page("table", make_rows(stored(path.with_suffix(".json"))[0])) == path.read_text()


def test_an_outcome_has_the_scores_before_the_first_step(srbench_home: Path) -> None:
    plan = read_plan(write_plan(srbench_home, 'model = "fsrcnn"\nseed = [0, 1, 2]\n'))
    planned, folder = cells(plan, "cpu"), folder_of(plan)
    for cell in planned:
        write_card(card_of(cell), folder / "zoo")
    for cell, lines in zip(planned, (((0, 27.5), (9, 28.0)), ((9, 28.0),)), strict=False):
        text = "".join(log_line(step, {"val_bicubic": 27.0, "val_psnr": psnr}) for step, psnr in lines)
        write_text(folder / cell.checkpoint / "log.jsonl", text)
    assert [outcome.start for outcome in outcomes(plan, planned)] == [{"val_psnr": 27.5}, {}, {}]


@pytest.mark.parametrize("path", sorted(ABLATIONS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_committed_plan_can_be_carried_out(path: Path) -> None:
    planned = cells(read_plan(path), "cpu")
    assert len({cell.checkpoint for cell in planned}) == len(planned)


@pytest.mark.parametrize("path", sorted(ABLATIONS.glob("*.json")), ids=lambda path: path.stem)
def test_a_committed_table_is_that_of_its_record_and_prints_no_p_below_three_seeds(path: Path) -> None:
    found, within = stored(path)
    rows = make_rows(found, seeded_test, within)
    assert page(path.stem, rows, within) == path.with_suffix(".md").read_text(encoding="utf-8")
    assert all(math.isnan(row.p) or row.seeds >= 3 for row in rows)
