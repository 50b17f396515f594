"""Weight files from elsewhere: unwrapped, strict, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from srbench.errors import InputError
from srbench.models import create_model
from srbench.weights import read_weights
from srbench.zoo import load_weights

pytestmark = pytest.mark.usefixtures("one_thread")


class Bomb:
    """Runs a command when unpickled without care."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


def state() -> dict[str, torch.Tensor]:
    return create_model("espcn", 4).state_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": s},
        lambda s: {"params_ema": s, "params": {key: torch.zeros_like(value) for key, value in s.items()}},
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"state_dict": {f"module.{key}": value for key, value in s.items()}},
        lambda s: {key: value.half() for key, value in s.items()},
    ],
    ids=["bare", "params", "ema", "state_dict", "module", "half"],
)
def test_common_wrappers(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    wanted = state()
    torch.save(wrap(wanted), tmp_path / "net.pth")
    assert {value.dtype for value in read_weights(tmp_path / "net.pth").values()} == {torch.float32}
    network = create_model("espcn", 4)
    load_weights(network, tmp_path / "net.pth")
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, wanted[key], atol=2e-3, rtol=1e-3)


def test_safetensors(tmp_path: Path) -> None:
    wanted = state()
    save_file(wanted, tmp_path / "net.safetensors")
    found = read_weights(tmp_path / "net.safetensors")
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("save", ["torch", 2, 4])
def test_a_pickle_that_would_run_code_runs_nothing(tmp_path: Path, save: str | int) -> None:
    path, witness = tmp_path / "bomb.pth", tmp_path / "ran"
    if save == "torch":
        torch.save({"params": Bomb(witness)}, path)
    else:
        path.write_bytes(pickle.dumps({"params": Bomb(witness)}, protocol=int(save)))
    with pytest.raises(InputError, match=r"bomb\.pth (would run code when loaded \(posix|.*nothing in it was run)"):
        load_weights(create_model("espcn", 4), path)
    assert not witness.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 5_000])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_cut_off_files(tmp_path: Path, kept: int, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save(state(), path)
    else:
        save_file(state(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"net\{suffix} is cut off") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_damaged_files_of_the_old_format(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"w": torch.zeros(4, 3), "b": torch.zeros(5)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 5)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole))]
    causes, lines = set(), set()
    for content in damaged:
        path.write_bytes(content)
        try:
            read_weights(path)
        except InputError as error:
            causes.add(type(error.__context__))
            lines.add(len(str(error).splitlines()))
    assert {AssertionError, IndexError, struct.error} <= causes
    assert lines == {1}


def test_what_is_no_state_dict(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"optimiser": {"lr": 1.0}}, tmp_path / "other.pth")
    torch.save({}, tmp_path / "empty.pth")
    (tmp_path / "net.onnx").write_bytes(b"x")
    messages = {"text.pth": "cut off", "list.pth": "no state dict", "other.pth": "no state dict"}
    messages |= {"empty.pth": "no state dict", "net.onnx": "cut off", "absent.pth": "no weights at"}
    for name, message in messages.items():
        with pytest.raises(InputError, match=message) as caught:
            read_weights(tmp_path / name)
        assert name in str(caught.value)


def test_a_misfit_says_how_many_keys_and_which(tmp_path: Path) -> None:
    changed = state()
    changed["conv9.weight"] = changed.pop("conv1.weight")
    changed["conv3.bias"] = torch.zeros(4)
    torch.save(changed, tmp_path / "net.pth")
    network = create_model("espcn", 4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(network, tmp_path / "net.pth")
    for part in (
        "net.pth does not fit ESPCN of 6 keys",
        "1 missing (conv1.weight)",
        "1 unexpected (conv9.weight)",
        "1 of another shape (conv3.bias (4,) instead of (16,))",
    ):
        assert part in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
