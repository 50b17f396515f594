"""LR files against the LR that a protocol makes: are they of another kernel, and of which?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.datasets.pairs import degrade
from srbench.degradations import How, get_degradation
from srbench.evaluation.alarms import MARGIN, decibels, inside
from srbench.images import imresize
from srbench.protocol import Protocol

U8 = npt.NDArray[np.uint8]
Reduction = Callable[[U8, str], npt.NDArray[Any]]  # of an HR image and its name


@dataclass
class LrCheck:
    """LR files against the LR that the protocol would make, in the middle of each image.

    Attributes:
        degrade: makes LR of an HR window.
        scale: the upscaling factor.
        others: name → another reduction that the files may be of.
        whole: look at whole images, as a degradation that draws noise or compresses needs.
    """

    degrade: Reduction
    scale: int
    whole: bool = False
    others: Mapping[str, Reduction] = field(default_factory=dict)
    _windows: list[tuple[U8, U8, str]] = field(default_factory=list)

    def look(self, hr: U8, lr: U8, image: str = "") -> None:
        """Look at one pair, uint8; LR of the size that HR needs."""
        if self.whole:
            self._windows.append((hr, lr, image))
            return
        (top, height), (left, width) = (inside(side, self.scale) for side in hr.shape[:2])
        s = self.scale
        part = lr[top // s : (top + height) // s, left // s : (left + width) // s]
        self._windows.append((np.ascontiguousarray(hr[top : top + height, left : left + width]), part, image))

    def notes(self) -> list[str]:
        """What is different, and which other reduction the files are of."""
        worst, error, count = self._differences(self.degrade)
        if not count or worst == 0:
            return []
        if worst <= 1:
            return [
                f"the LR files differ from the protocol's LR by at most 1 of 255, in {count:.0%} of the samples: "
                f"rounded otherwise{self._named(worst)}"
            ]
        return [
            f"the LR files are not the protocol's LR: up to {worst} of 255 off, {decibels(error):.1f} dB between them"
            f"{self._named(worst) or '; another reduction'}"
        ]

    def _named(self, worst: int) -> str:
        """The reduction among ``others`` that the files are of, sample by sample or nearly so."""
        found = {name: self._differences(degrade)[0] for name, degrade in self.others.items()}
        best = min(found, key=lambda name: found[name], default=None)
        return f"; they are as by {best}" if best is not None and found[best] <= min(1, worst - 1) else ""

    def _differences(self, degrade: Reduction) -> tuple[int, float, float]:
        """Greatest difference, mean squared error, share of differing samples, without the windows' edges."""
        worst, squares, differing, total = 0, 0.0, 0, 0
        for hr, lr, image in self._windows:
            inner = slice(MARGIN, -MARGIN) if min(lr.shape[:2]) > 2 * MARGIN else slice(None)
            ours = np.round(degrade(hr, image))[inner, inner].astype(np.int64)
            off = np.abs(ours - lr[inner, inner])
            worst = max(worst, int(off.max()))
            squares += float(np.square(off).sum())
            differing += int(np.count_nonzero(off))
            total += off.size
        return worst, squares / max(total, 1), differing / max(total, 1)


def lr_check(protocol: Protocol, scale: int) -> LrCheck:
    """A check of LR files against a protocol's degradation."""
    chosen = get_degradation(protocol.degradation).degradation
    return LrCheck(
        lambda hr, image: degrade(hr, scale, protocol, image),
        scale,
        whole=chosen.name != "bicubic",
        others=_others(scale),
    )


def _others(scale: int) -> dict[str, Reduction]:
    """Reductions that LR files are often of, by what people call them."""

    def by(text: str, rounded: str = "each_axis") -> Reduction:
        return lambda hr, _: get_degradation(text)(hr, How(scale, rounded=rounded))

    return {
        "MATLAB's bicubic": by("bicubic"),
        "MATLAB's bicubic rounded once (BasicSR)": by("bicubic", "once"),
        "Pillow's bicubic": by("pillow-bicubic"),
        "OpenCV's bicubic": by("opencv-bicubic"),
        "blur and decimation (bd)": by("bd"),
        "bilinear": lambda hr, _: imresize(hr, 1 / scale, method="bilinear"),
        "area": lambda hr, _: imresize(hr, 1 / scale, method="area"),
        "nearest": lambda hr, _: imresize(hr, 1 / scale, method="nearest"),
    }
