"""ncnn networks (``.param`` and ``.bin``; extra ``ncnn``): channels are found from the layers, the scale by a card or a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from srbench.errors import InputError, MissingExtraError
from srbench.weights import WeightsFile
from srbench.weights.exported import card_beside
from srbench.weights.programs import Kind, Program, Signature, recognise_program
from srbench.weights.recognise import Recognised, Wanted

_HALF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


class NcnnNet(Program):
    """An ncnn network on the CPU, in float32 arithmetic; it takes images one by one, and of any size."""

    runtime = "ncnn"

    def __init__(self, content: Path, signature: Signature) -> None:
        super().__init__(content, signature)
        self.net = _net(content)
        self.output = self.net.output_names()[-1]

    def run(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        import ncnn

        extractor = self.net.create_extractor()
        extractor.input(self.signature.name, ncnn.Mat(array[0]).clone())
        code, made = extractor.extract(self.output)
        if code:
            raise InputError(f"ncnn fails on an image of {array.shape[3]}×{array.shape[2]} (code {code})")
        return np.array(made)[None]


def _net(path: Path) -> Any:
    try:
        import ncnn
    except ImportError:
        raise MissingExtraError("an ncnn network needs ncnn, which is not installed", "ncnn") from None
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    net.opt.use_vulkan_compute = False
    for option in _HALF:
        setattr(net.opt, option, False)
    weights = path.with_suffix(".bin")
    if net.load_param(str(path)):
        raise InputError(f"{path} is cut off or no ncnn network")
    if net.load_model(str(weights)):
        raise InputError(f"{weights} is cut off or not of {path.name}")
    return net


def open_ncnn(file: WeightsFile, wanted: Wanted) -> Recognised:
    """The network in an ncnn ``.param`` and the ``.bin`` beside it.

    Args:
        file: an open ``.param``.
        wanted: what the user said.

    Raises:
        UnavailableError: ncnn is not installed.
        InputError: damaged, more than one input, or an enlargement that is not to be found.
    """
    layers = read_layers(file.path)
    names = [words[2 + int(words[0])] for kind, words in layers if kind == "Input"]
    if len(names) != 1:
        raise InputError(f"{file.path} has {len(names)} inputs; a network that upscales has one")
    card, _ = card_beside(file)
    planes = {"y": 1, "rgb": 3}[card.channels] if card is not None else _planes(file, layers)
    program = NcnnNet(file.path, Signature(names[0], planes, False, np.float32, 0, 0, 1))
    return recognise_program(file, program, Kind("ncnn", "ncnn"), wanted)


def read_layers(path: Path) -> list[tuple[str, list[str]]]:
    """Type and remaining words of each layer of a ``.param`` (counts of inputs and outputs, their names, parameters).

    Raises:
        InputError: fewer or more layers than it says, or a line that is none.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        count = int(lines[1][0])
        layers = [(words[0], words[2:]) for words in lines[2:]]
        sound = all(len(rest) >= 2 + int(rest[0]) + int(rest[1]) for _, rest in layers)
    except (ValueError, IndexError):
        count, layers, sound = -1, [], False
    if not sound or count != len(layers):
        raise InputError(f"{path} is cut off or no ncnn network: it says {count} layers and has {len(layers)}")
    return layers


def _planes(file: WeightsFile, layers: list[tuple[str, list[str]]]) -> int:
    """Channels of the image, from the size of the first convolution's weights."""
    for kind, words in layers:
        if kind != "Convolution":
            continue
        values = dict(word.split("=", 1) for word in words[2 + int(words[0]) + int(words[1]) :])
        side = int(values["1"])
        planes = int(values["6"]) // (int(values["0"]) * side * int(values.get("11", side)))
        if planes in (1, 3):
            return planes
        raise InputError(
            f"{file.path} has no card, and its first convolution takes {planes} channels; srbench has 1 or 3"
        )
    raise InputError(f"{file.path} has no card and no convolution that would tell its channels")
