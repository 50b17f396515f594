"""What can be measured: checkpoints of the zoo, interpolators, weights from elsewhere, modules of the user's own."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.evaluation.variants import Variant, vary
from srbench.inference import Precision, Upscaler, for_card, for_model, pick_device
from srbench.models import MODELS, create_model, get_model
from srbench.protocol import Protocol
from srbench.zoo import Card, find_checkpoint, list_checkpoints, load_weights


@dataclass(frozen=True)
class Settings:
    """How every target of a run is applied.

    Attributes:
        device: torch device. tile: edge of tiles in LR pixels, 0 for none. tile_overlap: None takes the receptive radius.
        ensemble: self-ensemble over eight flips and turns. precision: fp32, bf16 or fp16.
        fused: exact rewrites of the network. channels_last: memory layout.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tile: int = 0
    tile_overlap: int | None = None
    ensemble: bool = False
    precision: Precision = "fp32"
    fused: bool = False
    channels_last: bool = False

    @property
    def variant(self) -> str:
        """Part of a result's name; empty for the plain way."""
        parts = [f"tile{self.tile}" if self.tile else "", "ensemble" if self.ensemble else ""]
        if self.tile and self.tile_overlap is not None:
            parts[0] += f"-{self.tile_overlap}"
        parts += ["fused" if self.fused else "", self.precision if self.precision != "fp32" else ""]
        parts.append("channels_last" if self.channels_last else "")
        return "+".join(part for part in parts if part)


@dataclass(frozen=True)
class Target:
    """One thing to be measured.

    Attributes:
        checkpoint: the name that its results have.
        scales: scales that it can be measured at.
        channels: ``y``, ``rgb`` or ``any``.
        identity: what tells its weights from others: a sha256, or the name and version of an interpolator.
        make: ``make(scale)`` → Upscaler; raises UnavailableError where there is none.
        facts: fields of its Result.
        settings: how it is applied.
    """

    checkpoint: str
    scales: tuple[int, ...]
    channels: Literal["y", "rgb", "any"]
    identity: str
    make: Callable[[int], Upscaler]
    facts: dict[str, Any]
    settings: Settings

    @property
    def variant(self) -> str:
        return self.settings.variant

    @property
    def precision(self) -> str:
        return self.settings.precision

    @property
    def device(self) -> torch.device:
        return self.settings.device

    @property
    def tile(self) -> int:
        return self.settings.tile

    def reason_against(self, protocol: Protocol) -> str:
        """Why it cannot be measured under a protocol; empty where it can."""
        if protocol.y_only and self.channels == "rgb":
            return f"{protocol.id} gives networks luma alone; {self.checkpoint} works on RGB"
        return ""

    def upscaler(self, scale: int) -> Upscaler:
        """Ready to run at a scale; raises UnavailableError (``no_weights``, ``unsupported_scale``)."""
        if scale not in self.scales:
            scales = ", ".join(f"x{s}" for s in self.scales)
            raise UnavailableError("unsupported_scale", f"{self.checkpoint} has {scales}, not x{scale}")
        made = self.make(scale)
        s = self.settings
        if s.fused or s.channels_last:
            made = vary(made, Variant(fused=s.fused, channels_last=s.channels_last))
        return made.with_(tile=s.tile, tile_overlap=s.tile_overlap, ensemble=s.ensemble, precision=s.precision)


def named(name: str, settings: Settings, root: Path | None = None) -> list[Target]:
    """Targets called ``name``: a checkpoint, an interpolator, or a model, which stands for all its checkpoints.

    A model without checkpoints is a target whose results say ``no_weights``.
    """
    if "." in name:
        return [of_card(find_checkpoint(name, root), settings)]
    if name not in MODELS:
        known = [*MODELS.names(), *(card.name for card in list_checkpoints(root=root))]
        raise UnknownNameError("model or checkpoint", name, known)
    model = get_model(name)
    if model.interpolator:
        return [of_interpolator(name, settings)]
    cards = list_checkpoints(f"{name}_x*", root)
    return [of_card(card, settings) for card in cards] or [without_weights(name, settings)]


def everything(settings: Settings, root: Path | None = None) -> list[Target]:
    """Every interpolator, every checkpoint, and every network that has none."""
    found = [of_interpolator(model.name, settings) for model in MODELS if model.interpolator]
    cards = list_checkpoints(root=root)
    found += [of_card(card, settings) for card in cards]
    have = {(card.model, scale) for card in cards for scale in card.scales}
    for model in MODELS:
        lacking = tuple(scale for scale in model.scales if (model.name, scale) not in have)
        if lacking and not model.interpolator:
            found.append(without_weights(model.name, settings, lacking))
    return found


def of_card(card: Card, settings: Settings) -> Target:
    """A checkpoint of the zoo."""
    facts = {
        "checkpoint": card.name,
        "model": card.model,
        "parameters": card.parameters,
        "channels": card.channels,
        "options": card.options,
        "recipe": card.recipe,
        "trained_on": "+".join(card.data),
        "weights_sha256": card.sha256,
    }

    @lru_cache(maxsize=4)
    def make(scale: int) -> Upscaler:
        return for_card(card, scale, device=settings.device)

    identity = f"{card.sha256} {card.model} {card.scales} {card.channels} {sorted(card.options.items())}"
    return Target(card.name, tuple(card.scales), card.channels, identity, make, facts, settings)


