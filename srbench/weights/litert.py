"""LiteRT files (``.tflite``; extra ``litert``), run by ai-edge-litert: layout, type and sizes are found from the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from srbench.errors import InputError, MissingExtraError, UnavailableError
from srbench.weights import WeightsFile
from srbench.weights.programs import Kind, Program, Signature, recognise_program
from srbench.weights.recognise import Recognised, Wanted


class Interpreted(Program):
    """A LiteRT model in its interpreter, which may be open already."""

    runtime = "ai-edge-litert"

    def __init__(self, content: bytes, signature: Signature, interpreter: Any = None) -> None:
        super().__init__(content, signature)
        self.interpreter = _interpreter(content) if interpreter is None else interpreter
        self.shape: tuple[int, ...] = ()

    def run(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        place = self.interpreter.get_input_details()[0]["index"]
        if array.shape != self.shape:
            self.interpreter.resize_tensor_input(place, array.shape)
            self.interpreter.allocate_tensors()
            self.shape = array.shape
        self.interpreter.set_tensor(place, array)
        self.interpreter.invoke()
        made: npt.NDArray[Any] = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        return made


def _interpreter(content: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingExtraError("a LiteRT file needs ai-edge-litert, which is not installed", "litert") from None
    return Interpreter(model_content=content, num_threads=torch.get_num_threads())


def open_litert(file: WeightsFile, wanted: Wanted) -> Recognised:
    """The network in a LiteRT file.

    Args:
        file: an open LiteRT file.
        wanted: what the user said.

    Raises:
        UnavailableError: ai-edge-litert is not installed.
        InputError: cut off, more than one input, not an image, or an enlargement that is not to be found.
    """
    content = file.path.read_bytes()
    try:
        interpreter = _interpreter(content)
        interpreter.allocate_tensors()
    except UnavailableError:
        raise
    except Exception as error:
        raise InputError(f"{file.path} is cut off or no LiteRT file: {' '.join(str(error).split())[:160]}") from None
    program = Interpreted(content, _signature(file, interpreter), interpreter)
    return recognise_program(file, program, Kind("LiteRT", "litert"), wanted)


def _signature(file: WeightsFile, interpreter: Any) -> Signature:
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or not outputs:
        raise InputError(f"{file.path} has {len(inputs)} inputs; a network that upscales has one")
    one = inputs[0]
    shape = [max(int(side), 0) for side in one["shape_signature"]]
    if len(shape) != 4 or one["dtype"] not in (np.float32, np.uint8):
        kind = np.dtype(one["dtype"]).name
        raise InputError(f"{file.path} takes {kind} of shape {shape}; an image is float32 or uint8, (N, H, W, C)")
    last = shape[1] not in (1, 3) or shape[3] in (1, 3)
    planes = shape[3] if last else shape[1]
    if planes not in (1, 3):
        raise InputError(f"{file.path} takes images of {planes} channels; srbench has 1 or 3")
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    return Signature(one["name"], planes, last, one["dtype"], height, width, shape[0])
