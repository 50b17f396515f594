"""Several processes: what they exchange, and real runs under torchrun that learn what one process learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from srbench.errors import InputError
from srbench.images import imresize, write_image
from srbench.provenance import hardware
from srbench.training.loop.distributed import Processes, is_main, with_synchronised_norms
from srbench.training.loop.watch import Watch
from srbench.zoo import find_checkpoint

TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "--master-port",
    "0",
    "--standalone",
]

EXCHANGE = """
import json, sys, torch
from pathlib import Path
from torch import nn
from srbench.training.loop.distributed import Processes, is_main
p = Processes("cpu")
layer = nn.Conv2d(1, 2, 3).to(memory_format=torch.channels_last)
unused = nn.Parameter(torch.zeros(3))
for parameter in layer.parameters():
    parameter.grad = torch.full_like(parameter, 1.0 + p.rank)
values = p.average([*layer.parameters(), unused], torch.tensor([10.0 * p.rank, 4.0]))
order = Path(sys.argv[1]) / "first"
with p.main_first():
    found = order.exists()
    order.touch()
facts = {
    "rank": p.rank, "world": p.world, "main": p.main == is_main(), "values": values.tolist(),
    "gradients": [float(g.grad.mean()) for g in layer.parameters()], "unused": unused.grad is None,
    "any": [p.any(p.rank == 1), p.any(False)], "agreed": p.agree({"from": p.rank}), "found": found,
}
p.wait()
(Path(sys.argv[1]) / f"{p.rank}.json").write_text(json.dumps(facts))
"""


def test_one_process_exchanges_nothing() -> None:
    processes = Processes("cpu")
    assert (processes.rank, processes.world, processes.main, is_main()) == (0, 1, True, True)
    layer = nn.Linear(2, 2)
    values = torch.ones(2)
    assert processes.average(layer.parameters(), values) is values
    assert processes.any(True)
    assert not processes.any(False)
    fact = {"a": 1}
    assert processes.agree(fact) is fact
    with processes.main_first():
        processes.wait()
    assert not torch.distributed.is_initialized()
    assert "2 processes" in hardware(torch.device("cpu"), 2)
    assert "processes" not in hardware(torch.device("cpu"))


def test_processes_cannot_share_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert not is_main()
    with pytest.raises(InputError, match="2 processes cannot share the device 'cuda:0'; expected auto, cpu or cuda"):
        Processes("cuda:0")


def test_the_other_processes_of_a_run_write_nothing(tmp_path: Path) -> None:
    with Watch(tmp_path, "run", 10, main=False) as seen:
        seen.log(5, {"loss": 1.0})
        seen.say("nobody hears this")
    assert not list(tmp_path.iterdir())


def torchrun(*arguments: str, home: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SRBENCH_HOME": str(home)}
    found = subprocess.run([*TORCHRUN, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_two_processes_average_and_agree(tmp_path: Path) -> None:
    script = tmp_path / "exchange.py"
    script.write_text(EXCHANGE)
    torchrun(str(script), str(tmp_path), home=tmp_path)
    for rank in (0, 1):
        facts = json.loads((tmp_path / f"{rank}.json").read_text())
        assert facts == {
            "rank": rank,
            "world": 2,
            "main": True,
            "values": [5.0, 4.0],
            "gradients": [1.5, 1.5],
            "unused": True,
            "any": [True, False],
            "agreed": {"from": 0},
            "found": rank == 1,
        }


WRAPPED = """
import copy, json, sys, torch
from pathlib import Path
from torch import nn
from srbench.training.loop.distributed import Processes
p = Processes("cpu")
torch.manual_seed(0)
ours = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8), nn.Conv2d(8, 3, 3, padding=1))
ours.register_parameter("idle", nn.Parameter(torch.zeros(2)))
theirs = copy.deepcopy(ours)
wrapped = p.synchronised(theirs, torch.zeros(1, 3, 8, 8))
batch = torch.rand(4, 3, 8, 8)[2 * p.rank : 2 * p.rank + 2]
ours(batch).square().mean().backward()
values = p.average(ours.parameters(), torch.tensor([float(p.rank)]))
wrapped(batch).square().mean().backward()
alone = p.average_values(theirs.parameters(), torch.tensor([float(p.rank)]))
pairs = [(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
facts = {
    "same": all(torch.equal(a, b) for a, b in pairs if a is not None),
    "idle": [a is None and (b is None or not b.any()) for a, b in pairs],
    "values": [values.tolist(), alone.tolist()],
}
p.wait()
(Path(sys.argv[1]) / f"{p.rank}.json").write_text(json.dumps(facts))
"""


@pytest.mark.slow
def test_our_exchange_has_the_bits_of_torchs_own(tmp_path: Path) -> None:
    script = tmp_path / "wrapped.py"
    script.write_text(WRAPPED)
    torchrun(str(script), str(tmp_path), home=tmp_path)
    for rank in (0, 1):
        facts = json.loads((tmp_path / f"{rank}.json").read_text())
        assert facts == {
            "same": True,
            "idle": [True, False, False, False, False, False],
            "values": [[0.5], [0.5]],
        }


def test_synchronised_norms_need_gpus_and_keep_their_keys() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(InputError, match="synchronises batch norm on GPUs alone"):
        with_synchronised_norms(network, torch.device("cpu"))
    plain = nn.Sequential(nn.Conv2d(3, 4, 1))
    assert with_synchronised_norms(plain, torch.device("cpu")) is plain
    made = with_synchronised_norms(network, torch.device("cuda"))
    assert isinstance(made[1], nn.SyncBatchNorm)
    assert made.state_dict().keys() == network.state_dict().keys()


def curve(home: Path, name: str, model: str = "fsrcnn_s") -> list[dict[str, Any]]:
    lines = (home / "runs" / f"{model}_x4.{name}" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def images(home: Path) -> Path:
    random = np.random.default_rng(0)
    for index in range(10):
        blocks = random.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
        write_image(home / "images" / f"p{index}.png", imresize(blocks, size=(64, 72)))
    return home / "images"


@pytest.mark.slow
def test_two_processes_train_adversarially_as_one(srbench_home: Path) -> None:
    recipe = srbench_home / "recipe.toml"
    recipe.write_text(
        f'data = "{images(srbench_home)}"\nval = 2\npatch = 8\nbatch = 4\nsteps = 8\nval_every = 8\nlog_every = 4\n'
        'precision = "fp32"\nloss = { l1 = 1.0, adversarial = 0.01 }\nkeep = "last"\n'
        '[adversarial]\nkind = "wgan-gp"\ndiscriminator = "convolutional"\nnorm = "none"\nn_critic = 2\nbetas = [0.0, 0.9]\n'
    )
    command = ["srbench", "train", "esrgan_s", "--recipe", str(recipe), "--threads", "1", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", *command, "--name", "one"], check=True, capture_output=True)
    torchrun("-m", *command, "--name", "two", home=srbench_home)
    one, two = ([line for line in curve(srbench_home, name, "esrgan_s") if "lr" in line] for name in ("one", "two"))
    assert [line["step"] for line in one] == [4, 8]
    for key in ("loss", "l1", "d_loss", "d_real", "d_fake", "penalty"):
        np.testing.assert_allclose([line[key] for line in one], [line[key] for line in two], rtol=2e-3, err_msg=key)


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_and_resume_to_the_same_bits(srbench_home: Path) -> None:
    recipe = srbench_home / "recipe.toml"
    recipe.write_text(
        f'data = "{images(srbench_home)}"\nval = 2\npatch = 8\nbatch = 8\nsteps = 40\nval_every = 20\nlog_every = 1\n'
        'precision = "fp32"\nlr = 4e-3\n'
    )
    command = ["srbench", "train", "fsrcnn_s", "--recipe", str(recipe), "--threads", "1", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", *command, "--name", "one"], check=True, capture_output=True)
    torchrun("-m", *command, "--name", "two", home=srbench_home)
    one, two = curve(srbench_home, "one"), curve(srbench_home, "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    losses = [[line["loss"] for line in lines if "lr" in line] for lines in (one, two)]
    assert len(losses[0]) == 40
    assert losses[0][-1] < 0.5 * losses[0][0]
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-3)
    scores = [[line["val_psnr"] for line in lines if "val_psnr" in line] for lines in (one, two)]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)
    assert find_checkpoint("fsrcnn_s_x4.two").hardware.endswith("× 2 processes")

    # Stopped half-way and resumed by two processes again: the same bits as without the stop.
    stop = srbench_home / "stop.py"
    stop.write_text(
        "import os, runpy, signal, sys\n"
        "from srbench.training.loop.watch import Watch\n"
        "log = Watch.log\n"
        "def stop(self, step, facts):\n"
        "    log(self, step, facts)\n"
        "    if step == 13 and os.environ['RANK'] == '0': os.kill(os.getpid(), signal.SIGINT)\n"
        "Watch.log = stop\n"
        "sys.argv = ['srbench', *sys.argv[1:]]\n"
        "runpy.run_module('srbench', run_name='__main__')\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    stopped = [*TORCHRUN, str(stop), *command[1:], "--name", "parts"]
    found = subprocess.run(stopped, env=environment, capture_output=True, text=True, timeout=300)
    assert "stopped at step 13 of 40; go on with --resume" in found.stderr
    torchrun("-m", *command, "--name", "parts", "--resume", home=srbench_home)
    runs = srbench_home / "runs"
    weights = [load_file(runs / f"fsrcnn_s_x4.{name}" / "state.safetensors") for name in ("two", "parts")]
    assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())


@pytest.mark.slow
def test_two_processes_plan_one_budget(srbench_home: Path) -> None:
    recipe = srbench_home / "recipe.toml"
    recipe.write_text(f'data = "{images(srbench_home)}"\nval = 2\npatch = 8\nbatch = 8\nprecision = "fp32"\n')
    command = ["srbench", "train", "fsrcnn_s", "--recipe", str(recipe), "--threads", "1", "--device", "cpu"]
    torchrun("-m", *command, "--name", "planned", "--budget", "2s", home=srbench_home)
    card = find_checkpoint("fsrcnn_s_x4.planned")
    assert "steps follow from a budget of 2 s" in card.notes
    assert card.hardware.endswith("× 2 processes")
    assert card.curve[-1]["step"] == card.steps
