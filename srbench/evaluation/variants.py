"""Ways of running one network that are timed against each other; ``eager`` is the base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from srbench.errors import InputError
from srbench.graphs import captured
from srbench.inference import PLAIN, Inference
from srbench.models._fused import can_fuse
from srbench.upscaler import Upscaler, network_pass
from srbench.weights.programs import Program


def parse_ways(names: list[str], device: torch.device) -> list[Inference]:
    """Variants by their names, on a device; InputError for a wrong name and for what does not change one pass."""
    found = []
    for name in names:
        way = Inference.parse(name)
        if way.tile or way.ensemble:
            raise InputError(f"variant {name!r}: one pass of the network is timed, which has no tiles and no ensemble")
        found.append(replace(way, device=device))
    return found


def default_variants(device: torch.device) -> list[Inference]:
    """What is measured where nothing is chosen: every single step and the combinations that add up."""
    names = [PLAIN, "channels_last", "bf16", "bf16+channels_last"]
    if device.type == "cuda":
        names += ["tf32", "fp16", "fp16+channels_last", "cuda_graph", "fp16+channels_last+cuda_graph"]
    names += ["fused", "fused+channels_last", "fused+bf16+channels_last", "compile"]
    if device.type == "cuda":
        names += ["fused+fp16+channels_last", "fused+fp16+channels_last+cuda_graph", "fp16+channels_last+compile"]
    return parse_ways(names, device)


def is_main(way: Inference) -> bool:
    """Whether it is measured even where one pass of the base takes longer than a cell may."""
    return way.speed_variant in (PLAIN, "bf16+channels_last", "fused+bf16+channels_last", "fp16+channels_last")


def reason_against(way: Inference, upscaler: Upscaler) -> str:
    """Why a network or device cannot do it, or why nothing would be learned from it; empty where it is timed."""
    if way.speed_variant == PLAIN:
        return ""
    if upscaler.channels == "any":
        return "an interpolator has no layers to change"
    if runtime := runtime_of(upscaler.network):
        return f"{runtime} runs the file as it is"
    if way.unsupported:
        return way.unsupported
    if way.precision == "fp16" and way.torch_device.type == "cpu":
        return "fp16 is for GPUs; a CPU's lower precision is bf16"
    if way.fused and not can_fuse(upscaler.network):
        return "no exact rewrite: the fused form is the network itself"
    return ""


def runtime_of(network: nn.Module) -> str:
    """Who runs a network that is a file of another runtime, such as ``onnxruntime``; empty where PyTorch does."""
    found = (part for part in network.modules() if isinstance(part, Program))
    return next((part.runtime for part in found), "")


def passes(upscaler: Upscaler, x: Tensor) -> Callable[[], Tensor]:
    """A function that makes one pass over ``x`` ``(N, C, h, w)``, which lies on the device, as its inference says."""
    module = upscaler.module
    if upscaler.inference.compile:
        module = torch.compile(module, dynamic=False)  # type: ignore[assignment]

    def once() -> Tensor:
        return network_pass(upscaler, x, module)

    return captured(once) if upscaler.inference.graph else once
