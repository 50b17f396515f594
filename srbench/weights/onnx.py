"""ONNX files (extra ``onnx``), run by onnxruntime: layout, type and sizes are found from the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from srbench.errors import InputError, MissingExtraError, UnavailableError
from srbench.weights import WeightsFile
from srbench.weights.programs import Kind, Program, Signature, recognise_program
from srbench.weights.recognise import Recognised, Wanted

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class Session(Program):
    """An ONNX model in onnxruntime; ``session`` is one that is open already."""

    runtime = "onnxruntime"

    def __init__(self, content: bytes, signature: Signature, session: Any = None) -> None:
        super().__init__(content, signature)
        self.session = _session(content) if session is None else session

    def run(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        made: npt.NDArray[Any] = self.session.run(None, {self.signature.name: array})[0]
        return made


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("an ONNX file needs onnxruntime, which is not installed", "onnx") from None
    onnxruntime.set_default_logger_severity(4)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def open_onnx(file: WeightsFile, wanted: Wanted) -> Recognised:
    """The network in an ONNX file.

    Args:
        file: an open ONNX file.
        wanted: what the user said.

    Raises:
        UnavailableError: onnxruntime is not installed.
        InputError: cut off, more than one input, not an image, or an enlargement that is not to be found.
    """
    content = file.path.read_bytes()
    try:
        session = _session(content)
    except UnavailableError:
        raise
    except Exception as error:  # onnxruntime has an exception for each kind of fault, none with a common parent
        raise InputError(f"{file.path} is cut off or no ONNX file: {' '.join(str(error).split())[:160]}") from None
    return recognise_program(file, Session(content, _signature(file, session), session), Kind("ONNX", "onnx"), wanted)


def _signature(file: WeightsFile, session: Any) -> Signature:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or not outputs:
        names = ", ".join(one.name for one in inputs)
        raise InputError(f"{file.path} has {len(inputs)} inputs ({names}); a network that upscales has one")
    one = inputs[0]
    shape = [side if isinstance(side, int) else 0 for side in one.shape]
    if len(shape) != 4 or one.type not in _TYPES:
        raise InputError(f"{file.path} takes {one.type} of shape {one.shape}; an image is (N, C, H, W) or (N, H, W, C)")
    last = shape[1] not in (1, 3) and shape[3] in (1, 3)
    planes = shape[3] if last else shape[1]
    if planes not in (0, 1, 3):
        raise InputError(f"{file.path} takes images of {planes} channels; srbench has 1 or 3")
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    return Signature(one.name, planes or 3, last, _TYPES[one.type], height, width, shape[0])
