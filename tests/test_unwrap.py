"""Whatever a training program put around the weights comes off; two networks in one file are never mixed up."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from srbench.errors import InputError
from srbench.models import create_model
from srbench.weights import open_weights, read_weights

pytestmark = pytest.mark.usefixtures("one_thread")

State = dict[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return create_model("srresnet_s", 4, blocks=1, features=4)  # batch norm, PReLU, numbered parts


def state(seed: int = 0) -> State:
    return dict(network(seed).state_dict())


def prefixed(prefix: str, given: State) -> State:
    return {prefix + key: value for key, value in given.items()}


def zeros(given: State) -> State:
    return {key: torch.zeros_like(value) for key, value in given.items()}


def discriminator() -> State:
    return dict(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 1)).state_dict())


def optimiser(given: State) -> dict[str, Any]:
    moments = {number: {"exp_avg": value, "step": torch.tensor(3.0)} for number, value in enumerate(given.values())}
    return {"state": moments, "param_groups": [{"lr": 1e-4, "params": list(moments)}]}


def swa() -> State:
    averaged = AveragedModel(network())
    averaged.update_parameters(network())
    return dict(averaged.state_dict())


WRAPPERS: dict[str, Callable[[State], Any]] = {
    "bare": lambda s: s,
    "ordered": OrderedDict,
    "params_ema": lambda s: {"params": zeros(s), "params_ema": s},
    "params": lambda s: {"params": s},
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "best": 31.2, "optimizer": optimiser(s)},
    "model_state_dict": lambda s: {
        "model_state_dict": s,
        "optimizer_state_dict": optimiser(s),
        "loss": torch.tensor(0.1),
    },
    "model": lambda s: {"model": s, "args": argparse.Namespace(scale=4), "psnr": np.float64(30.0)},
    "net": lambda s: {"net": s},
    "netG": lambda s: {"netG": s, "netD": discriminator()},
    "net_g": lambda s: {"net_g": prefixed("module.", s), "net_d": discriminator(), "iter": 400_000},
    "generator": lambda s: {"generator": s, "discriminator": discriminator()},
    "generator_ema": lambda s: {"generator": zeros(s), "generator_ema": s, "discriminator": discriminator()},
    "g": lambda s: {"g": zeros(s), "d": discriminator(), "g_ema": s},
    "ema": lambda s: {"model": zeros(s), "ema": s},
    "ema_state_dict": lambda s: {"state_dict": zeros(s), "state_dict_ema": s},
    "averaged": lambda s: {"n_averaged": torch.tensor(3), **prefixed("module.", s)},
    "ddp": lambda s: {"state_dict": prefixed("module.", s)},
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "ddp of compiled": lambda s: {"model": prefixed("module._orig_mod.", s)},
    "compiled part": lambda s: {key.replace("body.", "body._orig_mod.", 1): value for key, value in s.items()},
    "fsdp": lambda s: prefixed("_fsdp_wrapped_module.", s),
    "lightning": lambda s: {
        "state_dict": prefixed("model.", s),
        "hyper_parameters": {"lr": 1e-4, "path": "x"},
        "optimizer_states": [optimiser(s)],
        "callbacks": {"EMA": {"weights": zeros(s)}},
        "pytorch-lightning_version": "2.5.0",
    },
    "lightning gan": lambda s: {
        "state_dict": prefixed("generator.", s)
        | prefixed("discriminator.", discriminator())
        | {"loss_fn.vgg.0.weight": torch.zeros(2, 3, 3, 3)}
    },
    "lightning ema": lambda s: {"state_dict": prefixed("net.", zeros(s)) | prefixed("ema_model.module.", s)},
    "mmagic": lambda s: {
        "meta": {"epoch": 1, "dataset": None},
        "state_dict": prefixed("generator.", zeros(s))
        | prefixed("generator_ema.", s)
        | {"step_counter": torch.zeros(1)},
    },
    "nested": lambda s: {"state": {"model": {"state_dict": prefixed("module.net.model.", s)}, "epoch": 1}},
    "list": lambda s: {"models": [s]},
    "no counters": lambda s: {key: value for key, value in s.items() if not key.endswith("num_batches_tracked")},
    "half": lambda s: {key: value.half() if value.is_floating_point() else value for key, value in s.items()},
    "double": lambda s: {key: value.double() if value.is_floating_point() else value for key, value in s.items()},
    "parameters": lambda s: {key: nn.Parameter(value, requires_grad=False) for key, value in s.items()},
    "extra scalars": lambda s: {"state_dict": {**s, "epoch": torch.tensor(3), "global_step": torch.tensor(9)}},
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_what_stands_around_the_weights_comes_off(tmp_path: Path, name: str, old: bool) -> None:
    wanted = state()
    torch.save(WRAPPERS[name](wanted), tmp_path / "net.bin", _use_new_zipfile_serialization=not old)
    found = read_weights(tmp_path / "net.bin")
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    assert set(wanted) - counters <= set(found) <= set(wanted)
    for key, value in found.items():
        assert value.dtype in (torch.float32, torch.int64)
        torch.testing.assert_close(value, wanted[key], atol=2e-3 if name == "half" else 0, rtol=1e-3)


def test_averaged_model_of_torch(tmp_path: Path) -> None:
    torch.save({"swa": swa()}, tmp_path / "net.pth")
    assert set(read_weights(tmp_path / "net.pth")) == set(state())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["module.", "_orig_mod.", "model.", "net.", "generator.", "netG.", "ema_model."]), max_size=4
    )
)
def test_prefixes_in_any_order(tmp_path_factory: pytest.TempPathFactory, prefixes: list[str]) -> None:
    path = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.save(prefixed("".join(prefixes), state()), path)
    file = open_weights(path)
    assert set(file.state) == set(state())
    assert file.prefix.replace("_orig_mod.", "") == "".join(prefixes).replace("_orig_mod.", "")


@pytest.mark.parametrize("suffix", [".PTH", ".pt", ".ckpt", ".bin", ".tar", ".safetensors", "", ".weights"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    torch.save({"params": state()}, tmp_path / f"torch{suffix}")
    save_file(state(), tmp_path / f"safe{suffix}")
    np.savez(tmp_path / "net.npz", **{key: value.numpy() for key, value in state().items()})
    (tmp_path / "net.npz").rename(tmp_path / f"numpy{suffix}")
    for name, kind in (("torch", "torch"), ("safe", "safetensors"), ("numpy", "npz")):
        file = open_weights(tmp_path / f"{name}{suffix}")
        assert file.kind == kind
        assert [key for key, value in state().items() if not torch.equal(file.state[key], value)] == []


@pytest.mark.parametrize("length", [0x80, 0x4B50, 0x184D])
def test_a_safetensors_header_of_any_length(tmp_path: Path, length: int) -> None:
    """Its first bytes are a length, which may look like a pickle or an archive."""
    from safetensors.torch import save

    whole = save({"w": torch.ones(3)})
    size = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + size].rstrip() + b" " * 70_000
    path = tmp_path / "net.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + header[:length] + whole[8 + size :])
    assert torch.equal(read_weights(path)["w"], torch.ones(3))


def test_two_networks_are_told_apart_by_the_key(tmp_path: Path) -> None:
    path = tmp_path / "both.pth"
    torch.save({"denoiser": state(1), "upsampler": state(2)}, path)
    with pytest.raises(InputError, match=r"2 networks: denoiser \(.* tensors\), upsampler .*--key denoiser"):
        open_weights(path)
    chosen = open_weights(path, key="upsampler")
    assert chosen.key == "upsampler"
    assert torch.equal(chosen.state["tail.weight"], state(2)["tail.weight"])
    with pytest.raises(InputError, match=r"no state dict called 'sr'; it holds denoiser"):
        open_weights(path, key="sr")


def test_what_was_taken_and_what_was_not_is_said(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": zeros(state()), "params_ema": state()}, path)
    file = open_weights(path)
    assert file.key == "params_ema"
    assert file.top_level == ("params", "params_ema")
    assert "params_ema" in file.notes[0]
    assert "params (" in file.notes[0]
    assert torch.equal(open_weights(path, key="params").state["tail.weight"], torch.zeros(3, 4, 9, 9))


def test_without_weights_the_uppermost_names_are_given(tmp_path: Path) -> None:
    path = tmp_path / "log.pth"
    torch.save({"epoch": 3, "history": [1.0], "optimizer": optimiser(state())}, path)
    with pytest.raises(InputError, match=r"no state dict .* uppermost names are epoch, history, optimizer"):
        open_weights(path)


def test_settings_of_other_libraries_become_stand_ins(tmp_path: Path) -> None:
    """A configuration object of a library that is not here is no reason to refuse the weights beside it."""
    path = tmp_path / "net.ckpt"
    torch.save({"state_dict": state(), "config": PurePosixPath("a/b")}, path)
    file = open_weights(path)
    assert set(file.state) == set(state())
    assert any("pathlib" in note for note in file.notes)


def test_a_whole_module_is_refused_with_the_way_to_save_it(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"state_dict\(\), FILE"):
        open_weights(tmp_path / "net.pth")


def test_torchscript_is_a_program(tmp_path: Path) -> None:
    torch.jit.trace(nn.Conv2d(3, 3, 3), torch.rand(1, 3, 8, 8)).save(str(tmp_path / "net.pt"))
    with pytest.raises(InputError, match="TorchScript, a program"):
        open_weights(tmp_path / "net.pt")
