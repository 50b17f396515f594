"""Ways of running one network: layout, precision, exact rewrites, compilation, a CUDA graph. ``eager`` is the base."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from srbench.errors import InputError, unknown
from srbench.inference import Precision, Upscaler, network_pass
from srbench.models._fused import can_fuse, fuse

_PRECISIONS = ("tf32", "bf16", "fp16")
_PARTS = ("fused", *_PRECISIONS, "channels_last", "compile", "cuda_graph")


@dataclass(frozen=True)
class Variant:
    """One way; the defaults are the base.

    Attributes:
        fused: exact rewrites of the network (``srbench.models._fused``).
        precision: ``fp32`` (TF32 off), ``tf32`` (GPU), ``bf16`` or ``fp16`` under autocast.
        channels_last: memory layout of weights and input.
        compiled: by torch.compile, at a fixed size. cuda_graph: captured once and replayed (GPU).
    """

    fused: bool = False
    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    cuda_graph: bool = False

    @property
    def name(self) -> str:
        """Its parts in a fixed order, such as ``fused+bf16+channels_last``; ``eager`` has none."""
        flags = (self.fused, *(self.precision == p for p in _PRECISIONS), self.channels_last, self.compiled)
        return "+".join(part for part, on in zip(_PARTS, (*flags, self.cuda_graph), strict=True) if on) or "eager"

    @property
    def eager(self) -> Variant:
        """The same arithmetic without compilation and graph."""
        return replace(self, compiled=False, cuda_graph=False)


BASE = Variant()


def parse_variant(text: str) -> Variant:
    """``eager`` or parts joined by ``+`` in any order; raises InputError with the nearest part.

    >>> parse_variant("channels_last+bf16").name
    'bf16+channels_last'
    """
    parts = [part.strip() for part in text.split("+")]
    if parts == ["eager"]:
        return BASE
    for part in parts:
        if part not in _PARTS:
            raise InputError(unknown("variant", part, ("eager", *_PARTS)))
    precisions = [part for part in parts if part in _PRECISIONS]
    if len(precisions) > 1:
        raise InputError(f"variant {text!r} has two precisions: {' and '.join(precisions)}")
    return Variant(
        fused="fused" in parts,
        precision=precisions[0] if precisions else "fp32",  # type: ignore[arg-type]
        channels_last="channels_last" in parts,
        compiled="compile" in parts,
        cuda_graph="cuda_graph" in parts,
    )


def default_variants(device: torch.device) -> list[Variant]:
    """What is measured where nothing is chosen: every single step and the combinations that add up."""
    names = ["eager", "channels_last", "bf16", "bf16+channels_last"]
    if device.type == "cuda":
        names += ["tf32", "fp16", "fp16+channels_last", "cuda_graph", "fp16+channels_last+cuda_graph"]
    names += ["fused", "fused+channels_last", "fused+bf16+channels_last", "compile"]
    if device.type == "cuda":
        names += ["fused+fp16+channels_last", "fused+fp16+channels_last+cuda_graph", "fp16+channels_last+compile"]
    return [parse_variant(name) for name in names]


def is_main(variant: Variant) -> bool:
    """Whether it is measured even where one pass of the base takes longer than a cell may."""
    return variant.name in ("eager", "bf16+channels_last", "fused+bf16+channels_last", "fp16+channels_last")


def reason_against(variant: Variant, upscaler: Upscaler) -> str:
    """Why a network or device cannot do it; empty where it can."""
    device = upscaler.device
    if variant == BASE:
        return ""
    if upscaler.channels == "any":
        return "an interpolator has no layers to change"
    if device.type == "cpu":
        if variant.cuda_graph:
            return "a CUDA graph needs a GPU"
        if variant.precision in ("fp16", "tf32"):
            return f"{variant.precision} is for GPUs; a CPU's lower precision is bf16"
    elif variant.precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return f"{torch.cuda.get_device_name(device)} has no bf16 arithmetic"
    elif variant.precision == "tf32" and torch.cuda.get_device_capability(device)[0] < 8:
        return f"{torch.cuda.get_device_name(device)} has no TF32 arithmetic"
    if variant.fused and not can_fuse(upscaler.module):
        return "no exact rewrite: the fused form is the network itself"
    return ""


def vary(upscaler: Upscaler, variant: Variant) -> Upscaler:
    """An Upscaler that runs a variant's arithmetic on a copy of the network; compilation and graphs are ``passes``' work."""
    module = upscaler.module
    if variant.fused:
        module = fuse(module)
    if variant.channels_last:  # weights, too: an image of one channel has the same bytes in both layouts
        module = (module if variant.fused else copy.deepcopy(module)).to(memory_format=torch.channels_last)
    return upscaler.with_(module=module, precision=variant.precision, channels_last=variant.channels_last)


def passes(upscaler: Upscaler, variant: Variant, x: Tensor) -> Callable[[], Tensor]:
    """A function that makes one pass over ``x`` ``(N, C, h, w)``, which lies on the device.

    Args:
        upscaler: of ``vary`` with the same variant.
    """
    if variant.compiled:
        upscaler = upscaler.with_(module=torch.compile(upscaler.module, dynamic=False))

    def once() -> Tensor:
        return network_pass(upscaler, x)

    return _captured(once) if variant.cuda_graph else once


def _captured(once: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The kernels of one pass, replayed as a graph; warmed up on a side stream first, as capture demands."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = once()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay
