"""Runs as a user sees them: listed with their state, drawn as PNG, refused while live, whole after a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from srbench.cli import main
from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.images import read_image
from srbench.training.after import figures
from srbench.training.after.figures import draw_filters, draw_run, find_layer, panels
from srbench.training.after.runs import find_run, list_runs
from srbench.training.loop import trackers
from srbench.training.loop.folder import claim, lock
from srbench.training.loop.log import read_log
from srbench.training.loop.watch import Watch

GAN_LINE = {
    "loss": 0.5, "l1": 0.1, "perceptual": 2.0, "adversarial": 0.7, "d_loss": 1.2, "d_real": 0.8, "d_fake": 0.1,
    "d_grad": 3.0, "g_grad": 0.2, "wasserstein": 0.4, "penalty": 0.01, "lr_psnr": 40.0, "contrast": 0.9,
    "lr": 1e-4, "samples_per_s": 12.0, "something": 1.0,
}  # fmt: skip


def make_run(root: Path, name: str = "fsrcnn_x4.test", step: int = 20, steps: int = 40) -> Path:
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(f'steps = {steps}\nval_every = 10\ndata = "t91"\n')
    with Watch(folder, name, steps, show=False) as seen:
        seen.log(0, {"val_bicubic": 28.0, "val_psnr": 6.0})
        for done in range(5, step + 1, 5):
            seen.log(done, GAN_LINE)
            if done % 10 == 0:
                seen.log(done, {"loss": 0.4, "val_psnr": 28.0 + done / 100, "val_lpips": 0.3, "seconds": 60.0 + done})
                if seen.wants_images(done, 10):
                    crops = tuple(np.full((side, side, 3), done, np.uint8) for side in (8, 32, 32))
                    seen.images(done, [crops, crops])  # type: ignore[list-item]
    return folder


def test_runs_are_listed_with_state_step_and_best_score(srbench_home: Path) -> None:
    assert list_runs() == []
    make_run(srbench_home)
    done = make_run(srbench_home, "espcn_x4.test", step=40)
    cell = make_run(srbench_home, "ablate-lr/fsrcnn_x4.c0", step=10)
    with (done / "log.jsonl").open("a") as file:
        file.write('{"step": 99, "lo')  # a kill in the middle of a line
    with claim(cell):
        runs = {run.name: run for run in list_runs()}
    assert {name: run.status for name, run in runs.items()} == {
        "ablate-lr/fsrcnn_x4.c0": "running",
        "espcn_x4.test": "done",
        "fsrcnn_x4.test": "stopped",
    }
    run = runs["fsrcnn_x4.test"]
    assert (run.step, run.steps, run.best, run.bicubic, run.seconds) == (20, 40, 28.2, 28.0, 80.0)
    shown = CliRunner().invoke(main, ["runs"])
    assert "fsrcnn_x4.test" in shown.stdout
    assert "28.20" in shown.stdout
    listed = json.loads(CliRunner().invoke(main, ["runs", "--json"]).stdout)
    assert [(row["name"], row["state"], row["best_psnr"]) for row in listed][1:] == [
        ("espcn_x4.test", "done", 28.4),
        ("fsrcnn_x4.test", "stopped", 28.2),
    ]


def test_a_run_is_drawn_with_every_key_of_its_log(srbench_home: Path, tmp_path: Path) -> None:
    folder = make_run(srbench_home)
    groups = panels(read_log(folder).lines, ["l1", "perceptual", "adversarial"])
    drawn = {key for group in groups.values() for key in group}
    assert drawn == (set(GAN_LINE) | {"val_psnr", "val_lpips"}) - {"samples_per_s"}
    assert list(groups)[-1] == "something"
    titles = list(groups)
    assert titles[titles.index("loss") :][:4] == [
        "loss",
        *(f"loss term: {t}" for t in ("l1", "perceptual", "adversarial")),
    ]
    assert all(len(group) == 1 for title, group in groups.items() if title.startswith("loss"))
    assert groups["D(real), D(fake)"]["d_real"] == ([5, 10, 15, 20], [0.8] * 4)
    assert groups["loss"]["loss"][1] == [0.5] * 4
    result = CliRunner().invoke(main, ["runs", "show", "fsrcnn_x4.test", "--out", str(tmp_path / "c" / "run.png")])
    assert result.exit_code == 0, result.stderr
    image = read_image(tmp_path / "c" / "run.png")
    assert image.shape[1] > 1000
    assert image.std() > 5
    assert list((tmp_path / "c").iterdir()) == [tmp_path / "c" / "run.png"]


def test_a_child_is_drawn_with_its_parents_level_and_sample(
    srbench_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(srbench_home)
    (folder / "recipe.toml").write_text('steps = 40\nval_every = 10\ninit_from = "espcn_x4.tuned"\n')
    crop = np.zeros((8, 8, 3), np.uint8)
    with Watch(folder, "run", 40, show=False) as seen:
        seen.images(0, [(crop, crop, crop)])
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "_write", lambda figure, path: drawn.append(figure))
    draw_run(find_run("fsrcnn_x4.test"), tmp_path / "run.png")
    axes = {axis.get_title(): axis for axis in drawn[0].get_axes()}
    assert {line.get_label(): float(line.get_ydata()[0]) for line in axes["validation PSNR (dB)"].lines}[
        "parent"
    ] == 6.0
    assert "parent" not in [line.get_label() for line in axes["loss"].lines]
    assert "parent" in axes  # the column of what it made of the sample images


def test_a_run_without_samples_or_validation_is_drawn(srbench_home: Path) -> None:
    folder = make_run(srbench_home, step=0)
    with Watch(folder, "run", 40, show=False) as seen:
        seen.log(5, {"loss": 0.5, "lr": 1e-3})
    result = CliRunner().invoke(main, ["runs", "show", "fsrcnn_x4.test", "--json"])
    facts = json.loads(result.stdout)
    assert (facts["state"], facts["step"], facts["best_psnr"]) == ("stopped", 5, None)
    assert read_image(folder / "curves.png").std() > 5


def test_a_run_that_is_not_there_or_empty_is_told_in_one_line(srbench_home: Path) -> None:
    folder = make_run(srbench_home)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'fsrcnn_x4\.test'"):
        find_run("fsrcnn_x4.tset")
    (folder / "log.jsonl").write_text("")
    result = CliRunner().invoke(main, ["runs", "show", "fsrcnn_x4.test"])
    assert result.exit_code == 1
    assert "no log line yet" in result.stderr
    (folder / "recipe.toml").write_text("steps = ")
    with pytest.raises(InputError, match=r"recipe\.toml is not the recipe of a run"):
        list_runs()


def test_sample_images_are_kept_a_few_times_a_run(srbench_home: Path) -> None:
    folder = make_run(srbench_home, steps=80, step=80)
    assert [path.name for path in sorted((folder / "samples").glob("sr*"))] == [
        f"sr-{s:08d}.png" for s in range(10, 81, 10)
    ]
    assert read_image(folder / "samples" / "lr.png").shape == (16, 8, 3)
    seen = Watch(folder, "many", 10_000, show=False)
    kept = [step for step in range(100, 10_001, 100) if seen.wants_images(step, 100)]
    assert len(kept) == 8
    assert kept[-1] == 10_000


def test_tensorboard_gets_scalars_and_images(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Watch(tmp_path, "run", 10, show=False, trackers=("tensorboard",)) as seen:
        seen.log(5, {"loss": 0.25, "collapse": "a text is no scalar"})
        crop = np.zeros((8, 8, 3), np.uint8)
        seen.images(5, [(crop, crop, crop)])
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["scalars"] == ["loss"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(5, 0.25)]
    assert sorted(events.Tags()["images"]) == ["samples/hr", "samples/lr", "samples/sr"]


def test_tensorboard_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"pip install 'srbench\[tensorboard\]'"):
        Watch(tmp_path, "run", 10, show=False, trackers=("tensorboard",))


def test_filters_are_drawn_and_an_unknown_layer_is_told_the_nearest(tmp_path: Path) -> None:
    network = nn.ModuleDict(
        {
            "first": nn.Conv2d(3, 5, 9),
            "gray": nn.Conv2d(1, 7, 3),
            "wide": nn.Conv2d(70, 6, 1),
            "up": nn.ConvTranspose2d(8, 1, 9),
        }
    )
    shapes = {"first.weight": (5, 3, 9, 9), "gray": (7, 1, 3, 3), "wide": (6, 70, 1, 1), "up": (1, 8, 9, 9)}
    for layer, shape in shapes.items():
        name, kernels = find_layer(network, layer)
        assert (name, tuple(kernels.shape)) == (layer.removesuffix(".weight"), shape)
        image = read_image(draw_filters(kernels, name, tmp_path / f"{name}.png"))
        assert image.std() > 5
    with pytest.raises(UnknownNameError, match=r"unknown layer 'frist'.*Did you mean 'first'"):
        find_layer(network, "frist")


def test_a_mosaic_shows_each_kernel_in_its_place(tmp_path: Path) -> None:
    kernels = torch.zeros(4, 1, 3, 3)
    kernels[3] = 1.0
    path = draw_filters(kernels, "last one", tmp_path / "filters.png")
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    red = (image[..., 0] - image[..., 2] > 60).nonzero()
    middle = [edge / 2 for edge in image.shape[:2]]
    assert np.median(red[0]) > middle[0]


def test_a_live_folder_is_refused_and_names_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; from srbench.training.loop.folder import claim, lock\n"
        f"with claim(Path({str(folder)!r})):\n print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match=rf"in use by another run \(process {other.pid} on .+\); wait"),
            claim(folder),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with claim(folder):  # a killed process holds nothing
        assert str(os.getpid()) in (folder / "lock").read_text()


def test_who_lists_runs_does_not_stop_one_that_starts(tmp_path: Path) -> None:
    with claim(tmp_path):
        pass
    with (tmp_path / "lock").open("r+") as file:
        assert lock(file)
        release = threading.Timer(0.1, file.close)
        release.start()
        with claim(tmp_path):
            pass
        release.join()


def test_a_full_disk_is_one_line_and_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    for kept in ("nothing was saved yet", "the last saved state is whole"):
        with (
            pytest.raises(InputError, match=f"is full; {kept}: make room, then go on with --resume"),
            claim(tmp_path),
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        (tmp_path / "state.safetensors").write_bytes(b"")
    with pytest.raises(PermissionError), claim(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
