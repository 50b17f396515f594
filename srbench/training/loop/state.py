"""The state of a run in one safetensors file, replaced as a whole: a run killed at any moment has the last one.

It holds the weights, their average, the best average so far, the optimiser, the random state and, as JSON in the
header, the step and what was measured, with a checksum of it all. Nothing in it is a pickle. The state before the last one
stays beside it: a run goes on from that where the last one is damaged.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from srbench.errors import InputError, first_problem
from srbench.files import replacing, staging_name
from srbench.records import KEY
from srbench.training.loop.pace import PaceFacts
from srbench.training.loop.progress import ProgressFacts
from srbench.training.losses.collapse import CollapseFacts
from srbench.training.recipe.schema import Recipe
from srbench.weights import apart

STATE = "state.safetensors"
OLDER = "state.older.safetensors"
DAMAGED = "state.damaged.safetensors"
_HEADER = {"step", "facts", KEY}

Groups = dict[str, dict[str, Tensor]]
"""Tensors of a saved state, by group (``network``, ``average``, ``best``, ``optimiser``, ``random`` …) and name."""


class Origin(BaseModel):
    """Where a run's first weights came from. A name may mean other weights at the next sitting.

    Attributes:
        init_sha256: of the parent's weights, "" without ``init_from``.
        warm: what was taken of weights of which not all fit, for the card; "" where all were or none were asked for.
        untold: training data of these weights that cannot be compared with test images.
        overlaps: what their card says that they were trained on of test sets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    init_sha256: str = ""
    warm: str = ""
    untold: list[str] = []
    overlaps: list[str] = []


class AdversarialFacts(BaseModel):
    """What an adversarial run remembers besides tensors.

    Attributes:
        collapse: of its watch.
        latest: mean values of the discriminator's steps of the last log line.
    """

    model_config = ConfigDict(extra="forbid")

    collapse: CollapseFacts
    latest: dict[str, float] = {}


class RunFacts(BaseModel):
    """What a state holds besides tensors.

    Attributes:
        model: its name.
        recipe: that the run follows.
        progress: what was measured.
        budget: seconds that the steps follow from; 0 where the recipe gave them.
        extensions: seconds by which the run was made longer after its end, each time.
        origin: of its first weights.
        pace: of a run with a budget.
        left_out: images that show what test images show; None in a state of before that was looked for.
        adversarial: of a run with a discriminator.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    recipe: Recipe
    progress: ProgressFacts
    budget: float = 0.0
    extensions: tuple[float, ...] = ()
    origin: Origin = Origin()
    pace: PaceFacts = PaceFacts()
    left_out: list[str] | None = None
    adversarial: AdversarialFacts | None = None


@dataclass(frozen=True)
class RunState:
    """What a run needs to go on.

    Attributes:
        step: steps done.
        tensors: by group and name.
        facts: all else.
        fault: what is wrong with the last state, where this is the one before it; "" for the last.
    """

    step: int
    tensors: Groups
    facts: RunFacts
    fault: str = ""


def save_state(folder: Path, state: RunState) -> None:
    """Write a state to ``folder``; the file appears whole or the last one stays, which else becomes the older one.

    Raises:
        OSError: such as of a full disk, with the state's file name.
    """
    flat = apart(
        {f"{group}/{name}": tensor for group, tensors in state.tensors.items() for name, tensor in tensors.items()}
    )
    path = folder / STATE
    header = {"step": str(state.step), "facts": json.dumps(state.facts.model_dump())}
    try:
        with replacing(path) as staging:
            save_file(flat, staging, {**header, KEY: _checksum(flat, header)})
            _keep_older(folder)
    except SafetensorError as error:  # the system's own error stands in its text, such as a full disk's
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from None


def load_state(folder: Path) -> RunState | None:
    """The last state in ``folder``, or the one before it where the last is damaged; None where there is none.

    A state without a checksum is one of an earlier srbench, and is taken as it is.

    Raises:
        InputError: a file that is no state or not what was written, and no sound one before it.
    """
    path, older = folder / STATE, folder / OLDER
    if not path.is_file() and not older.is_file():
        return None
    try:
        return _read(path)
    except InputError as error:
        fault = str(error)
    try:
        return replace(_read(older), fault=fault)
    except InputError:
        raise InputError(f"{fault}; --overwrite starts again") from None


def settle(folder: Path) -> None:
    """Put the older state in the place of a damaged one, which is kept under a name that says so."""
    path = folder / STATE
    if path.is_file():
        path.replace(folder / DAMAGED)
    (folder / OLDER).replace(path)


def remove_states(folder: Path) -> None:
    """Remove all states, the last one last: what a kill leaves is never a run of before the last one."""
    for name in (DAMAGED, OLDER, STATE):
        (folder / name).unlink(missing_ok=True)


def _keep_older(folder: Path) -> None:
    """Call the last state the older one, too; it has both names until it is replaced, so that at no moment there is none."""
    path, older = folder / STATE, folder / OLDER
    if not path.is_file():
        return
    link = folder / staging_name(OLDER)
    try:
        link.hardlink_to(path)
    except (OSError, NotImplementedError):  # a file system without links
        path.replace(older)
        return
    try:
        link.replace(older)
    finally:
        link.unlink(missing_ok=True)  # still there where both names were of one file already


def _read(path: Path) -> RunState:
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                tensors[key] = file.get_tensor(key)
        if not {"step", "facts"} <= set(header) <= _HEADER:
            raise ValueError(f"its header has {', '.join(header) or 'nothing'}")
        if KEY in header and header[KEY] != _checksum(tensors, header):
            raise InputError(f"{path} is not what was written: its content does not have its checksum")
        groups: Groups = {}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups.setdefault(group, {})[name] = tensor
        return RunState(int(header["step"]), groups, RunFacts.model_validate_json(header["facts"]))
    except ValidationError as error:
        raise InputError(str(first_problem(error, str(path), RunFacts))) from None
    except FileNotFoundError:
        raise InputError(f"{path} is not there") from None
    except (SafetensorError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]  # safetensors repeats a header that it cannot read
        raise InputError(f"{path} is not the state of a run, or cut off ({why})") from None


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """sha256 of the header's texts and of each tensor's name, type, shape and bytes, by name."""
    digest = hashlib.sha256(json.dumps([header["step"], header["facts"]]).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
