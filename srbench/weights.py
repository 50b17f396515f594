"""Weight files of any origin, read without running what is in them, and fitted to a network key by key."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.errors import InputError

_WRAPPERS = ("params_ema", "params", "state_dict")
_PICKLES = (".pth", ".pt", ".ckpt", ".bin")


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Key → tensor of a ``.safetensors`` or ``.pth`` file, floats as float32, on the CPU.

    BasicSR's ``params_ema`` and ``params`` and the common ``state_dict`` are unwrapped, in this order, and the
    ``module.`` of a data-parallel network is taken off. A pickle is read with ``weights_only``: nothing in it runs.

    Raises:
        InputError: no such file, cut off, of another kind, or a pickle that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights at {path}")
    if path.suffix == ".safetensors":
        found: object = _read_safetensors(path)
    elif path.suffix in _PICKLES:
        found = _read_pickle(path)
    else:
        raise InputError(f"{path} is neither .safetensors nor one of {', '.join(_PICKLES)}")
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{path} holds no state dict (names with tensors)")
    prefix = "module." if all(str(key).startswith("module.") for key in found) else ""
    return {str(k).removeprefix(prefix): v.float() if v.is_floating_point() else v for k, v in found.items()}


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is cut off or no safetensors file: {error}") from None


def _read_pickle(path: Path) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd pickle protocol, said better by the errors below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise InputError(f"{path} would run code when loaded ({found[1]}); only tensors are accepted") from None
        raise InputError(f"{path} is cut off or holds more than tensors; nothing in it was run") from None
    except (
        Exception
    ):  # a damaged file fails anywhere in the unpickler: IndexError, AssertionError, TypeError, struct.error, …
        raise InputError(f"{path} is cut off or no PyTorch file") from None


def fit(module: nn.Module, state: Mapping[str, Tensor], where: Path) -> None:
    """Load ``state`` strictly; raises InputError with missing, unexpected and differently shaped keys, and how many."""
    wanted = module.state_dict()
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    faults = [
        _some(kind, keys)
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if keys
    ]
    if faults:
        raise InputError(f"{where} does not fit {type(module).__name__} of {len(wanted)} keys: {'; '.join(faults)}")
    module.load_state_dict(dict(state), strict=True)


def _some(kind: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
    return f"{len(keys)} {kind} ({shown})"
