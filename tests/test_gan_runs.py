"""Adversarial runs as processes: killed twenty times, one ends in the bits of one that was not; two learn what one does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.builders import store_parent, write_images
from tests.test_distributed import torchrun

_KILLS = 20
_STEPS = 45
_RECIPE = """
data = "{data}"
val = 2
patch = 4
batch = 4
steps = {steps}
val_every = 15
log_every = 1
keep = "last"
skip = "bicubic"
init_from = "{parent}_x4.tuned"
options = {{ blocks = 1, features = 8 }}
loss = {{ mse = 1.0, adversarial = 1e-3 }}
ema = 0.9
schedule = "step"
milestones = [0.5]

[adversarial]
kind = "{kind}"
discriminator = "convolutional"
norm = "{norm}"
reference = 4
label_noise = 0.1
n_critic = 2
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "norm"), [("standard", "virtual")])
def test_killed_at_random_moments(kind: str, norm: str, srbench_home: Path, tmp_path: Path) -> None:
    store_parent("srresnet_s", skip="bicubic", blocks=1, features=8)
    data = write_images(tmp_path / "images")
    recipe = tmp_path / "killed.toml"
    recipe.write_text(_RECIPE.format(data=data, steps=_STEPS, kind=kind, norm=norm, parent="srresnet_s"))
    command = [sys.executable, "-m", "srbench", "train", "srgan_s", "--recipe", str(recipe), "--threads", "1"]
    subprocess.run([*command, "--name", "whole"], check=True, capture_output=True)
    log = srbench_home / "runs" / "srgan_s_x4.parts" / "log.jsonl"
    random = np.random.default_rng(2)
    for target in np.sort(random.choice(np.arange(1, _STEPS - 1), _KILLS, replace=False)):
        run = subprocess.Popen(
            [*command, "--name", "parts", "--save-every", "0", "--resume"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while run.poll() is None and time.monotonic() < deadline:
            if log.is_file() and f'"step": {target},' in log.read_text():
                break
            time.sleep(0.002)
        time.sleep(float(random.random()) * 0.1)  # in the middle of a step, or of a save
        assert run.poll() is None, "the run ended before it could be killed"
        run.kill()
        run.wait()
    subprocess.run([*command, "--name", "parts", "--resume"], check=True, capture_output=True)
    first, second = (
        load_file(srbench_home / "zoo" / "srgan_s" / f"x4.{name}.safetensors") for name in ("whole", "parts")
    )
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    states = [
        load_file(srbench_home / "runs" / f"srgan_s_x4.{name}" / "state.safetensors") for name in ("whole", "parts")
    ]
    assert "reference/batch" in states[0]
    assert states[0].keys() == states[1].keys()
    assert [key for key in states[0] if not torch.equal(states[0][key], states[1][key])] == []


@pytest.mark.slow
def test_two_processes_play_the_game_of_one(srbench_home: Path, tmp_path: Path) -> None:
    """On a generator and a critic without batch norm, whose statistics are a process's own."""
    store_parent("rrdb_s", skip="bicubic", blocks=1, features=8)
    data = write_images(tmp_path / "images")
    recipe = tmp_path / "two.toml"
    recipe.write_text(_RECIPE.format(data=data, steps=16, kind="wgan-gp", norm="none", parent="rrdb_s"))
    command = ["srbench", "train", "esrgan_s", "--recipe", str(recipe), "--threads", "1", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", *command, "--name", "one"], check=True, capture_output=True)
    torchrun("-m", *command, "--name", "two", home=srbench_home)
    logs = [
        [json.loads(line) for line in (srbench_home / "runs" / f"esrgan_s_x4.{name}" / "log.jsonl").open()]
        for name in ("one", "two")
    ]
    for key in ("loss", "d_loss", "penalty", "d_grad", "g_grad"):
        one, two = ([line[key] for line in lines if key in line] for lines in logs)
        assert len(one) == len(two) > 0
        np.testing.assert_allclose(one, two, rtol=0.02, atol=1e-4, err_msg=key)
