"""RFDN: the authors' names."""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout
from srbench.weights.layouts._names import Names

_AUTHORS: Names[Tensor] = Names(
    {
        "fea_conv.{p}": "conv_first.{p}",
        "B{n}.c{i}_d.{p}": "body.{n-1}.distil.{i-1}.{p}",
        "B{n}.c{i}_r.{p}": "body.{n-1}.refine.{i-1}.{p}",
        "B{n}.c4.{p}": "body.{n-1}.last.{p}",
        "B{n}.c5.{p}": "body.{n-1}.fuse.{p}",
        "B{n}.esa.conv1.{p}": "body.{n-1}.attention.squeeze.{p}",
        "B{n}.esa.conv_f.{p}": "body.{n-1}.attention.shortcut.{p}",
        "B{n}.esa.conv_max.{p}": "body.{n-1}.attention.coarse.0.{p}",
        "B{n}.esa.conv2.{p}": "body.{n-1}.attention.reduce.{p}",
        "B{n}.esa.conv3.{p}": "body.{n-1}.attention.coarse.1.{p}",
        "B{n}.esa.conv3_.{p}": "body.{n-1}.attention.coarse.2.{p}",
        "B{n}.esa.conv4.{p}": "body.{n-1}.attention.expand.{p}",
        "c.0.{p}": "fuse.{p}",
        "LR_conv.{p}": "conv_after_body.{p}",
        "upsampler.0.{p}": "upsample.0.{p}",
    }
)

LAYOUTS = (Layout("RFDN's authors", _AUTHORS.translate),)
