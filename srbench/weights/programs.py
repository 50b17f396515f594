"""Files that hold a whole network with its runtime's own operations: what they take and make, from a card or a probe.

A program is found by its content, as weights are; ``onnx``, ``litert`` and ``ncnn`` each open one kind. A card beside the file
(:mod:`srbench.weights.exported`) says what the file cannot: that it wants enlarged images, how its sides must divide.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from srbench.errors import InputError
from srbench.weights import WeightsFile
from srbench.weights.exported import ExportCard, card_beside
from srbench.weights.probe import Seen, best, look, sample
from srbench.weights.recognise import WHITE, Recognised, Wanted, scale_in_name

_SIDE = 96


@dataclass(frozen=True)
class Signature:
    """How a program takes an image.

    Attributes:
        name: of its input.
        planes: 1 or 3.
        last: channels come last (NHWC).
        dtype: of its input.
        height: fixed height, 0 where any.
        width: fixed width, 0 where any.
        batch: fixed number of images, 0 where any.
    """

    name: str
    planes: int
    last: bool
    dtype: Any
    height: int
    width: int
    batch: int


class Program(nn.Module, ABC):
    """A file as a network ``(N, C, h, w)``; images go through one by one where the program takes one.

    ``runtime`` says who computes, for people. A runtime's session cannot be copied, so that each copy opens ``content`` anew.

    Args:
        content: of the file, as its runtime takes it.
        signature: how it takes an image.
    """

    runtime = ""

    def __init__(self, content: Any, signature: Signature) -> None:
        super().__init__()
        self.content, self.signature = content, signature

    def __deepcopy__(self, memo: Any) -> Program:
        return type(self)(self.content, copy.deepcopy(self.signature, memo))

    @abstractmethod
    def run(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One call of the runtime, in the program's own layout and type."""

    def forward(self, x: Tensor) -> Tensor:
        single = self.signature.batch == 1 and len(x) > 1
        return torch.cat([self._pass(image[None]) for image in x]) if single else self._pass(x)

    def _pass(self, x: Tensor) -> Tensor:
        signature = self.signature
        array = x.detach().float().cpu().numpy()
        if signature.last:
            array = array.transpose(0, 2, 3, 1)
        if signature.dtype is np.uint8:
            array = np.clip(np.rint(array), 0, 255)
        made = self.run(np.ascontiguousarray(array.astype(signature.dtype)))
        y = torch.from_numpy(np.array(made, dtype=np.float32))
        if signature.last:
            y = y.permute(0, 3, 1, 2).contiguous()
        return y.to(x.device)


@dataclass(frozen=True)
class Kind:
    """A kind of program, for messages.

    Attributes:
        title: such as ``ONNX``.
        origin: as :class:`srbench.weights.recognise.Recognised` has it.
    """

    title: str
    origin: Literal["onnx", "litert", "ncnn"]


def recognise_program(file: WeightsFile, program: Program, kind: Kind, wanted: Wanted) -> Recognised:
    """What a program is: by the card beside it, where it is that file's, else by a probe.

    Args:
        file: an open file.
        program: ready to run.
        kind: for messages.
        wanted: what the user said.

    Raises:
        InputError: not an image, an enlargement that is not to be found, or what the user said is not true of it.
    """
    signature = program.signature
    card, notes = card_beside(file)
    if card is not None:
        scale, white = _as_card(file, card, wanted), card.range
    else:
        scale, white, found = _probe(file, program, wanted)
        notes += found
    fixed = (signature.height, signature.width)
    if any(fixed):
        notes.append(
            f"its input has the fixed size {fixed[1] or 'any'}×{fixed[0] or 'any'}: larger images go through in windows, smaller "
            "ones are mirrored beyond their edges, which differ"
        )
    channels: Literal["y", "rgb"] = "y" if signature.planes == 1 else "rgb"
    if wanted.channels is not None and wanted.channels != channels:
        raise InputError(
            f"{file.path} takes {signature.planes} channels, which is {channels!r} and not {wanted.channels!r}"
        )
    factor = 1 if card is not None and card.pre_upsampled else scale
    return Recognised(
        file=file,
        model="",
        display=f"{file.path.stem} ({kind.title})",
        origin=kind.origin,
        layout="",
        scales=(scale,),
        channels=channels,
        options={},
        build=lambda _: Fixed(program, factor, fixed) if any(fixed) else program,
        range=white,
        pre_upsampled=card is not None and card.pre_upsampled,
        multiple_of=card.multiple_of if card is not None else 1,
        minimum=card.minimum if card is not None else 1,
        receptive_radius=card.receptive_radius if card is not None else None,
        tiling=False,
        half=False,
        notes=tuple(notes),
    )


