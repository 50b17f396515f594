"""IMDN: the authors' names."""

from __future__ import annotations

from torch import Tensor

from srbench.weights.layouts import Layout
from srbench.weights.layouts._names import Names

_AUTHORS: Names[Tensor] = Names(
    {
        "fea_conv.{p}": "conv_first.{p}",
        "IMDB{n}.c5.{p}": "body.{n-1}.fuse.{p}",
        "IMDB{n}.c{i}.{p}": "body.{n-1}.conv{i}.{p}",
        "IMDB{n}.cca.conv_du.0.{p}": "body.{n-1}.attention.squeeze.{p}",
        "IMDB{n}.cca.conv_du.2.{p}": "body.{n-1}.attention.expand.{p}",
        "c.0.{p}": "fuse.{p}",
        "LR_conv.{p}": "conv_after_body.{p}",
        "upsampler.0.{p}": "upsample.0.{p}",
    }
)

LAYOUTS = (Layout("IMDN's authors", _AUTHORS.translate),)
