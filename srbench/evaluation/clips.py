"""Checkpoint × set of clips → ClipResult: each frame as an image, and how neighbouring frames change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from srbench.clip_results import ClipResult, clip_cell_path, read_clip_result
from srbench.datasets.catalog import CATALOG
from srbench.datasets.clips import from_clips, without_ends
from srbench.datasets.image_set import ImageSet
from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import Sample
from srbench.errors import InputError, UnavailableError
from srbench.evaluation.quality import Samples, cell_hash, measure_cell
from srbench.images import planar, shave
from srbench.inference import Inference
from srbench.metrics import get_metric
from srbench.results import MetricScores
from srbench.subjects import Subject
from srbench.temporal import Step, TemporalMetric, get_temporal, luma_of

DEFAULT_METRICS = ("psnr", "ssim")
DEFAULT_TEMPORAL = ("tof", "diff-psnr")


def find_clips(
    spec: str | Path, data_root: Path | str | None = None, trim: int = 0, lr_folder: Path | str | None = None
) -> ImageSet:
    """The frames of a set of clips: ``vid4``, or any folder of folders of frames.

    Args:
        spec: the name or folder.
        data_root: where sets of the catalog are looked for first.
        trim: frames to leave out at either end of each clip.
        lr_folder: of LR frames, in folders called as the clips.

    Raises:
        UnknownNameError: neither a name nor a folder.
        UnavailableError: a set that is not here, or not complete.
        InputError: no clips, or clips too short for ``trim``.
    """
    name = str(spec)
    entry = CATALOG.get(name.lower())
    if entry is not None and not entry.clips and not isinstance(spec, Path):
        known = ", ".join(one.name for one in CATALOG.values() if one.clips)
        raise InputError(f"{name} is a set of images, not of clips; expected {known} or a folder of folders of frames")
    folder = Path(spec).expanduser()
    images = from_clips(folder) if entry is None and folder.exists() else find_dataset(spec, data_root)
    images = without_ends(images, trim) if trim else images
    return replace(images, lr_root=Path(lr_folder)) if lr_folder is not None else images


@dataclass(frozen=True)
class ClipPlan:
    """What is measured, and how.

    Attributes:
        metrics: of each frame.
        temporal: measures of neighbouring frames.
        inference: how subjects are applied.
        trim: that the samples were found with.

    Raises:
        UnknownNameError: no such metric or measure.
    """

    metrics: tuple[str, ...] = DEFAULT_METRICS
    temporal: tuple[str, ...] = DEFAULT_TEMPORAL
    inference: Inference = field(default_factory=Inference)
    trim: int = 0

    def __post_init__(self) -> None:
        for name in self.metrics:
            get_metric(name)
        for name in self.temporal:
            get_temporal(name)

    @property
    def variant(self) -> str:
        """Of its records."""
        return "+".join(part for part in (self.inference.variant, f"trim{self.trim}" if self.trim else "") if part)

    def hash(self, subject: Subject, samples: Samples) -> str:
        """sha256 of everything that changes a number of a cell; empty where the subject's weights cannot be told from others."""
        frames = cell_hash(subject, self.inference, samples, self.metrics)
        facts = [frames, self.trim, {name: get_temporal(name).version for name in sorted(set(self.temporal))}]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest() if frames else ""


def measure_clips(
    subject: Subject, samples: Samples, plan: ClipPlan, on_image: Callable[[str], None] | None = None
) -> ClipResult:
    """Measure one cell.

    Args:
        subject: what to measure.
        samples: of what ``find_clips`` found.
        plan: what, and how.
        on_image: called with each frame's name when it is done.

    Raises:
        InputError: a frame that cannot be read or used, or one of another size than its neighbour.
        UnavailableError: the subject can have no number here.
    """
    changes = _Changes([get_temporal(name) for name in plan.temporal], samples)
    frames = measure_cell(subject, samples, plan.metrics, plan.inference, on_image=on_image, on_sr=changes.look)
    if not frames.ok:
        raise UnavailableError(frames.status, frames.reason)
    return ClipResult(
        frames=frames.model_copy(update={"variant": plan.variant}),
        trim=plan.trim,
        pairs=changes.pairs,
        temporal=changes.scores(),
        cell_hash=plan.hash(subject, samples),
    )


def stored_clips(
    subject: Subject, samples: Samples, plan: ClipPlan, root: Path | None = None
) -> ClipResult | None:  # fmt: skip
    """The record of a cell if it still holds.

    Raises:
        InputError: a record is there that cannot be read.
    """
    images, protocol = samples.images, samples.protocol.id
    try:
        found = read_clip_result(clip_cell_path(subject.name, images.name, samples.scale, protocol, plan.variant, root))
    except FileNotFoundError:
        return None
    return found if found.cell_hash and found.cell_hash == plan.hash(subject, samples) else None


class _Changes:
    """Gathers how each frame differs from the one before it in its clip."""

    def __init__(self, metrics: Sequence[TemporalMetric], samples: Samples) -> None:
        self._metrics = list(dict.fromkeys(metrics))
        self._border = samples.protocol.shave(samples.scale)
        self._before: tuple[str, torch.Tensor, torch.Tensor] | None = None
        self._values: dict[str, list[float | None]] = {metric.name: [] for metric in self._metrics}
        self.pairs: list[str] = []

    def look(self, sample: Sample, sr: torch.Tensor) -> None:
        """Take the next frame; a new clip begins with it where its name says so."""
        clip, hr = sample.name.rpartition("/")[0], planar(sample.hr)
        before, self._before = self._before, (clip, sr.cpu(), hr)
        if before is None or before[0] != clip:
            return
        if before[2].shape != hr.shape:
            raise InputError(f"{sample.name}: is of another size than the frame before it")
        cropped = [
            luma_of(shave(frame, self._border)[0].numpy()) for frame in (before[1], self._before[1], before[2], hr)
        ]
        step = Step((cropped[0], cropped[1]), (cropped[2], cropped[3]))
        self.pairs.append(sample.name)
        for metric in self._metrics:
            self._values[metric.name].append(metric.score(step))

    def scores(self) -> dict[str, MetricScores]:
        """What was gathered; without two neighbouring frames there is a status."""
        lacking = not self.pairs
        return {
            metric.name: MetricScores(
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
                digits=metric.digits,
                version=metric.version,
                space="luma",
                status="unavailable" if lacking else "ok",
                reason="no clip has two frames" if lacking else "",
                values=self._values[metric.name],
            )
            for metric in self._metrics
        }
