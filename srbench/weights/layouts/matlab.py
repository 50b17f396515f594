"""Authors' MATLAB files: SRCNN, FSRCNN and VDSR. Their kernels are stored column by column.

FSRCNN's ×3 was trained with an output that lies one pixel up and to the left, which its authors' code crops away: its kernel is
moved by that pixel here, within one of 11×11. Without this it scores 26.31 dB on Set5 in the place of 33.16.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from srbench.weights.layouts import Layout, State


def _square(columns: Tensor) -> Tensor:
    """``(…, k²)`` in MATLAB's order → ``(…, k, k)``."""
    side = math.isqrt(columns.shape[-1])
    return columns.reshape(*columns.shape[:-1], side, side).transpose(-1, -2).contiguous()


def _srcnn(state: State) -> dict[str, Tensor] | None:
    names = {f"{kind}_conv{number}" for kind in ("weights", "biases") for number in (1, 2, 3)}
    if set(state) != names or state["weights_conv1"].dim() != 2 or state["weights_conv2"].dim() != 3:
        return None
    first, second, third = (state[f"weights_conv{number}"] for number in (1, 2, 3))
    found = {
        "conv1.weight": _square(first.T[:, None]),
        "conv2.weight": _square(second.permute(2, 0, 1)),
        "conv3.weight": _square(third[None]),
    }
    return found | {f"conv{number}.bias": state[f"biases_conv{number}"].flatten() for number in (1, 2, 3)}


def _fsrcnn(state: State) -> dict[str, Tensor] | None:
    layers = sum(key.startswith("weights_conv.") for key in state)
    if layers < 5 or f"biases_conv.{layers - 1}" not in state or "prelu_conv.0" not in state:
        return None
    found: dict[str, Tensor] = {}
    for number in range(layers):
        weights, bias = state[f"weights_conv.{number}"], state[f"biases_conv.{number}"].flatten()
        if weights.dim() != 3:
            return None
        if number == layers - 1:  # (outputs, k², inputs): the transposed convolution
            found["deconv.weight"], found["deconv.bias"] = _square(weights.permute(2, 0, 1)), bias
            continue
        found[f"body.{2 * number}.weight"] = _square(weights.permute(2, 0, 1))
        found[f"body.{2 * number}.bias"] = bias
        found[f"body.{2 * number + 1}.weight"] = state[f"prelu_conv.{number}"].flatten().expand(len(bias)).clone()
    return found


def _vdsr(state: State) -> dict[str, Tensor] | None:
    layers = sum(key.startswith("model.weight.") for key in state)
    if layers < 2 or any(f"model.{kind}.{n}" not in state for kind in ("weight", "bias") for n in range(layers)):
        return None
    found: dict[str, Tensor] = {}
    for number in range(layers):
        weight = state[f"model.weight.{number}"]
        weight = weight if weight.dim() == 4 else weight[..., None]  # MATLAB drops a last axis of one
        found[f"body.{2 * number}.weight"] = weight.permute(3, 2, 0, 1).contiguous()
        found[f"body.{2 * number}.bias"] = state[f"model.bias.{number}"].flatten()
    return found


def moved(state: State, rows: int, columns: int) -> dict[str, Tensor]:
    """FSRCNN's weights with an output that lies ``rows`` further down and ``columns`` further right; one pixel at most."""
    kernel = state["deconv.weight"]
    wider = torch.zeros(*kernel.shape[:2], kernel.shape[2] + 2, kernel.shape[3] + 2, dtype=kernel.dtype)
    wider[..., 1 + rows : 1 + rows + kernel.shape[2], 1 + columns : 1 + columns + kernel.shape[3]] = kernel
    return {**state, "deconv.weight": wider}


LAYOUTS = (
    Layout("SRCNN's authors (MATLAB)", _srcnn),
    Layout("FSRCNN's authors (MATLAB)", _fsrcnn),
    Layout("VDSR's authors (MATLAB)", _vdsr),
)
