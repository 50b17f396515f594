"""LiteRT, by litert-torch in an environment of its own: one image of one size, channels last; fp16 and int8 by ai-edge-quantizer.

litert-torch 0.10 wants a torch older than the one that srbench is tested with. What ``torch.export`` writes, that older torch
reads; so the network is exported here, converted there (``make litert`` makes .venv-litert), and run here by ai-edge-litert.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import srbench
from srbench.errors import InputError, UnavailableError
from srbench.exporting import _litert_convert
from srbench.exporting.formats import Job, first_line, run_tool, version_of
from srbench.exporting.onnx import quiet
from srbench.exporting.whole import Last, example

PYTHON = "SRBENCH_LITERT_PYTHON"
_FOLDER = ".venv-litert"
_SECONDS = 1800.0
_SIGNATURE = "serving_default"
_FIXED = r".*exporting\.(form\.Bicubic|whole\.Colours).*"
"""Names of what is no layer of a network, and stays float32: the converter keeps the classes' names."""
_INSTALL = (
    f"`make litert` makes it ({PYTHON} names another), or: python -m venv {_FOLDER} && "
    f"{_FOLDER}/bin/pip install litert-torch==0.10.0 torch==2.14.1"
)


def write(job: Job, path: Path) -> dict[str, str]:
    """Write ``job`` as LiteRT; see :meth:`srbench.exporting.formats.Format.write`."""
    python = converter()
    x = example(job.planes, job.size, 1, eight_bit=job.eight_bit).permute(0, 2, 3, 1).contiguous()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "net.pt2", Path(folder) / "net.tflite"
        try:
            with quiet():
                torch.export.save(torch.export.export(Last(job.module).eval(), (x,)), source)
        except Exception as error:
            raise InputError(f"LiteRT: torch cannot export this network: {first_line(error)}") from None
        used = _convert(python, source, made, x)
        if job.precision != "fp32":
            used |= _quantise(job, made)
        path.write_bytes(made.read_bytes())
    return used


def converter() -> str:
    """The Python that has litert-torch: what ``SRBENCH_LITERT_PYTHON`` names, .venv-litert here or beside srbench, this one.

    Raises:
        UnavailableError: none, with the line that makes one.
    """
    named = os.environ.get(PYTHON)
    places = [Path(root) / _FOLDER / "bin" / "python" for root in (Path.cwd(), Path(srbench.__file__).parent.parent)]
    for place in [Path(named)] if named else places:
        if place.is_file():
            return str(place)
    if not named and find_spec("litert_torch") is not None:
        return sys.executable
    what = f"{PYTHON}={named} is no file" if named else "there is none"
    raise UnavailableError("unavailable", f"LiteRT needs an environment with litert-torch, and {what}: {_INSTALL}")


def _convert(python: str, source: Path, target: Path, x: torch.Tensor) -> dict[str, str]:
    kind = str(x.dtype).removeprefix("torch.")
    arguments = [python, _litert_convert.__file__, str(source), str(target), json.dumps(list(x.shape)), kind]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    run = run_tool("litert-torch", arguments, _SECONDS, env=environment)
    if run.returncode or not target.is_file():
        lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "Error" in line), lines[-1] if lines else "it says nothing")
        if said.startswith("ModuleNotFoundError"):
            raise UnavailableError("unavailable", f"{python} lacks litert-torch or a part of it ({said}): {_INSTALL}")
        raise InputError(f"LiteRT cannot express this network: {' '.join(said.split())[:240]}")
    used: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return used


def _quantise(job: Job, path: Path) -> dict[str, str]:
    """float16 weights; or int8 weights and activations of the convolutions, with ranges seen on the calibration images."""
    from ai_edge_quantizer import Quantizer, qtyping

    quantizer: Any = Quantizer(str(path))
    try:
        with quiet():
            if job.precision == "fp16":
                half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
                way = qtyping.OpQuantizationConfig(
                    weight_tensor_config=half,
                    compute_precision=qtyping.ComputePrecision.FLOAT,
                    explicit_dequantize=True,
                )
                quantizer.update_quantization_recipe(".*", qtyping.TFLOperationName.CONV_2D, way, "float_casting")
                result = quantizer.quantize()
            else:
                quantizer.add_static_config(".*", qtyping.TFLOperationName.CONV_2D, 8, 8)
                for name in qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.DEPTHWISE_CONV_2D:
                    quantizer.update_quantization_recipe(_FIXED, name, algorithm_key="no_quantize")
                name = _input_name(path)
                data = [{name: x.permute(0, 2, 3, 1).contiguous().numpy()} for x in job.calibration]
                result = quantizer.quantize(
                    quantizer.calibrate({_SIGNATURE: data}, num_threads=torch.get_num_threads())
                )
            path.write_bytes(bytes(result.quantized_model))
    except Exception as error:
        raise InputError(f"ai-edge-quantizer cannot quantise this network: {first_line(error)}") from None
    return version_of("ai-edge-quantizer")


def _input_name(path: Path) -> str:
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_path=str(path)).get_signature_list()
    found: str = signatures[_SIGNATURE]["inputs"][0]
    return found
