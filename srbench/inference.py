"""How a network is applied: one frozen set of options that evaluation, timing, upscaling, the command line and Python share.

A new option is one field of :class:`Inference` and one line of :class:`InferenceOptions`: its part in names, the check of its
values and its option on the command line follow from the field. Nothing here needs torch before a device is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

from srbench.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
Layout = Literal["contiguous", "channels_last"]

PLAIN = "eager"
_TILE = re.compile(r"tile(\d+)(?:-(\d+))?")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Option:
    """What the command line and names must know of a field of :class:`Inference`.

    Attributes:
        help: its line in a command's help.
        words: part of a variant's name → the value that it stands for; the default has none.
        timed: whether it changes one pass of the network, which is what ``srbench speed`` times.
        formerly: option that the command line had in its place.
    """

    help: str
    words: Mapping[str, object]
    timed: bool
    formerly: str


def _option(
    default: _T, says: str, words: Mapping[str, object] | None = None, timed: bool = True, formerly: str = ""
) -> _T:  # fmt: skip
    made: Any = field(default=default, metadata={"option": Option(says, words or {}, timed, formerly)})
    return made


class InferenceOptions(TypedDict, total=False):
    """The fields of :class:`Inference` as keyword arguments."""

    device: str | torch.device
    tile: int
    overlap: int | None
    ensemble: bool
    fused: bool
    precision: Precision
    layout: Layout
    compile: bool
    graph: bool


@dataclass(frozen=True)
class Inference:
    """How a network is applied; the defaults are the plain way, whose results can be compared with papers.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or a torch device; kept as a torch device.
        tile: edge of tiles in LR pixels; 0 for whole images.
        overlap: LR pixels that a tile sees around itself; None for the receptive field, which is exact.
        ensemble: the mean over the eight flips and rotations (EDSR's self-ensemble, arXiv:1707.02921).
        fused: exact rewrites of the network (``srbench.models._fused``).
        precision: ``bf16`` and ``fp16`` run under autocast; ``tf32`` lets a GPU round the inputs of float32 products.
        layout: memory layout of the weights and the input.
        compile: run the network through ``torch.compile``.
        graph: capture a pass once for each input size and replay it as a CUDA graph.

    Raises:
        InputError: a value that an option cannot have.
        UnknownNameError: a word that an option does not know.

    >>> Inference(tile=64, overlap=8, precision="bf16").variant
    'tile64-8+bf16'
    """

    device: str | torch.device = _option("cpu", "auto, cpu, cuda, cuda:N or mps.", timed=False)
    tile: int = _option(0, "Edge of tiles in LR pixels; 0: whole images.", timed=False)
    overlap: int | None = _option(
        None, "LR pixels that tiles overlap; default: the receptive field, which is exact.", {}, False, "--tile-overlap"
    )
    ensemble: bool = _option(
        False, "Mean over the eight flips and rotations.", {"ensemble": True}, False, "--self-ensemble"
    )
    fused: bool = _option(False, "Exact rewrites of the network, which are faster.", {"fused": True})
    precision: Precision = _option(
        "fp32", "Number format of the network's arithmetic.", {word: word for word in ("tf32", "bf16", "fp16")}
    )
    layout: Layout = _option("contiguous", "Layout in memory.", {"channels_last": "channels_last"})
    compile: bool = _option(False, "Compile the network (torch.compile).", {"compile": True})
    graph: bool = _option(False, "Replay passes as a CUDA graph.", {"cuda_graph": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", pick_device(self.device))
        for name, least in (("tile", 0), ("overlap", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise InputError(f"{name} must be a whole number of LR pixels from {least}, not {value!r}")
        if self.overlap is not None and not self.tile:
            raise InputError(f"overlap = {self.overlap} is of tiles: give tile, too")
        for name, option in options().items():
            value = getattr(self, name)
            allowed = [DEFAULTS[name], *option.words.values()]
            if option.words and not any(value is one or value == one for one in allowed if type(value) is type(one)):
                if isinstance(allowed[0], bool):
                    raise InputError(f"{name} must be True or False, not {value!r}")
                raise UnknownNameError(name, str(value), (str(one) for one in allowed))

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Inference:
        """From keyword arguments; UnknownNameError with the nearest field for a wrong one."""
        for name in given:
            if name not in DEFAULTS:
                raise UnknownNameError("option of inference", name, DEFAULTS)
        arguments: Any = given
        return cls(**arguments)

    @classmethod
    def parse(cls, text: str) -> Inference:
        """``eager`` or parts joined by ``+`` in any order, as :attr:`variant` writes them.

        Raises:
            UnknownNameError: an unknown part, with the nearest one.
            InputError: two parts for the same option.

        >>> Inference.parse("channels_last+bf16").speed_variant
        'bf16+channels_last'
        """
        if text.strip() == PLAIN:
            return cls()
        words = {word: (name, value) for name, option in options().items() for word, value in option.words.items()}
        found: dict[str, tuple[str, object]] = {}
        for part in (part.strip() for part in text.split("+")):
            if tile := _TILE.fullmatch(part):
                found["tile"] = (part, int(tile[1]))
                found |= {"overlap": (part, int(tile[2]))} if tile[2] else {}
                continue
            if part not in words:
                raise UnknownNameError("variant", part, (PLAIN, *words, "tileN", "tileN-OVERLAP"))
            name, value = words[part]
            if name in found:
                raise InputError(f"variant {text!r} has two of {name}: {found[name][0]} and {part}")
            found[name] = (part, value)
        return cls.of({name: value for name, (_, value) in found.items()})

    @property
    def variant(self) -> str:
        """Part of a result's name: what differs from the plain way, in a fixed order; empty for the plain way."""
        return "+".join(self._words(timed_only=False))

    @property
    def speed_variant(self) -> str:
        """What of it changes one pass of the network, such as ``fused+bf16+channels_last``; ``eager`` for none."""
        return "+".join(self._words(timed_only=True)) or PLAIN

    @property
    def eager(self) -> Inference:
        """The same arithmetic without compilation and graph."""
        return replace(self, compile=False, graph=False)

    @property
    def torch_device(self) -> torch.device:
        """The device as torch has it."""
        return pick_device(self.device)

    @property
    def metric_device(self) -> torch.device:
        """Where metrics run, which need float64: the same device, or the CPU where that has none (``mps``)."""
        import torch

        device = self.torch_device
        return torch.device("cpu") if device.type == "mps" else device

    @property
    def unsupported(self) -> str:
        """Why its device cannot do it; empty where it can."""
        import torch

        device = self.torch_device
        if device.type != "cuda":
            if self.graph:
                return "a CUDA graph needs a GPU"
            return "tf32 is for GPUs; a CPU's lower precision is bf16" if self.precision == "tf32" else ""
        if self.precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
            return f"{torch.cuda.get_device_name(device)} has no bf16 arithmetic"
        if self.precision == "tf32" and torch.cuda.get_device_capability(device)[0] < 8:
            return f"{torch.cuda.get_device_name(device)} has no TF32 arithmetic"
        return ""

    def _words(self, timed_only: bool) -> Iterator[str]:
        if self.tile and not timed_only:
            yield f"tile{self.tile}" + ("" if self.overlap is None else f"-{self.overlap}")
        for name, option in options().items():
            if option.timed or not timed_only:
                yield from (word for word, value in option.words.items() if getattr(self, name) == value)


def options() -> dict[str, Option]:
    """Field → what is known of it, in the order in which names have their parts."""
    return {one.name: one.metadata["option"] for one in fields(Inference)}


DEFAULTS = {one.name: one.default for one in fields(Inference)}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """A device by name. A torch device is taken as it is.

    ``auto`` is CUDA where there is one, else Apple's GPU (``mps``), else the CPU. ``mps`` has no float64, so whatever needs that,
    the metrics above all, is done on the CPU.

    Raises:
        InputError: no such device on this machine, with those that there are.
    """
    import torch

    if isinstance(name, torch.device):
        return name
    if name == "auto":
        apple = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else apple
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        found = ", ".join(["cpu", *(f"cuda:{i}" for i in range(there["cuda"])), *["mps"] * there["mps"]])
        raise InputError(f"no device {name!r} on this machine; it has {found}")
    return device
