"""Networks in memory: modules of the user, what they declare, and what tells their weights from others."""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from srbench.errors import InputError
from srbench.subjects.subject import Options, Request, Subject
from srbench.upscaler import Traits, Upscaler

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, torch.memory_format)
_TORCHS = set(vars(nn.Module()))


def of_module(
    network: nn.Module,
    scale: int | None = None,
    *,
    channels: str | None = None,
    traits: Traits | Mapping[str, object] | None = None,
    name: str | None = None,
    options: Options | None = None,
    request: Request | None = None,
) -> Subject:
    """A network of the user's own: ``(N, C, h, w)`` → ``(N, C, scale·h, scale·w)``; left in its mode and on its device.

    Args:
        network: it may declare ``scale`` or ``upscale``, ``identity``, and what :class:`Traits` has, as attributes.
        scale: needed where it declares none.
        channels: ``y`` or ``rgb``, in the place of what it declares.
        traits: in the place of all that it declares; by name, of what is named.
        name: that its results have; its class's by default.
        options: that it was made with.
        request: how another process finds it.

    Raises:
        InputError: no scale, something declared that cannot be, or layers that have no weights yet.
    """
    who = name or type(network).__name__
    if any(isinstance(one, UninitializedParameter) for one in network.parameters()):
        raise InputError(f"{who} has lazy layers, whose weights its first input would make: give them their sizes")
    own = declared_scale(network)
    if scale is None and own is None:
        raise InputError(f"{who} {_undeclared(network)}: give scale=, or --scale")
    known = traits if isinstance(traits, Traits) else declared_traits(network, channels).with_(traits)
    upscaler = Upscaler(network, own or scale or 1, known, name=who)
    identity = identity_of(network)
    return Subject(
        name=who,
        model=type(network).__name__,
        kind="class" if request else "module",
        scales=(upscaler.scale,),
        channels=upscaler.channels,
        make=lambda _: upscaler,
        identity=identity and f"{identity} {known}",
        parameters=upscaler.parameters,
        options=options or {},
        weights_sha256=identity,
        request=request,
    )


def declared_scale(network: object) -> int | None:
    """``scale`` or ``upscale`` of a network, where that is an upscaling factor."""
    for name in ("scale", "upscale"):
        value = getattr(network, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
    return None


def _undeclared(network: object) -> str:
    """Why a network has no scale, in words: it declares none, or something that is no factor."""
    for name in ("scale", "upscale"):
        value = getattr(network, name, None)
        if isinstance(value, str | int | float | list | tuple):
            return f"declares {name} = {repr(value)[:40]}; expected a whole number from 1 (int)"
    return "does not declare its scale"


def declared_traits(network: object, channels: str | None = None) -> Traits:
    """What a network says of itself by attributes of the names that :class:`Traits` has.

    A tensor called ``mean`` is no declaration: networks that subtract their mean themselves keep it so. Neither is a number
    of features called ``channels``.
    """
    found: dict[str, Any] = {}
    for name, kinds in _DECLARED.items():
        value = getattr(network, name, None)
        if isinstance(value, kinds):
            found[name] = value
    mean = found.pop("mean", ())
    found["mean"] = tuple(float(value) for value in (mean if isinstance(mean, list | tuple) else (mean,)))
    planes = found.pop("channels", "rgb")
    found["channels"] = channels or {1: "y", 3: "rgb"}.get(planes, planes if isinstance(planes, str) else "rgb")
    return Traits(**found)


_DECLARED: dict[str, Any] = {
    "channels": str | int,
    "multiple_of": int,
    "minimum": int,
    "square": bool,
    "pre_upsampled": bool,
    "receptive_radius": int,
    "range": int | float,
    "bgr": bool,
    "mean": list | tuple | float | int,
}


def identity_of(network: nn.Module) -> str:
    """What tells a network's weights, settings and code from others; empty where that cannot be known.

    It is known where all weights lie in parameters and buffers, all else that a part holds is plain, and the source of its
    classes can be read; or where the network declares ``identity`` and vouches for the rest.
    """
    declared = getattr(network, "identity", None)
    if isinstance(declared, str) and declared:
        return hashlib.sha256(f"{type(network).__qualname__} {declared} {digest_of(network)}".encode()).hexdigest()
    if not any(True for _ in _tensors(network)):
        return ""
    parts: list[str] = []
    for part in network.modules():
        for name, value in vars(part).items():
            if name not in _TORCHS:
                if not _is_plain(value):
                    return ""
                parts.append(f"{name}={value!r}")
    source = _source(network)
    if source is None:
        return ""
    return hashlib.sha256(f"{digest_of(network)} {parts} {source}".encode()).hexdigest()


def digest_of(network: nn.Module) -> str:
    """sha256 of a network's structure and of all its parameters and buffers, also of those that are not saved."""
    digest = hashlib.sha256(repr(network).encode())
    for key, value in _tensors(network):
        raw = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(raw.tobytes())
    return digest.hexdigest()


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return (getattr(value, "__module__", "") or "").partition(".")[0] in ("torch", "builtins", "math")
    return isinstance(value, _PLAIN)


def _source(network: nn.Module) -> str | None:
    """Source of the files that a network's classes stand in; None where one cannot be read."""
    found: dict[str, str] = {}
    for kind in {type(part) for part in network.modules()}:
        where = kind.__module__
        if where.partition(".")[0] == "torch" or where in found:
            continue
        try:
            inspect.getsource(kind)  # typed at a prompt, or compiled: its code cannot be compared
            found[where] = inspect.getsource(sys.modules[where])
        except (OSError, TypeError, KeyError):
            return None
    return "\n".join(found[where] for where in sorted(found))
