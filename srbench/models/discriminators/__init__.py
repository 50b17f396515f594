"""Discriminators by name: one paper, one file. A recipe's ``[adversarial]`` table chooses one.

A discriminator maps HR or SR crops ``(N, C, H, W)``, float in [0, 1], to logits that are high for HR: ``(N, 1)``, one an image,
or a map ``(N, 1, h, w)``, one a region or pixel. The loss applies the sigmoid and takes the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from srbench.errors import InputError, SrbenchError, nearest
from srbench.models import Paper
from srbench.registry import Registry

Norm = Literal["batch", "none", "virtual", "spectral"]


@dataclass(frozen=True)
class DiscriminatorModel:
    """What a run needs to know about a discriminator.

    Attributes:
        name: as in a recipe.
        build: ``build(side, norm, channels)`` → a freshly initialised network for crops of ``side`` × ``side`` HR pixels.
        paper: its source.
        norms: what it can be built with, the paper's first.
        side: the crop that ``parameters`` is counted for.
        parameters: exact number of trainable parameters with the first norm, on RGB crops of ``side``.
        minimum: the smallest crop, in HR pixels.
        multiple_of: a crop's side must be a multiple of this.
        one_size: it takes crops of the size that it was built for, and no other.
    """

    name: str
    build: Callable[[int, Norm, str], nn.Module]
    paper: Paper
    norms: tuple[Norm, ...]
    side: int
    parameters: int
    minimum: int
    multiple_of: int = 1
    one_size: bool = False

    def check(self, sides: list[int], norm: str) -> None:
        """Raise InputError where it cannot be built with a norm, or cannot take one of the crops.

        Args:
            sides: of the crops of each stage, in HR pixels.
            norm: of the recipe.
        """
        if norm not in self.norms:
            raise InputError(
                f"adversarial.norm = {norm!r}: the discriminator {self.name!r} takes {_listed(self.norms)}"
            )
        wrong = [side for side in sides if side < self.minimum or side % self.multiple_of]
        if not wrong and not (self.one_size and len(set(sides)) > 1):
            return
        others = ", ".join(repr(one.name) for one in DISCRIMINATORS if not one.one_size and one.name != self.name)
        rule = f"HR crops of {self.minimum} pixels or more" if self.minimum > self.multiple_of else "HR crops"
        rule += f" of a side that is a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
        rule += ", all of one size" if self.one_size else ""
        given = " and ".join(str(side) for side in wrong or sides)
        raise InputError(f"the discriminator {self.name!r} takes {rule}, not {given}; there are also {others}")


def _listed(norms: tuple[Norm, ...]) -> str:
    return " or ".join(repr(norm) for norm in norms)


DISCRIMINATORS: Registry[DiscriminatorModel] = Registry(
    "discriminator", "srbench.models.discriminators", "srbench.discriminators"
)


def check_choice(name: str, norm: str) -> None:
    """Raise SrbenchError, with the nearest name, where there is no such discriminator, or none with such a norm."""
    if name not in DISCRIMINATORS:
        guess = nearest(name, DISCRIMINATORS.names())
        hint = f"; did you mean {guess!r}?" if guess else ""
        raise SrbenchError(f"there is no discriminator {name!r}; there are {', '.join(DISCRIMINATORS.names())}{hint}")
    norms = DISCRIMINATORS.get(name).norms
    if norm not in norms:
        raise SrbenchError(f"the discriminator {name!r} takes norm = {_listed(norms)}, not {norm!r}")
