"""What a network costs whatever the machine: parameters, multiply-adds, activations, size of its weights, receptive field.

Counted on the meta device: nothing is computed. The field's size is 1280×720 output pixels.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError
from srbench.evaluation.variants import runtime_of
from srbench.images import resize_weights
from srbench.models import Model, create_model, get_model
from srbench.models._skip import BicubicUpsample
from srbench.subjects import Options, Subject
from srbench.upscaler import Traits

OUTPUT = (720, 1280)


@dataclass(frozen=True)
class Cost:
    """Counts for one image.

    Attributes:
        name: model or checkpoint.
        model: its architecture.
        scale: the upscaling factor.
        input: height and width of the LR image.
        output: of the SR image; 1281 wide at ×3, where 1280 is no multiple.
        parameters: trainable ones.
        mult_adds: multiply-adds that are really done in convolutions and matrix products (torch.utils.flop_counter)
            and in a bicubic skip; not in the upscaling before a pre-upsampled network.
        flops: twice as many.
        paper_mult_adds: as papers count them, for exactly 1280×720 output: a transposed convolution's kernel once an *output*
            pixel, and only the layers that the paper counted. None for interpolators and for any other size.
        activations: numbers that convolutions put out, which memory traffic goes with.
        weight_bytes: of the checkpoint's file; without one, of the state dict in float32.
        receptive_field: side, in pixels of the network's input, of what one output pixel can see at most; None where it sees
            the whole image, and where that is not known.
    """

    name: str
    model: str
    scale: int
    input: tuple[int, int]
    output: tuple[int, int]
    parameters: int
    mult_adds: int
    flops: int
    paper_mult_adds: int | None
    activations: int
    weight_bytes: int
    receptive_field: int | None


def input_size(scale: int, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """LR height and width for 1280×720 output (rounded up), or ``size`` itself."""
    if size is None:
        return -(-OUTPUT[0] // scale), -(-OUTPUT[1] // scale)
    if min(size) < 1:
        raise InputError(f"the input must have at least one pixel, not {size[1]}×{size[0]}")
    return size


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of ``HxW``; raises InputError.

    >>> parse_size("180x320")
    (180, 320)
    """
    found = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if not found:
        raise InputError(f"a size is written HxW such as 180x320, not {text!r}")
    return input_size(1, (int(found[1]), int(found[2])))


def cost(name: str, scale: int, size: tuple[int, int] | None = None, options: Options | None = None) -> Cost:
    """Counts of an architecture.

    Args:
        name: a registered model.
        scale: one of its scales.
        size: height and width of the LR image; by default those that give 1280×720.
        options: as ``create_model`` takes them.

    Raises:
        UnknownNameError: no such model.
        InputError: an option or size that it cannot have.
        UnavailableError: ``unsupported_scale``.
    """
    model = get_model(name)
    given = dict(options or {})
    if model.interpolator:
        create_model(name, scale)  # refuses what it cannot do
        return _interpolator(model, scale, input_size(scale, size))
    with torch.device("meta"):
        network = create_model(name, scale, **given)
    traits = Traits.of_model(model, scale, network, str(given.get("channels", "")))
    found = _count(network, traits, scale, input_size(scale, size), model.counted, size is None)
    return replace(found, name=name, model=name)


def subject_cost(subject: Subject, size: tuple[int, int] | None = None) -> Cost:
    """Counts of a subject at its only scale; arguments and errors as those of :func:`cost`.

    ``unavailable`` is the status of a file that another runtime runs.
    """
    scale = subject.scale
    if subject.architecture is None:
        upscaler = subject.upscaler()
        if runtime := runtime_of(upscaler.network):
            raise UnavailableError(
                "unavailable", f"{subject.name} is run by {runtime}, whose operations are not counted"
            )
        network = copy.deepcopy(upscaler.network)
        found = _count(network, upscaler.traits, scale, input_size(scale, size), "", size is None)
    else:
        channels = {} if subject.channels == "any" else {"channels": subject.channels}
        found = cost(subject.architecture.name, scale, size, {**channels, **subject.options})
    file = subject.weights_file
    weight_bytes = file.stat().st_size if file is not None and file.is_file() else found.weight_bytes
    return replace(found, name=subject.name, model=subject.model, weight_bytes=weight_bytes)


def _count(
    network: nn.Module, traits: Traits, scale: int, size: tuple[int, int], papers: str, conventional: bool
) -> Cost:
    from torch.utils.flop_counter import FlopCounterMode  # brings triton, 67 MB that measuring quality does without

    planes, multiple = 1 if traits.channels == "y" else 3, traits.multiple_of
    sides = [max(side * (scale if traits.pre_upsampled else 1), traits.minimum) for side in size]
    seen = [-(-side // multiple) * multiple for side in sides]
    network = network.to("meta").eval()
    skips = [
        (parent, name, _Taps(child.scale))
        for parent in list(network.modules())
        for name, child in parent.named_children()
        if isinstance(child, BicubicUpsample)
    ]
    for parent, name, taps in skips:
        setattr(parent, name, taps)
    paper, activations = 0, 0
    counted = re.compile(papers)

    def count(name: str) -> Any:
        def hook(module: nn.Module, _: Any, out: Tensor) -> None:
            nonlocal paper, activations
            activations += out.numel()
            if counted.search(name):
                assert isinstance(module.weight, Tensor)
                paper += module.weight.numel() * out.shape[-2] * out.shape[-1]

        return hook

    hooks = [
        module.register_forward_hook(count(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        out = network(torch.empty(1, planes, *seen, device="meta"))
    for hook in hooks:
        hook.remove()
    made = out.shape[-2] * out.shape[-1]
    mult_adds = counter.get_total_flops() // 2 + sum(taps.mult_adds for _, _, taps in skips)
    radius = traits.receptive_radius
    return Cost(
        name="",
        model="",
        scale=scale,
        input=size,
        output=(size[0] * scale, size[1] * scale),
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        mult_adds=mult_adds,
        flops=2 * mult_adds,
        paper_mult_adds=round(paper * OUTPUT[0] * OUTPUT[1] / made) if conventional else None,
        activations=activations,
        weight_bytes=sum(value.numel() * value.element_size() for value in network.state_dict().values()),
        receptive_field=None if radius is None else 2 * radius + 1,
    )


class _Taps(nn.Module):
    """In the place of a bicubic upscaling, whose code is none for the meta device: counts its taps."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale, self.mult_adds = scale, 0

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        self.mult_adds += channels * _taps("bicubic", self.scale, height, width)
        return x.new_empty(n, channels, height * self.scale, width * self.scale)


def _taps(method: str, scale: int, height: int, width: int) -> int:
    """Multiply-adds of both passes over one channel, rows first: one for each tap that is not zero."""
    rows, columns = (
        int(np.count_nonzero(resize_weights(side, side * scale, float(scale), method=method)[0]))
        for side in (height, width)
    )
    return rows * width + columns * height * scale


def _interpolator(model: Model, scale: int, size: tuple[int, int]) -> Cost:
    mult_adds = 0 if model.name == "nearest" else 3 * _taps(model.name, scale, *size)
    return Cost(
        name=model.name,
        model=model.name,
        scale=scale,
        input=size,
        output=(size[0] * scale, size[1] * scale),
        parameters=0,
        mult_adds=mult_adds,
        flops=2 * mult_adds,
        paper_mult_adds=None,
        activations=0,
        weight_bytes=0,
        receptive_field=None if model.receptive_radius is None else 2 * model.receptive_radius + 1,
    )