def of_interpolator(name: str, settings: Settings) -> Target:
    """An interpolator of the registry."""
    model = get_model(name)
    facts = {"checkpoint": name, "model": name, "parameters": 0, "channels": "any"}

    def make(scale: int) -> Upscaler:
        return for_model(model, create_model(name, scale), scale, device=settings.device)

    return Target(name, model.scales, "any", f"{name} of srbench 1", make, facts, settings)


def without_weights(name: str, settings: Settings, scales: tuple[int, ...] | None = None) -> Target:
    """A network of the registry that the zoo has no checkpoint of, at all or at some scales."""
    model = get_model(name)
    reason = f"the zoo has no checkpoint of {name}; `srbench train {name}` makes one"

    def make(_: int) -> Upscaler:
        raise UnavailableError("no_weights", reason)

    facts = {"checkpoint": name, "model": name, "channels": model.channels}
    return Target(name, scales or model.scales, model.channels, "", make, facts, settings)


def of_weights(
    name: str, path: Path, scale: int, settings: Settings, channels: str | None = None, **options: Any
) -> Target:
    """Weights from elsewhere for an architecture of the registry; InputError where they do not fit."""
    model = get_model(name)
    if model.interpolator:
        raise InputError(f"{name} has no weights: leave out --checkpoint")
    given = {**options, **({"channels": channels} if channels else {})}
    module = create_model(name, scale, **given)
    load_weights(module, path)
    target = of_module(module, scale, settings, channels or model.channels, f"{name}_x{scale}.{_word(path.stem)}")
    upscaler = for_model(model, module, scale, channels or model.channels, device=settings.device)
    facts = {**target.facts, "model": name, "options": options, "recipe": path.name}
    return Target(target.checkpoint, (scale,), target.channels, target.identity, lambda _: upscaler, facts, settings)


def of_module(
    module: nn.Module, scale: int, settings: Settings, channels: str = "rgb", name: str | None = None
) -> Target:
    """A network of the user's own: ``(N, C, h, w)`` in [0, 1] → ``(N, C, scale·h, scale·w)``."""
    if channels not in ("y", "rgb"):
        raise InputError(f"channels must be 'y' or 'rgb', not {channels!r}")
    label = name or type(module).__name__
    module = module.eval().to(settings.device)
    digest = hashlib.sha256(repr(module).encode() + _source(module).encode())
    for key, value in module.state_dict().items():
        digest.update(key.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    upscaler = Upscaler(module, scale, channels, device=settings.device)  # type: ignore[arg-type]
    facts = {
        "checkpoint": label,
        "model": type(module).__name__,
        "parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
        "channels": channels,
        "weights_sha256": digest.hexdigest(),
    }
    kept: Any = channels
    return Target(label, (scale,), kept, digest.hexdigest(), lambda _: upscaler, facts, settings)


def of_class(spec: str, scale: int, settings: Settings, channels: str, weights: Path | None) -> Target:
    """A class or function ``package.module:Name`` of the user's own, called with ``scale=`` if it takes one."""
    import inspect

    module_name, _, attribute = spec.partition(":")
    if not module_name or module_name.startswith(".") or not attribute:
        raise InputError(f"{spec}: expected package.module:Name")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: the user's module may lie in the current folder
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise InputError(f"{spec}: cannot import {module_name!r}: {error}") from None
    except AttributeError:
        raise InputError(f"{spec}: {module_name} has no {attribute!r}") from None
    except Exception as error:
        raise InputError(f"{spec}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    try:
        takes_scale = "scale" in inspect.signature(factory).parameters
        network = factory(scale=scale) if takes_scale else factory()
    except SrbenchError:
        raise
    except Exception as error:
        raise InputError(f"{spec}: making the network failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{spec}: made a {type(network).__name__}, not a torch.nn.Module")
    if weights is not None:
        load_weights(network, weights)
    return of_module(network, scale, settings, channels, _word(spec.replace(":", ".")))


def _source(module: nn.Module) -> str:
    """Source of the classes that a module is made of; where there is none, a word that is never the same again."""
    import inspect
    import secrets

    found = []
    for kind in sorted({type(part) for part in module.modules()}, key=lambda kind: kind.__qualname__):
        if kind.__module__.startswith("torch."):
            continue
        try:
            found.append(inspect.getsource(kind))
        except (OSError, TypeError):  # typed at a prompt, or compiled: its code cannot be compared
            found.append(secrets.token_hex())
    return "".join(found)


def _word(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text)


def settings_of(device: str = "auto", **more: Any) -> Settings:
    """Settings with a device by name; InputError for an unknown precision."""
    if (precision := more.get("precision", "fp32")) not in ("fp32", "bf16", "fp16"):
        raise InputError(f"unknown precision {precision!r}; known: fp32, bf16, fp16")
    return Settings(device=pick_device(device), **more)
