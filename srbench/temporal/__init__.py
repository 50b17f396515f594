"""How far frames of a clip change as HR's do: measures of two neighbouring frames, one file each.

A network that treats each frame alone may be right on every one and still flicker. A measure sees the luma of two frames of SR
and of the same two of HR, 0–255, with the protocol's border cropped.

``tof``
    follows the motion (Chu et al.): the length of the difference of two optical flows, in pixels. The authors' flow is
    Farnebäck's of OpenCV, which is no dependency here; ours is TV-L1 of scikit-image, which is. Figures hold within srbench and
    are not to be put beside papers'.
``diff-psnr``
    needs no flow and has nothing to choose: PSNR of the change from one frame to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.registry import Registry

Luma = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """Two neighbouring frames.

    Attributes:
        sr: luma of the former and the latter SR frame, float64 ``(H, W)``, 0–255.
        hr: likewise of HR.
    """

    sr: tuple[Luma, Luma]
    hr: tuple[Luma, Luma]

    def __post_init__(self) -> None:
        shapes = {frame.shape for frame in (*self.sr, *self.hr)}
        if len(shapes) > 1 or len(self.sr[0].shape) != 2:
            raise InputError(f"neighbouring frames must be of one size, not {' and '.join(map(str, sorted(shapes)))}")


@dataclass(frozen=True)
class TemporalMetric:
    """What a caller needs to know about a measure.

    Attributes:
        name: in lower case.
        score: ``score(step)`` → a number; may be infinite.
        unit: such as ``"px"``.
        higher_is_better: its direction.
        digits: decimals that a table shows.
        version: raised by a change that moves a number.
        summary: one line.
        source: paper, and the flow that is used.
    """

    name: str
    score: Callable[[Step], float]
    unit: str
    higher_is_better: bool
    digits: int
    version: int
    summary: str
    source: str


TEMPORAL: Registry[TemporalMetric] = Registry("temporal measure", "srbench.temporal", "srbench.temporal")


def get_temporal(name: str) -> TemporalMetric:
    """The measure called ``name``; raises UnknownNameError with the nearest name."""
    return TEMPORAL.get(name)


def luma_of(image: npt.NDArray[Any]) -> Luma:
    """BT.601 luma of an image ``(C, H, W)`` of 0–255 with three channels or one → float64 ``(H, W)``; one is luma already."""
    wide = image.astype(np.float64)
    if len(wide) == 1:
        return wide[0]
    made: Luma = 16.0 + (65.481 * wide[0] + 128.553 * wide[1] + 24.966 * wide[2]) / 255.0
    return made
