"""A stored record measured anew: stored, new and difference of every score, and what is not the same where they differ."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from srbench.datasets.local import find_dataset
from srbench.errors import InputError, UnavailableError, first_problem
from srbench.evaluation.quality import Samples, measure_cell
from srbench.inference import Inference
from srbench.metrics import METRICS, get_metric
from srbench.protocol import Protocol
from srbench.results import Result
from srbench.subjects import Subject, resolve_one


@dataclass(frozen=True)
class Again:
    """One metric of a record, measured anew.

    Attributes:
        metric: its name.
        unit: its unit.
        digits: decimals that a report shows.
        tolerance: how far a score may be off and still count as reproduced, as the metric states it.
        scores: image, stored, new; None where one of them has no score.
        missing: why the metric cannot be measured here, such as weights that are not to be had; empty where it was.
    """

    metric: str
    unit: str
    digits: int
    tolerance: float
    scores: tuple[tuple[str, float | None, float | None], ...]
    missing: str = ""

    @property
    def largest(self) -> float:
        """The greatest difference of an image; infinite where one has no score or is infinite and the other is not."""
        return max((_apart(old, new) for _, old, new in self.scores), default=0.0)

    @property
    def equal(self) -> bool:
        """Whether every image is within the tolerance."""
        return self.largest <= self.tolerance


@dataclass(frozen=True)
class Reproduction:
    """A record and what was measured anew.

    Attributes:
        stored: the record.
        new: the result of now.
        metrics: those that the record has numbers of.
        differs: what is not the same: weights, data, versions, device … one text each.
    """

    stored: Result
    new: Result
    metrics: tuple[Again, ...]
    differs: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every score is reproduced of every metric that can be measured here, and there is such a metric."""
        return bool(self.measured) and all(metric.equal for metric in self.measured)

    @property
    def measured(self) -> tuple[Again, ...]:
        """The metrics that can be measured here."""
        return tuple(metric for metric in self.metrics if not metric.missing)

    @property
    def largest(self) -> float:
        """The greatest difference in the first metric that can be measured here, in its unit."""
        return self.measured[0].largest if self.measured else math.inf


def reproduce(
    record: Result,
    *,
    subject: Subject | None = None,
    data_root: str | Path | None = None,
    dataset: str | Path | None = None,
    device: str = "cpu",
    on_image: Callable[[str], None] | None = None,
) -> Reproduction:
    """Measure a record's cell anew; nothing is stored.

    Args:
        record: with numbers.
        subject: what it is of; by default what its name stands for now.
        data_root: folder of the datasets; ``SRBENCH_DATA`` by default.
        dataset: catalog name or folder of the images; by default what the record's name stands for.
        device: where to run.
        on_image: called with each image's name when it is done.

    Raises:
        InputError: a record without numbers, of a protocol that this version does not know, or of a folder that is not named.
        UnknownNameError: its checkpoint, dataset or variant is no longer there.
        UnavailableError: it can have no number now, with the reason.
    """
    if not record.ok:
        raise InputError(
            f"{record.checkpoint} on {record.dataset}: its record has no number: {record.status}, {record.reason}"
        )
    protocol = _protocol(record)
    parts = [part for part in record.variant.split("+") if part]
    lr_files = "lrfiles" in parts
    way = Inference.parse("+".join(part for part in parts if part != "lrfiles") or "eager")
    what = subject or resolve_one(record.checkpoint, record.scale)
    if dataset is None and record.dataset.startswith("dir-"):
        raise InputError(f"{record.dataset} is a folder: name it with --dataset FOLDER")
    images = find_dataset(dataset or record.dataset, data_root)
    names = [name for name, scores in record.metrics.items() if scores.status == "ok" and name in METRICS]
    inference = Inference.of({**way.__dict__, "device": device})
    new = measure_cell(what, Samples(images, record.scale, protocol, lr_files), names, inference, on_image=on_image)
    if not new.ok:
        raise UnavailableError(new.status, f"{record.checkpoint} on {record.dataset}: {new.reason}")
    return Reproduction(record, new, tuple(_again(record, new, name) for name in names), tuple(_differs(record, new)))


def _protocol(record: Result) -> Protocol:
    try:
        protocol = Protocol.model_validate(dict(record.protocol_fields))
    except ValidationError as error:
        raise InputError(f"{record.protocol}: {first_problem(error, 'the record', Protocol)}") from None
    if protocol.id != record.protocol:
        raise InputError(f"{record.protocol} is {protocol.id} by now: measure it again with `srbench eval --overwrite`")
    return protocol


def _again(record: Result, new: Result, name: str) -> Again:
    stored, facts = record.metrics[name], get_metric(name)
    measured = new.metrics[name]
    old = dict(zip(record.images, stored.values, strict=True))
    now = dict(zip(new.images, measured.values, strict=True)) if measured.status == "ok" else {}
    images = list(dict.fromkeys([*old, *now]))
    scores = tuple((image, old.get(image), now.get(image)) for image in images)
    missing = (measured.reason or measured.status) if measured.status == "unavailable" else ""
    return Again(name, stored.unit, stored.digits, facts.tolerance, scores, missing)


def _apart(old: float | None, new: float | None) -> float:
    if old is None or new is None:
        return math.inf
    return 0.0 if old == new else abs(old - new)


def _differs(record: Result, new: Result) -> list[str]:
    """What could explain a difference, the likeliest first."""
    found = []
    for what, old, now in (
        ("weights", record.weights_sha256[:12], new.weights_sha256[:12]),
        ("images", record.data_sha256[:12], new.data_sha256[:12]),
        ("device", record.device, new.device),
    ):
        if old and old != now:
            found.append(f"{what}: {old} then, {now} now")
    for name, scores in record.metrics.items():
        if name in METRICS and get_metric(name).version != scores.version:
            found.append(f"{name}: version {scores.version} then, {get_metric(name).version} now")
    for key in ("srbench", "commit", "torch", "python", "machine", "gpu", "threads"):
        then, now = record.provenance.get(key, ""), new.provenance.get(key, "")
        if then != now:
            found.append(f"{key}: {then or 'unknown'} then, {now or 'unknown'} now")
    return found
