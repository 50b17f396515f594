"""Metrics of the package ``pyiqa``, through an adapter: learned quality without reference, TOPIQ, and Ma's score for PI.

pyiqa's licence is non-commercial, it is an extra, and nothing of it is imported unless one of these is asked for. The numbers are
pyiqa's, of RGB in [0, 1], the whole image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from srbench.constants import constant
from srbench.errors import UnavailableError
from srbench.interop.pyiqa import LICENCE, check_installed, create
from srbench.metrics import METRICS, Metric, keep_hr, no_reference
from srbench.metrics._images import PEAK, check, check_finite, check_image, check_size, numbers


@dataclass(frozen=True)
class _Entry:
    """One metric of pyiqa.

    Attributes:
        name: ours.
        theirs: pyiqa's.
        summary: as in Metric.
        source: as in Metric.
        minimum: as in Metric.
        digits: as in Metric.
        higher_is_better: as in Metric.
        reference: whether it compares with HR.
    """

    name: str
    theirs: str
    summary: str
    source: str
    minimum: int = 32
    digits: int = 4
    higher_is_better: bool = True
    reference: bool = False


_ENTRIES = (
    _Entry("clipiqa", "clipiqa", "CLIP-IQA: how near an image is to “good photo” in CLIP", "arXiv:2207.12396"),
    _Entry("maniqa", "maniqa", "MANIQA: attention over a vision transformer's features", "arXiv:2204.08958", 224),
    _Entry("musiq", "musiq", "MUSIQ: transformer over several scales, 0–100", "arXiv:2108.05997", digits=2),
    _Entry(
        "topiq",
        "topiq_fr",
        "TOPIQ with reference: from semantics down to distortions",
        "arXiv:2308.03060",
        reference=True,
    ),
    _Entry("topiq-nr", "topiq_nr", "TOPIQ: from semantics down to distortions", "arXiv:2308.03060"),
    _Entry("ma", "nrqm", "Ma's quality of super-resolved images, 0–10, a part of PI", "arXiv:1612.05890", 64, 3),
)


@constant
def _network(entry: _Entry, device: torch.device) -> Callable[..., Tensor]:
    return create(entry.name, entry.theirs, device)


@torch.no_grad()
def _score(entry: _Entry, sr: Tensor, hr: Tensor | None) -> Tensor:
    """float64 ``(N,)``; InputError where the images are too small or do not fit, UnavailableError without pyiqa."""
    if hr is None:
        check_image(entry.name, "SR", sr)
        check_size(entry.name, sr.shape, (1, 3), entry.minimum)
    else:
        check(entry.name, sr, hr, channels=(1, 3), minimum=entry.minimum)
    seen = [image for image in (sr, hr) if image is not None]
    check_finite(entry.name, *seen)
    network = _network(entry, sr.device)
    scores = torch.zeros(sr.shape[0], dtype=torch.float64, device=sr.device)
    for index in range(sr.shape[0]):
        images = [(p[index : index + 1].to(torch.float32).expand(-1, 3, -1, -1) / PEAK).clamp(0.0, 1.0) for p in seen]
        try:
            scores[index] = torch.as_tensor(network(*images)).double().sum()
        except (RuntimeError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UnavailableError("failed", f"{entry.name}: pyiqa cannot score the image: {reason}") from None
    return numbers(entry.name, scores)


for _entry in _ENTRIES:
    METRICS.register(
        Metric(
            name=_entry.name,
            prepare=keep_hr if _entry.reference else no_reference,
            score=partial(_score, _entry),
            space="rgb",
            crop="full",
            unit="",
            higher_is_better=_entry.higher_is_better,
            digits=_entry.digits,
            version=1,
            summary=f"{_entry.summary}; of RGB, whole images; "
            f"{'' if _entry.reference else 'no reference; '}pyiqa, non-commercial licence",
            source=_entry.source,
            needs=frozenset({"hr"}) if _entry.reference else frozenset(),
            tolerance=1e-3,
            minimum=_entry.minimum,
            licence=LICENCE,
            ready=partial(check_installed, _entry.name),
        )
    )
