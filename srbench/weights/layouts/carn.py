"""CARN and CARN-M: the names of the authors' PyTorch code and of torchSR, with a tail a scale or with one."""

from __future__ import annotations

import torch
from torch import Tensor

from srbench.models._layers import RGB_MEAN
from srbench.weights.layouts import Layout, State
from srbench.weights.layouts._names import Names

_SHIFTS = tuple(f"{name}.shifter.{part}" for name in ("sub_mean", "add_mean") for part in ("weight", "bias"))
_AUTHORS: Names[Tensor] = Names(
    {
        "entry.{p}": "conv_first.{p}",
        "b{n}.b{i}.body.0.{p}": "body.units.{n-1}.units.{i-1}.conv1.{p}",
        "b{n}.b{i}.body.2.{p}": "body.units.{n-1}.units.{i-1}.conv2.{p}",
        "b{n}.b{i}.body.4.{p}": "body.units.{n-1}.units.{i-1}.mix.{p}",
        "b{n}.c{i}.body.0.{p}": "body.units.{n-1}.fuse.{i-1}.{p}",
        "c{i}.body.0.{p}": "body.fuse.{i-1}.{p}",
        "upsample.up{s}.body.{k}.{p}": "upsample.x{s}.{k}.{p}",
        "exit.{p}": "conv_last.{p}",
    }
)


def _translate(state: State) -> dict[str, Tensor] | None:
    shift = state.get("sub_mean.shifter.bias")
    if shift is not None and not torch.allclose(-shift, torch.tensor(RGB_MEAN), rtol=1e-3):
        return None  # of another mean colour, which zero padding does not let another convolution take over
    kept = {key: value for key, value in state.items() if key not in _SHIFTS}
    one = kept.get("upsample.up.body.0.weight")
    if one is not None:
        entry = kept.get("entry.weight")
        step = 3 if entry is not None and one.shape[0] == 9 * entry.shape[0] else 2
        scale = 4 if "upsample.up.body.3.weight" in kept else step
        kept = {key.replace("upsample.up.", f"upsample.up{scale}."): value for key, value in kept.items()}
    return _AUTHORS.translate(kept)


LAYOUTS = (Layout("CARN's authors and torchSR", _translate),)
