"""RLFN: the authors' names."""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout
from srbench.weights.layouts._names import Names

_AUTHORS: Names[Tensor] = Names(
    {
        "conv_1.{p}": "conv_first.{p}",
        "block_{n}.c5.{p}": "body.{n-1}.fuse.{p}",
        "block_{n}.c{i}_r.{p}": "body.{n-1}.conv{i}.{p}",
        "block_{n}.esa.conv1.{p}": "body.{n-1}.attention.squeeze.{p}",
        "block_{n}.esa.conv_f.{p}": "body.{n-1}.attention.shortcut.{p}",
        "block_{n}.esa.conv2.{p}": "body.{n-1}.attention.reduce.{p}",
        "block_{n}.esa.conv3.{p}": "body.{n-1}.attention.coarse.0.{p}",
        "block_{n}.esa.conv4.{p}": "body.{n-1}.attention.expand.{p}",
        "conv_2.{p}": "conv_after_body.{p}",
        "upsampler.0.{p}": "upsample.0.{p}",
    }
)

LAYOUTS = (Layout("RLFN's authors", _AUTHORS.translate),)
