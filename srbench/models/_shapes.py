"""What the shapes in a state dict say of the network that it belongs to: each model's file reads its own with this."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Found:
    """A network that a state dict may belong to; whoever asked builds it and compares every key.

    Attributes:
        scales: upscaling factors that the weights can serve; several if shapes do not tell, or if one network serves several.
        channels: ``y`` or ``rgb``.
        options: for the model's ``build``.
        notes: what had to be assumed because shapes do not tell.
        only: options that hold at one scale only, such as for a network that has two forms there.
    """

    scales: tuple[int, ...]
    channels: Literal["y", "rgb"]
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    only: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def options_at(self, scale: int) -> dict[str, Any]:
        """The options of a network at one of the scales."""
        return {**self.options, **self.only.get(scale, {})}


class Shapes(dict[str, tuple[int, ...]]):
    """Key → shape of a state dict."""

    def side(self, key: str, axis: int = 0) -> int:
        """Length of an axis of a tensor, 0 where there is no such key or axis."""
        shape = self.get(key, ())
        return shape[axis] if len(shape) > axis else 0

    def count(self, stem: str) -> int:
        """How many numbered parts stand under ``stem``: 16 where keys reach from ``stem.0`` to ``stem.15``."""
        pattern = re.compile(rf"{re.escape(stem)}\.(\d+)(?:\.|$)")
        numbers = {int(found[1]) for key in self if (found := pattern.match(key))}
        return max(numbers) + 1 if numbers else 0

    def channels(self, key: str, axis: int = 1) -> Literal["y", "rgb"] | None:
        """The colours that a convolution takes in; None where they are neither one nor three."""
        return {1: "y", 3: "rgb"}.get(self.side(key, axis))  # type: ignore[return-value]


def shuffle_scale(channels: int, planes: int) -> int:
    """The upscaling factor of a pixel shuffle of ``channels`` to ``planes``; 0 where there is none.

    >>> shuffle_scale(48, 3)
    4
    """
    if planes < 1 or channels < planes or channels % planes:
        return 0
    scale = math.isqrt(channels // planes)
    return scale if scale * scale * planes == channels else 0
