"""What goes wrong while a network is trained: full disks, images and states cut off, Ctrl-C. Nothing good is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from srbench.cli import main
from srbench.errors import InputError
from srbench.images import write_image
from srbench.training.after.runs import find_run
from srbench.training.loop import state as saving
from srbench.training.loop.folder import claim
from srbench.training.loop.options import InterruptedRunError, RunOptions
from srbench.training.loop.state import load_state
from srbench.training.loop.trainer import train
from srbench.training.recipe.schema import Recipe
from srbench.zoo import find_checkpoint
from tests.builders import small_recipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six small images."""
    random = np.random.default_rng(0)
    for index in range(6):
        write_image(tmp_path / "images" / f"p{index}.png", random.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    return tmp_path / "images"


def arguments(folder: Path, steps: int = 12) -> list[str]:
    changes = ["val=1", "patch=8", "batch=4", "val_every=6", "log_every=3", "rescale=[]"]
    given = [part for change in changes for part in ("--set", change)]
    return ["train", "fsrcnn_s", "--data", str(folder), "--steps", str(steps), "--threads", "1", *given]


def recipe(folder: Path, steps: int = 12) -> Recipe:
    return small_recipe(folder, steps=steps, val=1, rescale=[])


def test_a_disk_that_fills_leaves_the_last_state_whole_and_the_run_goes_on(
    folder: Path, srbench_home: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RunOptions(progress=False, threads=1, save_seconds=0.0)
    train("fsrcnn_s", recipe(folder), RunOptions(name="whole", progress=False, threads=1))
    calls = 0

    def full(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        nonlocal calls
        calls += 1
        if calls == 8:
            path.write_bytes(b"the first bytes")
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        save_file(tensors, path, metadata)

    run = srbench_home / "runs" / "fsrcnn_s_x4.tuned"
    with monkeypatch.context() as patch:
        patch.setattr(saving, "save_file", full)
        with pytest.raises(InputError, match=r"the disk that holds .* is full; the last saved state is whole"):
            train("fsrcnn_s", recipe(folder), settings)
    state = load_state(run)
    assert state is not None
    assert state.step == 7
    assert not list(run.glob("*.writing"))
    train("fsrcnn_s", recipe(folder), RunOptions(progress=False, threads=1, resume=True))
    runs = srbench_home / "runs"
    whole, resumed = (load_file(runs / f"fsrcnn_s_x4.{n}" / "state.safetensors") for n in ("whole", "tuned"))
    assert all((whole[key] == resumed[key]).all() for key in whole)


@pytest.mark.slow
def test_a_real_disk_that_fills_ends_the_run_in_one_line(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=300k none {disk}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    command = [
        sys.executable,
        "-m",
        "srbench",
        *arguments(folder, 60),
        "--save-every",
        "0",
        "--out",
        str(tmp_path / "zoo"),
    ]
    look = "import sys; from pathlib import Path; from srbench.training.loop.state import load_state;"
    look += f"print('step', load_state(Path({str(disk)!r}) / 'runs' / 'fsrcnn_s_x4.tuned').step)"
    # What the run fills besides its state: room for one state and not for the next one beside it.
    script = f'{mount} && head -c 120k /dev/zero > {disk}/other && "$@"; {sys.executable} -c "$LOOK"'
    found = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", *command],
        env=os.environ | {"SRBENCH_HOME": str(disk), "LOOK": look},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.stderr.splitlines()[-1].startswith("Error: the disk that holds"), found.stderr
    assert "Traceback" not in found.stderr
    assert int(found.stdout.split()[-1]) > 0


def test_a_state_that_was_cut_off_is_told_and_can_be_replaced(
    folder: Path, srbench_home: Path, one_thread: None
) -> None:
    train("fsrcnn_s", recipe(folder, 6), RunOptions(progress=False, threads=1))
    path = srbench_home / "runs" / "fsrcnn_s_x4.tuned" / "state.safetensors"
    for size in (0, 5, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:size])
        result = CliRunner().invoke(main, [*arguments(folder, 6), "--resume"])
        assert result.exit_code == 1
        assert "is not the state of a run, or cut off" in result.stderr
        assert "--overwrite starts again" in result.stderr
    train("fsrcnn_s", recipe(folder, 6), RunOptions(progress=False, threads=1, overwrite=True))
    assert load_state(path.parent) is not None


def test_a_damaged_log_does_not_keep_a_sound_state_from_going_on(folder: Path, srbench_home: Path) -> None:
    whole = train("fsrcnn_s", recipe(folder), RunOptions(name="whole", progress=False, threads=1))
    run = srbench_home / "runs" / "fsrcnn_s_x4.parts"
    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr(
            "srbench.training.loop.folder.Stop.asked", property(lambda _: True, lambda *_: None), raising=False
        )
        with pytest.raises(InterruptedRunError):
            train("fsrcnn_s", recipe(folder), RunOptions(name="parts", progress=False, threads=1))
    log = run / "log.jsonl"
    log.write_bytes(b"\xff\xfe[1]\n[2]\n3\n" + b"[" * 100_000 + b"\n" + log.read_bytes() + b'{"step": ')
    assert find_run("fsrcnn_s_x4.parts").step == 0  # of the last whole line
    parts = train("fsrcnn_s", recipe(folder), RunOptions(name="parts", progress=False, threads=1, resume=True))
    assert [point["val_psnr"] for point in parts.curve] == [point["val_psnr"] for point in whole.curve]
    assert {type(json.loads(line)) for line in log.read_text().splitlines()} == {dict}


def test_a_corrupt_training_image_is_named_or_skipped_and_counted(folder: Path, srbench_home: Path) -> None:
    broken = folder / "p1.png"
    broken.write_bytes(broken.read_bytes()[:200])
    refused = CliRunner().invoke(main, arguments(folder, 3))
    assert refused.exit_code == 1
    assert "p1.png" in refused.stderr
    assert "--skip-bad" in refused.stderr
    assert not (srbench_home / "zoo").exists()
    taken = CliRunner().invoke(main, [*arguments(folder, 3), "--skip-bad", "--overwrite"])
    assert taken.exit_code == 0, taken.stderr
    assert "unreadable and left out: p1.png" in find_checkpoint("fsrcnn_s_x4.tuned").notes


def test_ctrl_c_while_images_are_read_ends_at_once(
    folder: Path, srbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srbench.training.loop.trainer.load_images", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            train("fsrcnn_s", recipe(folder), RunOptions(progress=False))
    finally:
        signal.signal(signal.SIGINT, before)
    with claim(srbench_home / "runs" / "fsrcnn_s_x4.tuned"):
        pass


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(folder: Path, srbench_home: Path) -> None:
    command = [sys.executable, "-m", "srbench", *arguments(folder, 100_000), "--save-every", "1e6"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = srbench_home / "runs" / "fsrcnn_s_x4.tuned" / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.is_file() and '"step": 9,' in log.read_text()):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    errors = run.communicate(timeout=60)[1]
    assert run.returncode == 1
    state = load_state(log.parent)
    assert state is not None
    assert f"stopped at step {state.step} of 100000; go on with --resume" in errors.splitlines()[-1]
