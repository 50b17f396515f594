"""Metrics of a super-resolved image: one metric, one file.

A metric works in two steps. ``prepare(truth) → reference`` does what concerns HR (or LR) alone, and ``score(sr, reference) →
Tensor[N]`` compares SR images with that. An evaluation prepares each image once and shares the reference among all that it
measures on the image (:mod:`srbench.references`), so whatever does not depend on SR belongs into ``prepare``. A score is the
same, bit for bit, whether its reference was kept or made anew. ``metric(pair)`` does both steps for one pair.

A metric declares space, unit, direction, digits and version. The version is raised whenever a change moves a number, and
with it the hash of every stored result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from srbench.registry import Registry

if TYPE_CHECKING:
    from srbench.metrics._images import Sums


@dataclass(frozen=True)
class Truth:
    """What SR images are compared with, on the 0–255 scale.

    Attributes:
        hr: ``(N, C, H, W)``; uint8, or float where the protocol measures unrounded luma.
        lr: ``(N, 3 or 1, H/scale, W/scale)`` that SR is made from, uint8 or float, or None where there is none.
        scale: the upscaling factor.
    """

    hr: Tensor
    lr: Tensor | None
    scale: int


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

    @property
    def truth(self) -> Truth:
        """The part that does not depend on SR."""
        return Truth(self.hr, self.lr, self.scale)


def keep_hr(truth: Truth) -> Tensor:
    """``prepare`` of a metric that works on HR as it is."""
    return truth.hr


def no_reference(truth: Truth) -> None:
    """``prepare`` of a metric that looks at SR alone."""


def _keep_all(truth: Truth) -> Truth:
    return truth


@dataclass(frozen=True)
class _OfPairs:
    """The adapter: ``score(pair)`` in the form ``score(sr, reference)``."""

    of_pair: Callable[[Pair], Tensor]

    def __call__(self, sr: Tensor, truth: Truth) -> Tensor:
        return self.of_pair(Pair(sr, truth.hr, truth.lr, truth.scale))


@dataclass(frozen=True)
class Part:
    """``score`` of a metric that is one of several numbers of a single computation, as shares that add up to 1 are.

    An evaluation runs ``whole`` once an SR image for all metrics that have it and the same ``prepare`` and view of the image.

    Attributes:
        whole: ``whole(sr, reference)``, the computation.
        take: this metric's float64 ``(N,)`` of what that returned.
    """

    whole: Callable[[Tensor, Any], Any]
    take: Callable[[Any], Tensor]

    def __call__(self, sr: Tensor, reference: Any) -> Tensor:
        """For this metric alone."""
        return self.take(self.whole(sr, reference))


@dataclass(frozen=True)
class Metric:
    """What a caller needs to know about a metric.

    Attributes:
        name: its usual name, in lower case.
        score: ``score(sr, reference)`` → float64 ``(N,)``, where ``sr`` is as in Pair and ``reference`` what ``prepare``
            returned; it changes neither of them. It and ``prepare`` may raise UnavailableError (no backbone weights) or
            InputError (image too small), with the reason. Without ``prepare`` it is ``score(pair)``. A :class:`Part` where
            several metrics come of one computation.
        space: ``"channel"`` sees what the protocol measures (Y or RGB); ``"rgb"`` sees 8-bit RGB images.
        crop: ``"shave"`` sees images with the protocol's border cropped, ``"full"`` whole ones.
        unit: such as ``"dB"``, or ``""``.
        higher_is_better: its direction.
        digits: decimals that a report shows.
        version: raised by a change that moves a number.
        summary: one line for ``srbench ls metrics``.
        source: paper or DOI.
        needs: what it uses besides SR: ``"hr"``, ``"lr"``, both, or nothing (a metric without reference).
        least: the smallest value that it can have, None where there is none; an interval in a report ends there.
        greatest: the greatest, likewise.
        tolerance: how far the same weights and images may be off on another machine or version of torch, where sums come
            in another order and a few samples round the other way; in its unit.
        prepare: ``prepare(truth)`` → the reference: any object, whose tensors are counted as its memory. Metrics with the
            same function and view of the image share one reference. Left out, ``score`` takes a Pair and nothing is shared.
        minimum: the smallest height and width that it takes.
        licence: of the weights or the package that it stands on, "" where it has none.
        ready: raises UnavailableError where the weights or the package that it needs are not on this machine, with the way to get
            them; it loads nothing. None where it needs none.
        memory: bytes for each pixel of an image that both steps hold at once, where that is much: a large image is not begun
            that would not fit into what is free.
        by_rows: the same as sums over strips of rows, of which several metrics see each row of a large image when it is made,
            once. None where it needs whole images.
    """

    name: str
    score: Callable[..., Tensor]
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
    prepare: Callable[[Truth], Any] = _keep_all
    minimum: int = 1
    licence: str = ""
    ready: Callable[[], object] | None = None
    memory: int = 0
    by_rows: Sums | None = None

    def __post_init__(self) -> None:
        if self.prepare is _keep_all and not isinstance(self.score, _OfPairs):
            object.__setattr__(self, "score", _OfPairs(self.score))

    @torch.no_grad()
    def __call__(self, pair: Pair) -> Tensor:
        """Both steps: float64 ``(N,)``; raises as ``prepare`` and ``score`` do."""
        return self.score(pair.sr, self.prepare(pair.truth))


METRICS: Registry[Metric] = Registry("metric", "srbench.metrics", "srbench.metrics")


def get_metric(name: str) -> Metric:
    """The metric called ``name``; raises UnknownNameError with the nearest name."""
    return METRICS.get(name)


def list_metrics(pattern: str = "*") -> list[str]:
    """Names of the registered metrics that match a shell pattern."""
    return METRICS.names(pattern)