def _as_card(file: WeightsFile, card: ExportCard, wanted: Wanted) -> int:
    """The scale on the card; InputError where the user said another, or another range."""
    if wanted.scale is not None and wanted.scale != card.scale:
        raise InputError(f"{file.path} enlarges by {card.scale}, not by {wanted.scale}")
    if wanted.range is not None and wanted.range != card.range:
        raise InputError(f"{file.path} was exported with range {card.range:g}, not {wanted.range:g}")
    return card.scale


def _probe(file: WeightsFile, network: Program, wanted: Wanted) -> tuple[int, float, list[str]]:
    """Enlargement and range, from what it makes of an image."""
    signature = network.signature
    height, width = signature.height or _SIDE, signature.width or _SIDE
    x = sample(max(height, width))[:, : signature.planes, :height, :width]
    white = WHITE if signature.dtype is np.uint8 else 1
    try:
        y = network(x * white)
    except Exception as error:
        raise InputError(
            f"{file.path} fails on an image of {width}×{height}: {' '.join(str(error).split())[:160]}"
        ) from None
    ratio = y.shape[-1] / width
    if (
        y.dim() != 4
        or y.shape[1] != signature.planes
        or y.shape[-2] != ratio * height
        or ratio != int(ratio)
        or ratio < 1
    ):
        raise InputError(f"{file.path} makes {tuple(y.shape)} of {tuple(x.shape)}: no enlargement by a whole number")
    scale, pre = int(ratio), False
    if wanted.scale is not None and wanted.scale != scale:
        raise InputError(f"{file.path} enlarges by {scale}, not by {wanted.scale}")
    notes = [f"x{scale} and {'NHWC' if signature.last else 'NCHW'}, as a probe finds"]
    named = scale_in_name(file.path.name)
    if scale == 1:
        hint = f"; its name speaks of x{named}" if named else ""
        raise InputError(
            f"{file.path} keeps an image's size: a network that wants upscaled images must be given as a class "
            f"(pre_upsampled = True){hint}"
        )
    assert not pre
    return scale, _white(network, scale, wanted, notes), notes


def _white(network: Program, scale: int, wanted: Wanted, notes: list[str]) -> float:
    signature = network.signature
    if signature.dtype is np.uint8:
        return float(WHITE)
    if wanted.range is not None:
        return wanted.range
    if signature.height or signature.width:
        return 1.0  # the probe's image has another size; the alarms of an evaluation will tell
    seen: dict[int, Seen] = {white: look(network, scale, signature.planes, white=white) for white in (1, WHITE)}
    if best(seen) == WHITE and seen[1].gain < 0 < seen[WHITE].gain:
        notes.append(
            f"range 0–255, as a probe finds: {seen[WHITE].gain:+.1f} dB against bicubic; --range 1 takes the other"
        )
        return float(WHITE)
    return 1.0


class Fixed(nn.Module):
    """A network of one input size on any image: overlapping windows, of which the middles are kept.

    A smaller image is mirrored beyond its right and lower edge. What a network pads there is another thing, so these edges differ
    from those of a network of free size.

    Args:
        network: takes images of ``size`` alone.
        scale: its enlargement.
        size: height and width; 0 where any.
    """

    def __init__(self, network: nn.Module, scale: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.scale, self.size = network, scale, size

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        window = (self.size[0] or height, self.size[1] or width)
        padded = _mirrored(_mirrored(x, 2, window[0]), 3, window[1])
        out = x.new_zeros(*x.shape[:2], padded.shape[-2] * self.scale, padded.shape[-1] * self.scale)
        for top, above, below in _windows(padded.shape[-2], window[0]):
            for left, before, behind in _windows(padded.shape[-1], window[1]):
                made = self.network(padded[..., top : top + window[0], left : left + window[1]].contiguous())
                rows, columns = (
                    slice(above * self.scale, below * self.scale),
                    slice(before * self.scale, behind * self.scale),
                )
                target = out[..., (top + above) * self.scale : (top + below) * self.scale, :]
                target[..., (left + before) * self.scale : (left + behind) * self.scale] = made[..., rows, columns]
        return out[..., : height * self.scale, : width * self.scale]


def _mirrored(x: Tensor, axis: int, least: int) -> Tensor:
    """``x`` extended by its mirror images to ``least`` pixels along an axis: bicubic upscaling sees what it sees at an edge."""
    length = x.shape[axis]
    if length >= least:
        return x
    index = np.pad(np.arange(length), (0, least - length), mode="symmetric")
    return x.index_select(axis, torch.from_numpy(index).to(x.device))


def _windows(length: int, window: int) -> list[tuple[int, int, int]]:
    """Starts of overlapping windows along an axis, and which part of each is kept (from, to)."""
    if length <= window:
        return [(0, 0, window)]
    margin = window // 4
    starts = [*range(0, length - window, window - 2 * margin), length - window]
    found = []
    for number, start in enumerate(starts):
        first = 0 if number == 0 else margin
        last = window if number == len(starts) - 1 else window - margin
        found.append((start, first, last))
    return found
