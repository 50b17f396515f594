"""How LR is made from HR: one degradation, one file, each seeded and versioned, used by evaluation and training alike.

A degradation is ``apply(hr, how) → lr``. What is random hangs on the protocol's seed and the image's name alone, and every step
ends in 8 bits: the same bytes on every machine and with any number of threads. The version is raised by any change that moves
a sample, and with it the id of every protocol that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.registry import Registry
from srbench.resize import Edges

U8 = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class How:
    """What a degradation is told besides the image.

    Attributes:
        scale: the upscaling factor that is to be undone.
        edges: of a bicubic reduction.
        rounded: ``each_axis`` rounds a bicubic reduction to 8 bits after each axis as MATLAB does on 8-bit images, ``once``
            after both, ``no`` not at all.
        seed: the protocol's.
        image: the image's name; another image has other noise.
        parameters: the degradation's own, complete.
    """

    scale: int
    edges: Edges = "mirror"
    rounded: str = "each_axis"
    seed: int = 0
    image: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Degradation:
    """What a caller must know of a degradation.

    Attributes:
        name: a word, as it is written in a protocol.
        apply: ``apply(hr, how)``: HR uint8 ``(H, W, 3)`` or ``(H, W)``, sides multiples of the scale → LR of the same kind.
        version: raised by a change that moves a sample.
        summary: one line.
        source: paper or program that it comes from.
        parameters: name → default.
        bounds: name → least and greatest value allowed.
        scales: the upscaling factors that it is defined for; None for all.
        random: whether it draws from the seed.
        files: LR comes as files; there is nothing to compute.
        exact: whether it can leave LR unrounded.
    """

    name: str
    apply: Callable[[U8, How], Array]
    version: int
    summary: str
    source: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scales: tuple[int, ...] | None = None
    random: bool = False
    files: bool = False
    exact: bool = False


DEGRADATIONS: Registry[Degradation] = Registry("degradation", "srbench.degradations", "srbench.degradations")


@dataclass(frozen=True)
class Chosen:
    """A degradation with its parameters, as ``jpeg:quality=40`` says it.

    Attributes:
        degradation: the registered one.
        parameters: complete.
    """

    degradation: Degradation
    parameters: Mapping[str, float]

    @property
    def text(self) -> str:
        """The shortest text that means the same: parameters that differ from their defaults, sorted; a version above 1."""
        made = self.degradation
        changed = [
            f"{key}={value:g}" for key, value in sorted(self.parameters.items()) if value != made.parameters[key]
        ]
        name = made.name if made.version == 1 else f"{made.name}@{made.version}"
        return ":".join([name, ",".join(changed)]) if changed else name

    def not_at(self, scale: int) -> str:
        """Why it makes no LR at a scale; empty where it does."""
        made = self.degradation
        if made.scales is None or scale in made.scales:
            return ""
        known = ", ".join(f"x{one}" for one in made.scales)
        return f"degradation {made.name} is defined at {known}, not at x{scale}"

    def __call__(self, hr: U8, how: How) -> Array:
        """LR of an HR image; ``how`` without parameters.

        Args:
            hr: uint8 ``(H, W, 3)`` or ``(H, W)``.
            how: scale, edges, rounding, seed and image.

        Raises:
            UnavailableError: ``unsupported_scale``, or ``unavailable`` where LR comes as files.
        """
        if reason := self.not_at(how.scale):
            raise UnavailableError("unsupported_scale", reason)
        return self.degradation.apply(hr, How(how.scale, how.edges, how.rounded, how.seed, how.image, self.parameters))


def get_degradation(text: str) -> Chosen:
    """A degradation by its name, with parameters after a colon.

    Args:
        text: such as ``bicubic``, ``jpeg:quality=40`` or ``dn:sigma=50``; ``dn@2`` asks for a version.

    Raises:
        UnknownNameError: no such degradation or parameter; the message has the nearest name.
        InputError: a value that is no number or out of bounds.

    >>> get_degradation("jpeg:quality=30").text
    'jpeg:quality=30'
    """
    name, _, listed = text.partition(":")
    name, _, version = (part.strip() for part in name.partition("@"))
    found = DEGRADATIONS.get(name)
    if version and version != str(found.version):
        raise InputError(f"degradation {text!r}: {name} is at version {found.version}, not {version}")
    given: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in listed.split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in found.parameters:
            raise UnknownNameError("parameter", key, found.parameters, f"degradation {found.name}")
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            raise InputError(f"degradation {text!r}: {key} = {value!r}; expected a number")
        least, most = found.bounds.get(key, (-np.inf, np.inf))
        if not least <= float(value) <= most:
            raise InputError(f"degradation {text!r}: {key} = {value}; expected {least:g} to {most:g}")
        given[key] = float(value)
    return Chosen(found, {**found.parameters, **given})


def list_degradations(pattern: str = "*") -> list[str]:
    """Names of the registered degradations that match a shell pattern."""
    return DEGRADATIONS.names(pattern)
