"""ONNX files (extra ``onnx``), run by onnxruntime: layout, type, range and sizes are found from the model and by a probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError
from srbench.weights import WeightsFile
from srbench.weights.probe import Seen, best, look, sample
from srbench.weights.recognise import WHITE, Recognised, Wanted, scale_in_name

_INSTALL = "pip install 'srbench[onnx]'"
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_SIDE = 96


@dataclass(frozen=True)
class Signature:
    """How an ONNX model takes an image.

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


class Session(nn.Module):
    """An ONNX model as a network ``(N, C, h, w)``; images go through one by one where the model takes one."""

    def __init__(self, content: bytes, signature: Signature) -> None:
        super().__init__()
        self.content, self.signature = content, signature
        self.session = _session(content)

    def __deepcopy__(self, memo: Any) -> Session:
        return Session(self.content, self.signature)

    def forward(self, x: Tensor) -> Tensor:
        single = self.signature.batch == 1 and len(x) > 1
        return torch.cat([self._run(image[None]) for image in x]) if single else self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        signature = self.signature
        array = x.detach().float().cpu().numpy()
        if signature.last:
            array = array.transpose(0, 2, 3, 1)
        if signature.dtype is np.uint8:
            array = np.clip(np.rint(array), 0, 255)
        made = self.session.run(None, {signature.name: np.ascontiguousarray(array.astype(signature.dtype))})[0]
        y = torch.from_numpy(np.array(made, dtype=np.float32))
        if signature.last:
            y = y.permute(0, 3, 1, 2).contiguous()
        return y.to(x.device)


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UnavailableError(
            "unavailable", f"an ONNX file needs onnxruntime, which is not installed: {_INSTALL}"
        ) from None
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
    if wanted.model is not None:
        raise InputError(f"{file.path} is an ONNX file, which holds its own network: leave out --model {wanted.model}")
    content = file.path.read_bytes()
    try:
        session = _session(content)
    except UnavailableError:
        raise
    except Exception as error:  # onnxruntime has an exception for each kind of fault, none with a common parent
        raise InputError(f"{file.path} is cut off or no ONNX file: {' '.join(str(error).split())[:160]}") from None
    signature = _signature(file, session)
    network = Session(content, signature)
    scale, white, notes = _probe(file, network, wanted)
    fixed = (signature.height, signature.width)
    if any(fixed):
        notes.append(
            f"its input has the fixed size {fixed[1] or 'any'}×{fixed[0] or 'any'}: other images go through in tiles"
        )
    channels: Literal["y", "rgb"] = "y" if signature.planes == 1 else "rgb"
    if wanted.channels is not None and wanted.channels != channels:
        raise InputError(
            f"{file.path} takes {signature.planes} channels, which is {channels!r} and not {wanted.channels!r}"
        )
    return Recognised(
        file=file,
        model="",
        display=f"{file.path.stem} (ONNX)",
        origin="onnx",
        layout="",
        scales=(scale,),
        channels=channels,
        options={},
        build=lambda _: Fixed(network, scale, fixed) if any(fixed) else network,
        range=white,
        tiling=False,
        half=False,
        notes=tuple(notes),
    )


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


def _probe(file: WeightsFile, network: Session, wanted: Wanted) -> tuple[int, float, list[str]]:
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


def _white(network: Session, scale: int, wanted: Wanted, notes: list[str]) -> float:
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
        padded = nn.functional.pad(x, (0, max(0, window[1] - width), 0, max(0, window[0] - height)), mode="replicate")
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
