"""What a run goes on from: two states and a log that notice a changed bit, and a resume that does with what is sound."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from srbench.cli import main
from srbench.errors import InputError
from srbench.records import KEY
from srbench.training.after.runs import find_run, list_runs
from srbench.training.loop.folder import start_or_resume
from srbench.training.loop.log import LOG, forget_after, log_line, read_log
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.progress import ProgressFacts
from srbench.training.loop.state import DAMAGED, OLDER, STATE, RunFacts, RunState, load_state, save_state
from srbench.training.loop.trainer import train
from srbench.training.recipe.load import load_recipe
from srbench.training.recipe.schema import Recipe
from tests.builders import small_recipe, write_images

FLIPS = 400


def state_of(step: int) -> RunState:
    """A state with every type of tensor that a run has."""
    torch.manual_seed(step)
    tensors = {
        "network": {
            "a.weight": torch.rand(3, 2),
            "b.running_mean": torch.zeros(0),
            "b.num_batches": torch.tensor(step),
        },
        "average": {"a.weight": torch.rand(3, 2).bfloat16()},
        "random": {"cpu": torch.get_rng_state()[:64]},
    }
    return RunState(step, tensors, RunFacts(model="fsrcnn_s", recipe=Recipe(), progress=ProgressFacts(best_psnr=28.5)))


def flip(path: Path, source: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[source.randrange(len(content))] ^= 1 << source.randrange(8)
    path.write_bytes(content)


def steps_of(folder: Path) -> list[int]:
    """Steps of the last state and of the one before it."""
    found = []
    for name in (STATE, OLDER):
        with safe_open(folder / name, framework="pt") as file:
            found.append(int(file.metadata()["step"]))
    return found


def test_every_bit_that_flips_in_a_state_is_noticed(tmp_path: Path) -> None:
    save_state(tmp_path, state_of(5))
    path = tmp_path / STATE
    sound = path.read_bytes()
    source = random.Random(0)
    for _ in range(FLIPS):
        path.write_bytes(sound)
        flip(path, source)
        with pytest.raises(InputError, match=r"state\.safetensors.*--overwrite starts again"):
            load_state(tmp_path)


def test_the_older_state_steps_in_for_a_damaged_one_and_says_so(tmp_path: Path) -> None:
    save_state(tmp_path, state_of(5))
    save_state(tmp_path, state_of(6))
    assert steps_of(tmp_path) == [6, 5]
    sound = (tmp_path / STATE).read_bytes()
    source = random.Random(1)
    for _ in range(100):
        (tmp_path / STATE).write_bytes(sound)
        flip(tmp_path / STATE, source)
        found = load_state(tmp_path)
        assert found is not None
        assert found.step == 5
        assert STATE in found.fault
        assert torch.equal(found.tensors["network"]["a.weight"], state_of(5).tensors["network"]["a.weight"])
    (tmp_path / STATE).unlink()
    found = load_state(tmp_path)
    assert found is not None
    assert (found.step, "is not there" in found.fault) == (5, True)
    flip(tmp_path / OLDER, source)
    with pytest.raises(InputError, match="is not there; --overwrite"):
        load_state(tmp_path)


def test_two_states_are_kept_whatever_a_kill_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, state_of(1))
    (tmp_path / OLDER).hardlink_to(tmp_path / STATE)  # killed between the two renames of a save
    for step in (2, 3):
        save_state(tmp_path, state_of(step))
        assert steps_of(tmp_path) == [step, step - 1]
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    save_state(tmp_path, state_of(4))
    assert steps_of(tmp_path) == [4, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [OLDER, STATE]


def test_a_state_of_before_checksums_is_taken(tmp_path: Path) -> None:
    save_state(tmp_path, state_of(5))
    with safe_open(tmp_path / STATE, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(tmp_path / STATE)
    save_file(tensors, tmp_path / STATE, {key: value for key, value in header.items() if key != KEY})
    found = load_state(tmp_path)
    assert found is not None
    assert found.step == 5
    save_file(tensors, tmp_path / STATE, {**header, "more": ""})
    with pytest.raises(InputError, match="its header has"):
        load_state(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def stopped(images: Path, at: int) -> None:
    """A run called ``parts`` that saves after each step and is stopped after step ``at``."""
    saves = 0

    def asked(_self: object) -> bool:
        nonlocal saves
        saves += 1
        return saves == at

    recipe = small_recipe(images, log_every=1)
    options = RunOptions(name="parts", progress=False, threads=1, save_seconds=0.0)
    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr("srbench.training.loop.folder.Stop.asked", property(asked, lambda *_: None), raising=False)
        with pytest.raises(InterruptedRunError, match=f"stopped at step {at}"):
            train("fsrcnn_s", recipe, options)


def test_resume_goes_on_from_the_older_state_to_the_same_bits(
    images: Path, srbench_home: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = small_recipe(images, log_every=1)
    whole = train("fsrcnn_s", recipe, RunOptions(name="whole", progress=False, threads=1))
    stopped(images, 8)
    run = srbench_home / "runs" / "fsrcnn_s_x4.parts"
    assert steps_of(run) == [8, 7]
    flip(run / STATE, random.Random(3))
    with pytest.raises(InputError, match="holds a run at step 7; --resume goes on"):
        train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False))
    parts = train("fsrcnn_s", recipe, RunOptions(name="parts", threads=1, resume=True))
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: " in said
    assert "going on from the state before it, of step 7" in said
    assert [point["val_psnr"] for point in parts.curve] == [point["val_psnr"] for point in whole.curve]
    first, second = (load_file(srbench_home / "runs" / f"fsrcnn_s_x4.{n}" / STATE) for n in ("whole", "parts"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    logs = [read_log(srbench_home / "runs" / f"fsrcnn_s_x4.{n}") for n in ("whole", "parts")]
    assert [line["loss"] for line in logs[0].lines[1:]] == [line["loss"] for line in logs[1].lines[1:]]
    assert (run / DAMAGED).is_file()
    train("fsrcnn_s", recipe, RunOptions(name="parts", progress=False, overwrite=True, threads=1))
    assert not (run / DAMAGED).exists()


def test_a_run_killed_while_its_folder_is_made_is_none_yet(images: Path, srbench_home: Path) -> None:
    recipe = small_recipe(images)
    folder = srbench_home / "runs" / "fsrcnn_s_x4.tuned"
    with pytest.MonkeyPatch.context() as killing:
        killing.setattr(
            "srbench.training.loop.folder.write_recipe", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            start_or_resume(folder, recipe, resume=True, overwrite=False)
    assert list_runs() == []
    assert start_or_resume(folder, recipe, resume=True, overwrite=False) is None
    assert [run.step for run in list_runs()] == [0]


# The log


def test_a_damaged_line_is_left_out_and_counted(tmp_path: Path) -> None:
    lines = [{"loss": 0.5, "lr": 1e-3, "val_psnr": float("inf"), "collapse": "é"}, {"loss": float("nan"), "lr": 1e-3}]
    sound = "".join(log_line(step, facts) for step, facts in enumerate(lines)).encode()
    source = random.Random(0)
    for _ in range(FLIPS):
        (tmp_path / LOG).write_bytes(sound)
        flip(tmp_path / LOG, source)
        found = read_log(tmp_path)
        assert all(repr(line) == repr({"step": line["step"], **lines[line["step"]]}) for line in found.lines)
        assert len(found.lines) < 2 or not found.damaged
        assert len(found.lines) == 2 or found.damaged or (tmp_path / LOG).read_bytes()[-1:] != b"\n"


def test_lines_of_before_checksums_are_read_and_get_one(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n{"step": 3, "lo')
    assert read_log(tmp_path).damaged == 0
    forget_after(tmp_path, 1)
    assert (tmp_path / LOG).read_text() == log_line(1, {"loss": 0.5})
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 2, "loss": 0.25}\n{"step": 3, "val_psnr": "high"}\n')
    found = read_log(tmp_path)
    assert ([line["step"] for line in found.lines], found.damaged) == ([1], 2)


def test_a_run_with_damage_is_named_and_the_others_are_listed(images: Path, srbench_home: Path) -> None:
    for name in ("one", "two", "three"):
        train("fsrcnn_s", small_recipe(images, steps=6), RunOptions(name=name, progress=False, threads=1))
    runs = srbench_home / "runs"
    log = runs / "fsrcnn_s_x4.one" / LOG
    log.write_text(log.read_text().replace('"step": 6', '"step": 5', 1))
    recipe = runs / "fsrcnn_s_x4.two" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("steps = 6", "steps = 60"))
    assert len(list_runs(broken=[])) == 2
    done = CliRunner().invoke(main, ["runs", "--json"])
    assert done.exit_code == 1
    assert [row["name"] for row in json.loads(done.stdout)] == ["fsrcnn_s_x4.one", "fsrcnn_s_x4.three"]
    assert f"{log}: 1 line is not what was written, and left out" in done.stderr
    assert "recipe.toml is not what was written" in done.stderr
    assert find_run("fsrcnn_s_x4.one").step == 6  # of the validation's line
    with pytest.raises(InputError, match="remove its checksum to make it a recipe of your own"):
        load_recipe(str(recipe), "fsrcnn_s")
