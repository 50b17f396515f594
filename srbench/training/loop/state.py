"""The state of a run in one safetensors file, replaced as a whole: a run killed at any moment has the last one.

It holds the weights, their average, the best average so far, the optimiser, the random state and, as JSON in the
header, the step and what was measured. Nothing in it is a pickle.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from srbench.errors import InputError

STATE = "state.safetensors"


@dataclass
class RunState:
    """What a run needs to go on.

    Attributes:
        step: steps done.
        tensors: by group (``network``, ``average``, ``best``, ``optimiser``, ``random``) and name.
        facts: JSON values: model, recipe, seconds, best PSNR, curve.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    facts: dict[str, Any] = field(default_factory=dict)


def save_state(folder: Path, state: RunState) -> None:
    """Write a state to ``folder``; the file appears whole or the last one stays. Raises OSError."""
    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, tensors in state.tensors.items()
        for name, tensor in tensors.items()
    }
    path = folder / STATE
    temporary = path.with_suffix(".writing")
    try:
        save_file(flat, temporary, {"step": str(state.step), "facts": json.dumps(state.facts)})
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except SafetensorError as error:  # the system's own error stands in its text, such as a full disk's
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def load_state(folder: Path) -> RunState | None:
    """The state in ``folder``, or None where there is none; raises InputError for a file that is no state."""
    path = folder / STATE
    if not path.is_file():
        return None
    tensors: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                group, _, name = key.partition("/")
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
        return RunState(int(header["step"]), tensors, json.loads(header["facts"]))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the state of a run, or cut off ({error}); --overwrite starts again") from None


def random_tensors() -> dict[str, Tensor]:
    """The states of torch's random generators. Crops do not depend on them: they follow from seed and step."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def load_random(tensors: dict[str, Tensor]) -> None:
    """Put the states of :func:`random_tensors` back."""
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
