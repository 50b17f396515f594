"""MSRResNet: ESRGAN's authors and KAIR's MSRResNet1 (``recon_trunk``), and mmagic (``trunk_net``). BasicSR's keys are ours."""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout
from srbench.weights.layouts._names import Names

_KAIR: Names[Tensor] = Names(
    {
        "conv_first.{p}": "conv_first.{p}",
        "recon_trunk.{n}.conv{i}.{p}": "body.{n}.conv{i}.{p}",
        "upconv{i}.{p}": "upconv{i}.{p}",
        "HRconv.{p}": "conv_hr.{p}",
        "conv_last.{p}": "conv_last.{p}",
    }
)
_MMAGIC: Names[Tensor] = Names(
    {
        "conv_first.{p}": "conv_first.{p}",
        "trunk_net.{n}.conv{i}.{p}": "body.{n}.conv{i}.{p}",
        "upsample{i}.upsample_conv.{p}": "upconv{i}.{p}",
        "conv_hr.{p}": "conv_hr.{p}",
        "conv_last.{p}": "conv_last.{p}",
    }
)

LAYOUTS = (
    Layout("ESRGAN's authors and KAIR", _KAIR.translate),
    Layout("mmagic's MSRResNet", _MMAGIC.translate),
)
