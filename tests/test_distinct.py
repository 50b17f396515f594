"""Two folders of one name are two datasets, in one command and in several; what changed is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli import main
from srbench.evaluation.run import EvalOutcome, EvalPlan, run
from srbench.images import imresize, write_image
from srbench.results import read_results
from tests.builders import smooth


def fill(folder: Path, *seeds: int) -> Path:
    for seed in seeds:
        write_image(folder / f"p{seed}.png", smooth(48, 48, seed))
    return folder


def measured(*folders: Path, **more: object) -> EvalOutcome:
    plan = EvalPlan(names=("bicubic",), scale=4, datasets=tuple(map(str, folders)), metrics=("psnr",), **more)  # type: ignore[arg-type]
    return run(plan, quiet=True)


def stored() -> dict[str, list[str]]:
    return {result.dataset: result.images for result in read_results()}


@pytest.mark.parametrize("name", ["test", "GTmod12", "HR"])
def test_in_one_command(tmp_path: Path, srbench_home: Path, name: str) -> None:
    """The second replaced the first, and its images stood beside the first's."""
    one, other = fill(tmp_path / "SetA" / name, 1, 2), fill(tmp_path / "SetB" / name, 3, 4)
    measured(one, other)
    assert sorted(stored().values()) == [["p1", "p2"], ["p3", "p4"]]
    assert measured(one, other).kept == 2


def test_in_two_commands(tmp_path: Path, srbench_home: Path) -> None:
    one, other = fill(tmp_path / "SetA/test", 1, 2), fill(tmp_path / "SetB/test", 3, 4)
    measured(one)
    measured(other)
    assert stored() == {"dir-test": ["p1", "p2"], "dir-SetB_test": ["p3", "p4"]}
    assert (measured(one).kept, measured(other).kept, measured(other, one).kept) == (1, 1, 2)


def test_parents_of_one_name(tmp_path: Path, srbench_home: Path) -> None:
    folders = [fill(tmp_path / top / "set/test", seed) for seed, top in enumerate(("a", "b", "c"))]
    measured(*folders)
    assert len(stored()) == 3
    assert measured(*folders).kept == 3


def test_the_same_images_elsewhere_are_the_same_set(tmp_path: Path, srbench_home: Path) -> None:
    measured(fill(tmp_path / "SetA/test", 1))
    assert measured(fill(tmp_path / "SetB/test", 1)).kept == 1


def test_a_changed_folder_keeps_its_name_and_says_what_is_old(tmp_path: Path, srbench_home: Path) -> None:
    folder = fill(tmp_path / "test", 1, 2)
    run(EvalPlan(names=("bicubic", "nearest"), scale=4, datasets=(str(folder),), metrics=("psnr",)), quiet=True)
    write_image(folder / "p1.png", smooth(48, 48, 9))
    outcome = measured(folder)
    assert (outcome.measured, set(stored())) == (1, {"dir-test"})
    assert "dir-test: 1 stored results are of images that have changed since; measure those again, too" in outcome.notes


def test_no_path_is_stored(tmp_path: Path, srbench_home: Path) -> None:
    measured(fill(tmp_path / "test", 1))
    (path,) = (srbench_home / "results").rglob("*.json")
    assert str(tmp_path) not in path.read_text()


def test_options_of_folders_on_the_command_line(tmp_path: Path, srbench_home: Path) -> None:
    folder = fill(tmp_path / "photos", 1)
    fill(folder / "more", 2)
    for seed in (1, 2):
        write_image(
            tmp_path / "lr" / ("more" if seed == 2 else "") / f"p{seed}.png", imresize(smooth(48, 48, seed), 0.25)
        )
    command = ["eval", "bicubic", "--datasets", str(folder), "--scale", "4", "--metrics", "psnr", "--no-report"]
    done = CliRunner().invoke(main, command)
    assert "left out: 1 subfolder (more); --recursive reads subfolders" in done.output
    done = CliRunner().invoke(main, [*command, "--recursive", "--lr-folder", str(tmp_path / "lr")])
    assert done.exit_code == 0, done.output
    assert {r.variant: r.images for r in read_results()} == {"": ["p1"], "lrfiles": ["p1", "more/p2"]}
