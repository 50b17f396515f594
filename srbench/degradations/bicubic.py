"""MATLAB's bicubic ``imresize``: the degradation of nearly every table (BI)."""

from __future__ import annotations

import numpy as np

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.degradations._numbers import round_u8
from srbench.resize import imresize


def reduce(hr: U8, how: How) -> Array:
    """LR by ``imresize``, rounded as ``how.rounded`` says; float64 on the 0–255 scale where it is not rounded."""
    if how.rounded == "each_axis":
        lr: Array = imresize(hr, 1 / how.scale, edges=how.edges)
        return lr
    exact: Array = imresize(hr.astype(np.float64), 1 / how.scale, edges=how.edges)
    return exact if how.rounded == "no" else round_u8(exact)


DEGRADATIONS.register(
    Degradation(
        name="bicubic",
        apply=reduce,
        version=1,
        summary="MATLAB's antialiased bicubic reduction (BI)",
        source="MATLAB imresize; Keys, IEEE TASSP 29(6), 1981",
        exact=True,
    )
)
