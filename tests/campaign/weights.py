"""Damaged files of weights: the same weights, or a clear error; formats without checksums may give other numbers, but no more
than the file has room for.
"""

from __future__ import annotations

import random
import resource
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srbench.models import create_model
from srbench.weights import open_weights
from tests.campaign import Fuzzer, damage

CHECKED = (".pth", ".npz")  # ZIP archives, whose every entry has a CRC
MOST_BYTES = 64 << 20
_MEMORY = 3 << 30  # more than a test process has, far less than a bomb asks for


def prepare(folder: Path) -> dict[Path, dict[str, Tensor]]:
    """Small files of every kind that is read, with their weights."""
    from safetensors.torch import save_file
    from scipy.io import savemat

    torch.manual_seed(0)
    state = create_model("srresnet_s", 2, blocks=1, features=4).state_dict()
    sound = folder / "sound"
    sound.mkdir()
    moments = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-4}]}
    torch.save(state, sound / "bare.pth")
    wrapped = {
        "state_dict": {f"module.{key}": v for key, v in state.items()},
        "optimizer": moments,
        "psnr": np.float64(3),
    }
    torch.save(wrapped, sound / "wrapped.pth")
    torch.save({"params_ema": state, "params": state}, sound / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, sound / "net.safetensors")
    np.savez(sound / "net.npz", **{key: value.numpy() for key, value in state.items()})
    np.savez_compressed(sound / "packed.npz", **{key: value.numpy() for key, value in state.items()})
    arrays = {key.replace(".", "_"): value.numpy() for key, value in state.items()}
    savemat(sound / "net.mat", arrays)
    savemat(sound / "packed.mat", arrays, do_compression=True)
    return {path: open_weights(path).state for path in sorted(sound.iterdir())}


def attempt(prepared: object, random_: random.Random, folder: Path) -> None:
    """One damaged file."""
    assert isinstance(prepared, dict)
    path = random_.choice(list(prepared))
    mutant = folder / f"mutant{path.suffix}"
    mutant.write_bytes(damage(path.read_bytes(), random_))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = open_weights(mutant).state
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < _MEMORY, f"{path.name}: took {grown:,} bytes"
    expected = prepared[path]
    assert sum(value.numel() * value.element_size() for value in found.values()) <= MOST_BYTES
    assert all(value.dtype.is_floating_point is False or value.dtype == torch.float32 for value in found.values())
    if path.suffix in CHECKED:
        assert set(found) == set(expected), f"{path.name}: other keys"
        wrong = [key for key, value in expected.items() if not torch.equal(found[key], value)]
        assert not wrong, f"{path.name}: other weights in {wrong[0]}"


FUZZER = Fuzzer("weights", prepare, attempt)
