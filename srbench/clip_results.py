"""What was measured on clips: one record a cell, per frame and per pair of frames, readable without torch.

``results/clips/<dataset>_x<scale>/<protocol>/<checkpoint>[+<variant>].json``. Frames of a clip are alike, so they are kept out of
the tables of images, whose intervals count each image as one draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from srbench.errors import SrbenchError, UnavailableError, UnknownNameError
from srbench.files import listed
from srbench.records import parse, read_json, refuse_newer, unseal, write_json
from srbench.results import MetricScores, Result, cell_path, read_all, results_root

SCHEMA_VERSION = 1


class ClipResult(BaseModel):
    """One checkpoint on one set of clips.

    Attributes:
        frames: quality of each frame, called ``walk/00000001``, and all that a record says of how it was measured.
        trim: frames that were left out at either end of each clip.
        pairs: the latter frame of each two neighbours.
        temporal: how far they change as HR's do, a number a pair; by measure.
        cell_hash: hash of everything that changes a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    kind: Literal["clips"] = "clips"
    frames: Result
    trim: int = 0
    pairs: list[str] = []
    temporal: dict[str, MetricScores] = {}
    cell_hash: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> ClipResult:
        if not set(self.pairs) <= set(self.frames.images):
            raise ValueError("a pair is of frames that were not measured")
        for name, scores in self.temporal.items():
            if scores.values and len(scores.values) != len(self.pairs):
                raise ValueError(f"{name} has {len(scores.values)} numbers for {len(self.pairs)} pairs")
        return self

    @property
    def clips(self) -> list[str]:
        """Names of the clips, in their order."""
        return list(dict.fromkeys(_clip(name) for name in self.frames.images))

    @property
    def metrics(self) -> dict[str, MetricScores]:
        """Every metric and measure, without its numbers' places."""
        return {**self.frames.metrics, **self.temporal}

    def clip_mean(self, clip: str, metric: str) -> float:
        """Mean over the frames of a clip, or over its pairs.

        Raises:
            UnknownNameError: no such clip, or the metric was not measured.
            UnavailableError: the metric has no number.
        """
        if clip not in self.clips:
            raise UnknownNameError("clip", clip, self.clips, self.frames.dataset)
        names, values = self._values(metric)
        found = [value for name, value in zip(names, values, strict=True) if _clip(name) == clip]
        if not found:
            raise UnavailableError(
                "unavailable", f"{clip} has a single frame, and so no change that {metric} could see"
            )
        return math.fsum(found) / len(found)

    def mean(self, metric: str) -> float:
        """Mean over the clips of their means: the total of Vid4's tables."""
        return _mean([self.clip_mean(clip, metric) for clip in self.clips])

    def frame_mean(self, metric: str) -> float:
        """Mean over all frames, or pairs; longer clips count for more."""
        return _mean(self._values(metric)[1])

    def _values(self, metric: str) -> tuple[Sequence[str], list[float]]:
        known = self.metrics
        if metric not in known:
            raise UnknownNameError("metric", metric, known, f"the result of {self.frames.checkpoint}")
        scores = known[metric]
        if scores.status != "ok":
            raise UnavailableError(scores.status, scores.reason)
        names = self.pairs if metric in self.temporal else self.frames.images
        return names, [value for value in scores.values if value is not None]


def _clip(name: str) -> str:
    return name.rpartition("/")[0]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if math.inf not in values else math.inf


def clip_cell_path(
    checkpoint: str, dataset: str, scale: int, protocol: str, variant: str = "", root: Path | str | None = None
) -> Path:
    """Where the record of a cell lies below ``root`` (the results folder; home's by default)."""
    folder = Path(root) if root is not None else results_root()
    place = cell_path(checkpoint, dataset, scale, protocol, variant, folder)
    return folder / "clips" / place.relative_to(folder / "quality")


def clip_result_path(result: ClipResult, root: Path | str | None = None) -> Path:
    """Where a record lies below ``root``."""
    of = result.frames
    return clip_cell_path(of.checkpoint, of.dataset, of.scale, of.protocol, of.variant, root)


def write_clip_result(result: ClipResult, root: Path | str | None = None) -> Path:
    """Store a record in its place, whole or not at all."""
    path = clip_result_path(result, root)
    write_json(path, result.model_dump(mode="json"))
    return path


def read_clip_result(path: Path | str) -> ClipResult:
    """One record; raises InputError that names the file and what is wrong in it."""
    record = read_json(path, "a result of clips")
    refuse_newer(record, path, SCHEMA_VERSION)
    values: Mapping[str, object] = unseal(record, path)
    return parse(ClipResult, values, f"{path} is not a result of clips")


def read_clip_results(root: Path | str | None = None, broken: list[SrbenchError] | None = None) -> list[ClipResult]:
    """Every record of clips below ``root``, sorted by path; arguments as of :func:`srbench.results.read_results`."""
    folder = Path(root) if root is not None else results_root()
    paths = listed(folder / "clips", "*/*/*.json")
    return read_all(paths, read_clip_result, lambda result: clip_result_path(result, folder), broken)
