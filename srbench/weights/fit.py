"""Weights into a network, strictly: a key that is missing, unexpected, of another shape or of another kind is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from srbench.errors import InputError


def fit(module: nn.Module, state: Mapping[str, Tensor], where: Path) -> None:
    """Load ``state`` strictly, except that batch norm's counters may be missing, as torch itself allows in old files.

    Raises:
        InputError: with missing, unexpected and differently shaped keys and how many, or whole numbers in the place of weights.
    """
    from srbench.weights.unwrap import SKIPPED, without_skip

    wanted = module.state_dict()
    if not any(key.startswith(SKIPPED) for key in wanted):
        state = without_skip(state) or state
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    whole = [
        f"{key} {str(state[key].dtype).removeprefix('torch.')}"
        for key, value in wanted.items()
        if key in state and value.is_floating_point() and not state[key].is_floating_point()
    ]
    faults = [
        _some(kind, keys)
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
            ("of whole numbers instead of weights", whole),
        )
        if keys
    ]
    if faults:
        raise InputError(f"{where} does not fit {type(module).__name__} of {len(wanted)} keys: {'; '.join(faults)}")
    module.load_state_dict({**{k: v for k, v in wanted.items() if k not in state}, **state}, strict=True)


def _some(kind: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
    return f"{len(keys)} {kind} ({shown})"
