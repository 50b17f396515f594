"""RRDBNet: the first ESRGAN files and KAIR (``model.1.sub.…``), the authors' later ones, BSRGAN and RealSR (``RRDB_trunk.…``).

BasicSR's keys, and so Real-ESRGAN's and mmagic's, are ours. ×2 of Real-ESRGAN folds 2×2 pixels, as its first layer's twelve
channels show; with three channels and one upsampling a file may be of BSRGAN's ×2 or of a ×3.
"""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout, State
from srbench.weights.layouts._names import Names

_TRUNK: Names[Tensor] = Names(
    {
        "conv_first.{p}": "conv_first.{p}",
        "RRDB_trunk.{n}.RDB{i}.conv{j}.{p}": "body.{n}.rdb{i}.conv{j}.{p}",
        "trunk_conv.{p}": "conv_body.{p}",
        "upconv{i}.{p}": "conv_up{i}.{p}",
        "HRconv.{p}": "conv_hr.{p}",
        "conv_last.{p}": "conv_last.{p}",
    }
)
_HEAD = {
    "model.0.{p}": "conv_first.{p}",
    "model.1.sub.{n}.RDB{i}.conv{j}.0.{p}": "body.{n}.rdb{i}.conv{j}.{p}",
    "model.1.sub.{n}.{p}": "conv_body.{p}",
    "model.3.{p}": "conv_up1.{p}",
}
_TAIL = {"model.8.{p}": "conv_hr.{p}", "model.10.{p}": "conv_last.{p}"}
_TWICE: Names[Tensor] = Names({**_HEAD, "model.6.{p}": "conv_up2.{p}", **_TAIL})
_ONCE: Names[Tensor] = Names({**_HEAD, "model.5.{p}": "conv_hr.{p}", "model.7.{p}": "conv_last.{p}"})


def _sequence(state: State) -> dict[str, Tensor] | None:
    return _TWICE.translate(state) or _ONCE.translate(state)


LAYOUTS = (
    Layout("ESRGAN's first files and KAIR", _sequence),
    Layout("ESRGAN's authors, BSRGAN and RealSR", _TRUNK.translate),
)
