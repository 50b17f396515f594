"""Pairs that come as files: LR and HR photographed, as in RealSR and DRealSR. There is nothing to compute."""

from __future__ import annotations

from srbench.degradations import DEGRADATIONS, U8, Array, Degradation, How
from srbench.errors import UnavailableError


def _refuse(hr: U8, how: How) -> Array:  # noqa: ARG001
    raise UnavailableError("unavailable", "degradation real has LR files alone: none belong to this image")


DEGRADATIONS.register(
    Degradation(
        name="real",
        apply=_refuse,
        version=1,
        summary="LR files that lie beside their HR files, such as RealSR's; see docs/layouts.md",
        source="Cai et al., ICCV 2019, arXiv:1904.00523",
        files=True,
    )
)
