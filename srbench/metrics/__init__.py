"""Metrics of a super-resolved image: one metric, one file.

A metric is ``score(pair) → Tensor[N]`` with declared space, unit, direction, digits and version. The version is raised
whenever a change moves a number, and with it the hash of every stored result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from srbench.registry import Registry


@dataclass(frozen=True)
class Pair:
    """Images to be compared, on the 0–255 scale.

    Attributes:
        sr: ``(N, C, H, W)``; uint8, or float where the protocol measures unrounded luma.
        hr: like ``sr``.
        lr: ``(N, 3 or 1, H/scale, W/scale)`` that ``sr`` was made from, uint8 or float, or None where there is none.
        scale: the upscaling factor.
    """

    sr: Tensor
    hr: Tensor
    lr: Tensor | None
    scale: int


@dataclass(frozen=True)
class Metric:
    """What a caller needs to know about a metric.

    Attributes:
        name: its usual name, in lower case.
        score: ``score(pair)`` → float64 ``(N,)``; may raise UnavailableError (no backbone weights) or InputError
            (image too small), with the reason.
        space: ``"channel"`` sees what the protocol measures (Y or RGB); ``"rgb"`` sees 8-bit RGB images.
        crop: ``"shave"`` sees images with the protocol's border cropped, ``"full"`` whole ones.
        unit: such as ``"dB"``, or ``""``.
        higher_is_better: its direction.
        digits: decimals that a report shows.
        version: raised by a change that moves a number.
        summary: one line for ``srbench ls metrics``.
        source: paper or DOI.
        needs: what it uses besides SR: ``"hr"``, ``"lr"`` or both.
        least: the smallest value that it can have, None where there is none; an interval in a report ends there.
        greatest: the greatest, likewise.
        tolerance: how far the same weights and images may be off on another machine or version of torch, where sums come
            in another order and a few samples round the other way; in its unit.
    """

    name: str
    score: Callable[[Pair], Tensor]
    space: Literal["channel", "rgb"]
    crop: Literal["shave", "full"]
    unit: str
    higher_is_better: bool
    digits: int
    version: int
    summary: str
    source: str
    needs: frozenset[str] = frozenset({"hr"})
    least: float | None = None
    greatest: float | None = None
    tolerance: float = 1e-3


METRICS: Registry[Metric] = Registry("metric", "srbench.metrics", "srbench.metrics")


def get_metric(name: str) -> Metric:
    """The metric called ``name``; raises UnknownNameError with the nearest name."""
    return METRICS.get(name)


def list_metrics(pattern: str = "*") -> list[str]:
    """Names of the registered metrics that match a shell pattern."""
    return METRICS.names(pattern)
