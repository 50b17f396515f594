"""State dicts of other projects in the names and units of ours: one file a family of networks.

A layout is a function of a state dict. It gives the same weights under our model's keys, or None where the keys are not its
own. Whoever asks builds the network and compares every key and shape, so that a layout may be generous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How one project names the weights of one family of networks.

    Attributes:
        name: for people, such as ``"EDSR's authors"``.
        translate: state dict → the same under our keys, or None.
        notes: what a reader of numbers should know of weights in this layout.
    """

    name: str
    translate: Callable[[State], dict[str, Tensor] | None]
    notes: tuple[str, ...] = ()


def layouts() -> tuple[Layout, ...]:
    """Every layout, our own first."""
    from srbench.weights.layouts import carn, edsr, imdn, matlab, msrresnet, pan, rfdn, rlfn, rrdb

    ours = Layout("", dict)
    families = (rrdb, edsr, msrresnet, imdn, rfdn, rlfn, pan, carn, matlab)
    return (ours, *(layout for family in families for layout in family.LAYOUTS))
