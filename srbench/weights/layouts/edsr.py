"""EDSR and MDSR: the authors' PyTorch code and torchSR (``head.0``, ``sub_mean``), and mmagic.

The authors' networks work on 0–255, as ours do inside; mmagic's on [0, 1]. The difference is a factor in the first and the
last convolution, which is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srbench.models._layers import RGB_MEAN
from srbench.weights.layouts import Layout, State
from srbench.weights.layouts._names import Names

_RANGE = 255.0
_SHIFTS = ("sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias")
_EDSR: Names[Tensor] = Names(
    {
        "head.0.{p}": "conv_first.{p}",
        "body.{n}.body.0.{p}": "body.{n}.conv1.{p}",
        "body.{n}.body.2.{p}": "body.{n}.conv2.{p}",
        "body.{n}.{p}": "conv_after_body.{p}",
        "tail.0.{n}.{p}": "upsample.{n}.{p}",
        "tail.1.{p}": "conv_last.{p}",
    }
)
_MDSR: Names[Tensor] = Names(
    {
        "head.0.{p}": "conv_first.{p}",
        "pre_process.{s}.{k}.body.0.{p}": "pre_process.x{s+2}.{k}.conv1.{p}",
        "pre_process.{s}.{k}.body.2.{p}": "pre_process.x{s+2}.{k}.conv2.{p}",
        "body.{n}.body.0.{p}": "body.{n}.conv1.{p}",
        "body.{n}.body.2.{p}": "body.{n}.conv2.{p}",
        "body.{n}.{p}": "conv_after_body.{p}",
        "upsample.{s}.{n}.{p}": "upsample.x{s+2}.{n}.{p}",
        "tail.0.{p}": "conv_last.{p}",
    }
)
_MMAGIC: Names[Tensor] = Names(
    {
        "conv_first.{p}": "conv_first.{p}",
        "body.{n}.conv1.{p}": "body.{n}.conv1.{p}",
        "body.{n}.conv2.{p}": "body.{n}.conv2.{p}",
        "conv_after_body.{p}": "conv_after_body.{p}",
        "upsample.0.upsample_conv.{p}": "upsample.0.{p}",
        "upsample.1.upsample_conv.{p}": "upsample.2.{p}",
        "conv_last.{p}": "conv_last.{p}",
    }
)


def _authors(names: Names[Tensor], state: State) -> dict[str, Tensor] | None:
    found = names.translate({key: value for key, value in state.items() if key not in _SHIFTS})
    if found is None or "sub_mean.bias" not in state:
        return found
    white = _white(state)
    if white == _RANGE:
        return found
    return on_unit_range(found) if white == 1.0 else None


def _white(state: State) -> float:
    """The range of a network with mean shift: its bias is DIV2K's mean on that range. 0 where it is another mean."""
    shift, weight = state["sub_mean.bias"], state.get("sub_mean.weight")
    if shift.shape != (3,) or (weight is not None and not torch.allclose(weight.flatten(1), torch.eye(3))):
        return 0.0
    mean = torch.tensor(RGB_MEAN)
    for white in (_RANGE, 1.0):
        if torch.allclose(-shift, mean * white, rtol=1e-3):
            return white
    return 0.0


def on_unit_range(state: State) -> dict[str, Tensor]:
    """Weights of a network that works on [0, 1] for one that multiplies its input by 255 and divides its output by it."""
    found = dict(state)
    found["conv_first.weight"] = found["conv_first.weight"] / _RANGE
    for part in ("weight", "bias"):
        found[f"conv_last.{part}"] = found[f"conv_last.{part}"] * _RANGE
    return found


def _mmagic(state: State) -> dict[str, Tensor] | None:
    found = _MMAGIC.translate(state)
    whole = found is not None and {"conv_first.weight", "conv_last.weight", "conv_last.bias"} <= set(found)
    return on_unit_range(found) if found is not None and whole else None


LAYOUTS = (
    Layout("EDSR's authors and torchSR", lambda state: _authors(_EDSR, state)),
    Layout("MDSR's authors", lambda state: _authors(_MDSR, state)),
    Layout("mmagic's EDSR", _mmagic),
)
