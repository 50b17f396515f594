"""Networks of one's own as something that can be trained: a class, a function or a module → the description of a model."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from srbench.errors import InputError
from srbench.models import MODELS, Model, Paper
from srbench.names import check_name, slug
from srbench.subjects import Subject, resolve_one
from srbench.subjects.classes import making_failed
from srbench.upscaler import Traits

Own = str | nn.Module | Callable[..., nn.Module]
"""A network of one's own: ``file.py:Class``, a module, or what makes one."""


@dataclass(frozen=True)
class OwnModel(Model):
    """An architecture that is in no registry.

    Attributes:
        source: how it was named, such as ``mynet.py:MyNet``.
    """

    source: str = ""


def is_own(text: str) -> bool:
    """Whether a text names a class of one's own and not a registered model."""
    return ":" in text or text.endswith(".py")


def describe(
    what: Own,
    scale: int | None = None,
    channels: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> OwnModel:
    """What the trainer must know of a network of one's own.

    Args:
        what: ``path/file.py:Class`` or ``package.module:Class``; a class or function that makes a network, which is given
            ``scale=`` if it takes that; or a module, whose weights training starts from and which itself is left as it is.
        scale: needed where the network does not declare ``scale`` or ``upscale``.
        channels: ``y`` or ``rgb``, in the place of what it declares; ``rgb`` where it declares nothing.
        options: for the constructor.

    Raises:
        InputError: it cannot be imported or made, is no generator, has no weights, or wants something else than RGB or Y
            in [0, 1].
    """
    options = options or {}
    subject = _subject(what, scale, channels, options)
    chosen = subject.scale
    upscaler = subject.upscaler()
    traits, source = upscaler.traits, what if isinstance(what, str) else _word(what)
    _check_traits(traits, source)
    if not upscaler.parameters:
        raise InputError(f"{source} has no weights to train")

    def build(scale: int, channels: str = traits.channels, **options: Any) -> nn.Module:
        made = _subject(what, scale, channels, options).upscaler().network
        return copy.deepcopy(made) if isinstance(what, nn.Module) else made

    return OwnModel(
        name=_name(source),
        build=build,
        paper=Paper(source, 0, ""),
        channels="y" if traits.channels == "y" else "rgb",
        scales=(chosen,),
        parameters={chosen: upscaler.parameters},
        receptive_radius=traits.receptive_radius or 0,  # of use for tiles alone, and validation has none
        multiple_of=traits.multiple_of,
        pre_upsampled=traits.pre_upsampled,
        options=dict(options),
        source=source,
    )


def _subject(
    what: Own,
    scale: int | None,
    channels: str | None,
    options: Mapping[str, Any],
) -> Subject:
    if isinstance(what, str):
        return resolve_one(what, scale, channels=channels, options=options)
    if not isinstance(what, nn.Module):
        what = _made(what, scale, options)
    if isinstance(what, torch.jit.ScriptModule):
        raise InputError(
            f"{_word(what)} is a compiled program of TorchScript: training needs the module that it was made from"
        )
    return resolve_one(what, scale, channels=channels)


def _made(factory: Callable[..., nn.Module], scale: int | None, options: Mapping[str, Any]) -> nn.Module:
    who = _word(factory)
    given = dict(options)
    if scale is not None and "scale" in inspect.signature(factory).parameters:
        given.setdefault("scale", scale)
    try:
        network = factory(**given)
    except Exception as error:
        raise InputError(making_failed(who, given, error)) from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{who}: made a {type(network).__name__}, not a torch.nn.Module")
    return network


def _check_traits(traits: Traits, who: str) -> None:
    plain = Traits(channels=traits.channels)
    for name in ("range", "bgr", "mean", "square"):
        value = getattr(traits, name)
        if value != getattr(plain, name):
            raise InputError(f"{who} declares {name} = {value!r}; training gives networks RGB or Y in [0, 1] as it is")


def _word(what: object) -> str:
    kind = what if isinstance(what, type) or inspect.isroutine(what) else type(what)
    return f"{kind.__module__}:{kind.__qualname__}"


def _name(source: str) -> str:
    """The first part of checkpoints' names: the class's, in the letters that models' names have."""
    name = slug(source.rpartition(":")[2]).lower().replace(".", "-").replace("+", "-").strip("_")
    name = name or "network"
    return check_name("model", f"own-{name}" if name in MODELS else name)


@torch.no_grad()
def check_generator(
    network: nn.Module, who: str, shape: tuple[int, int, int, int], factor: int, device: torch.device
) -> None:
    """One pass over a batch of zeros, so that what is no generator is said before any image is read.

    Args:
        network: left in its mode and with its weights and buffers.
        who: names it in an error.
        shape: ``(N, C, h, w)`` of a batch.
        factor: output pixels an input pixel.
        device: that the network is on.

    Raises:
        InputError: it fails, or does not make one tensor ``(N, C, factor·h, factor·w)``.
    """
    try:
        training = network.training
        made: object = network.eval()(torch.zeros(shape, device=device))
        network.train(training)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise InputError(f"{who} fails on an input of {shape}: {type(error).__name__}: {first}") from error
    wanted = (*shape[:2], shape[2] * factor, shape[3] * factor)
    if not isinstance(made, Tensor):
        raise InputError(f"{who} made a {type(made).__name__}; training needs one tensor")
    if tuple(made.shape) != wanted:
        raise InputError(f"{who} made {tuple(made.shape)} of {shape}; at x{factor} it should make {wanted}")


class PlainLayout(nn.Module):
    """A network on input as it lies in memory at other times: crops come in channels_last, which ``view`` refuses."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> Tensor:
        made: Tensor = self.network(lr.contiguous())
        return made
