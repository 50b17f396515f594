"""PAN: the authors' names."""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout
from srbench.weights.layouts._names import Names

_AUTHORS: Names[Tensor] = Names(
    {
        "conv_first.{p}": "conv_first.{p}",
        "SCPA_trunk.{n}.conv1_a.{p}": "body.{n}.plain.{p}",
        "SCPA_trunk.{n}.k1.0.{p}": "body.{n}.plain_conv.{p}",
        "SCPA_trunk.{n}.conv1_b.{p}": "body.{n}.attended.{p}",
        "SCPA_trunk.{n}.PAConv.k2.{p}": "body.{n}.attention.{p}",
        "SCPA_trunk.{n}.PAConv.k3.{p}": "body.{n}.attended_conv1.{p}",
        "SCPA_trunk.{n}.PAConv.k4.{p}": "body.{n}.attended_conv2.{p}",
        "SCPA_trunk.{n}.conv3.{p}": "body.{n}.fuse.{p}",
        "trunk_conv.{p}": "conv_after_body.{p}",
        "upconv{n}.{p}": "upsample.{n-1}.conv1.{p}",
        "att{n}.conv.{p}": "upsample.{n-1}.attention.conv.{p}",
        "HRconv{n}.{p}": "upsample.{n-1}.conv2.{p}",
        "conv_last.{p}": "conv_last.{p}",
    }
)

LAYOUTS = (Layout("PAN's authors", _AUTHORS.translate),)
