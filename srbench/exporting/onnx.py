"""ONNX, by PyTorch's own exporter: dynamic batch, height and width; static int8 with QDQ nodes by onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import Dim

from srbench.errors import InputError
from srbench.exporting.formats import Job, first_line, version_of
from srbench.exporting.whole import example

OPSET = 18
_FIXED = re.compile(r"(^|\.)(bicubic|forth|back)\.kernel$")
_AXES = ("batch", "height", "width")


def write(job: Job, path: Path) -> dict[str, str]:
    """Write ``job`` as ONNX; see :meth:`srbench.exporting.formats.Format.write`."""
    x = example(job.planes, job.size, 2, eight_bit=job.eight_bit)
    axes = dict.fromkeys((0, 2, 3), Dim.AUTO)
    try:
        with quiet():
            program = torch.export.export(
                job.module, (x,), dynamic_shapes=(axes,), prefer_deferred_runtime_asserts_over_guards=True
            )
            made: Any = torch.onnx.export(
                program, (), input_names=["lr"], output_names=["sr"], opset_version=OPSET, dynamo=True, verbose=False
            )
    except Exception as error:  # of a dozen kinds, none with a common parent
        raise InputError(f"ONNX cannot express this network: {first_line(error)}") from None
    model = made.model_proto
    _name_axes(model)
    path.write_bytes(model.SerializeToString())
    used = ["onnx", "onnxscript"]
    if job.precision == "int8":
        _quantise(job, path)
        used.append("onnxruntime")
    return version_of(*used)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters talk of their own affairs; what matters is an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        nowhere = io.StringIO()
        hidden = contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere)
        with warnings.catch_warnings(), hidden[0], hidden[1], torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _name_axes(model: Any) -> None:
    """Free axes of the input and the output by their names, where the exporter numbered them."""
    shape = model.graph.input[0].type.tensor_type.shape.dim
    names = {shape[axis].dim_param: name for axis, name in zip((0, 2, 3), _AXES, strict=True) if shape[axis].dim_param}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            for old, new in names.items():
                if side.dim_param:
                    side.dim_param = re.sub(rf"\b{re.escape(old)}\b", new, side.dim_param)


class _Images:
    """Calibration inputs as onnxruntime reads them."""

    def __init__(self, job: Job) -> None:
        self._left = iter(job.calibration)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        x = next(self._left, None)
        return None if x is None else {"lr": x.numpy()}


def _quantise(job: Job, path: Path) -> None:
    """Convolutions in 8 bits, weights by channel; the last one, bicubic and changes of colour stay float32.

    The last one makes the image: what its rounding changes, nothing evens out. In 8 bits too, EDSR-baseline's greatest
    difference is three times as large.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    graph = onnx.load(path).graph
    kept = [node.name for node in graph.node if any(_FIXED.search(name) for name in node.input)]
    layers = [node.name for node in graph.node if node.op_type == "Conv" and node.name not in kept]
    kept += layers[-1:] if len(layers) > 1 else []
    source = path.with_name(f"float-{path.name}")
    path.replace(source)
    try:
        with quiet():
            quantize_static(
                source,
                path,
                _Images(job),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=kept,
            )
    except Exception as error:
        raise InputError(f"onnxruntime cannot quantise this network: {first_line(error)}") from None
    finally:
        source.unlink(missing_ok=True)
