"""tOF: how far the motion in SR is from that in HR (Chu et al., ACM Transactions on Graphics 2020, arXiv:1811.09393).

The flow is TV-L1 (Zach, Pock, Bischof, DAGM 2007) of scikit-image with its default parameters, on luma divided by 255.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.errors import InputError
from srbench.temporal import TEMPORAL, Luma, Step, TemporalMetric

Flow = npt.NDArray[Any]

_KEPT_BYTES = 256 * 2**20  # of HR's flow, which is the same for every network
_LEAST = 16  # pixels a side


def tv_l1(before: Luma, after: Luma) -> Flow:
    """Motion from one frame to the next, in pixels: ``(2, H, W)``, down and across."""
    from skimage.registration import optical_flow_tvl1

    made: Flow = optical_flow_tvl1(before / 255.0, after / 255.0, dtype=np.float32)
    return made


class Tof:
    """The measure, and the flow of HR that it keeps.

    Args:
        flow: gives ``(2, H, W)`` of two frames of luma.
    """

    def __init__(self, flow: Callable[[Luma, Luma], Flow] = tv_l1) -> None:
        self._flow = flow
        self._kept: OrderedDict[bytes, Flow] = OrderedDict()

    def __call__(self, step: Step) -> float:
        """Mean length of the difference of the flows, in pixels; 0 where SR moves as HR.

        Args:
            step: two neighbouring frames of SR and HR.

        Raises:
            InputError: frames of less than 16 pixels a side.
        """
        height, width = step.hr[0].shape
        if min(height, width) < _LEAST:
            raise InputError(f"tof needs frames of at least {_LEAST}×{_LEAST} pixels, not {width}×{height}")
        apart = self._flow(*step.sr).astype(np.float64) - self._of_hr(step)
        return float(np.sqrt((apart**2).sum(axis=0)).mean())

    def _of_hr(self, step: Step) -> Flow:
        key = hashlib.sha256(step.hr[0].tobytes() + step.hr[1].tobytes()).digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = self._flow(*step.hr)
        self._kept[key] = made
        while len(self._kept) > 1 and sum(flow.nbytes for flow in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return made


TEMPORAL.register(
    TemporalMetric(
        name="tof",
        score=Tof(),
        unit="px",
        higher_is_better=False,
        digits=3,
        version=1,
        summary="how far SR's optical flow is from HR's",
        source="arXiv:1811.09393, with TV-L1 flow of scikit-image",
    )
)
