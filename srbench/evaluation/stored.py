"""A cell and its record: whether the record holds, what it lacks, and storing what was measured.

A record that holds is never measured again. One that lacks a metric gets that metric alone: every score that it has stays
as it is, in every bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from srbench.errors import InputError, UnavailableError, UnknownNameError
from srbench.evaluation.quality import Samples, cell_hash, measure_cell, variant_name
from srbench.inference import Inference
from srbench.metrics import METRICS, Pair, get_metric
from srbench.results import Result, find_result, write_result
from srbench.subjects import Subject

ADDED = "added"
"""Key of a record's provenance: metrics that were measured later than the others, when and by what."""


def stored(
    subject: Subject, inference: Inference, samples: Samples, metrics: Sequence[str], root: Path | None = None
) -> Result | None:
    """The record of this cell if it still holds: same hash, and every metric asked for (or still not to be had)."""
    found = _record(subject, inference, samples, root) if subject.identity else None
    if found is None or not _holds(found, subject, inference, samples):
        return None
    return None if _lacking(found, metrics) else found


def _record(subject: Subject, inference: Inference, samples: Samples, root: Path | None) -> Result | None:
    variant = variant_name(inference.variant, samples.lr_files)
    return find_result(subject.name, samples.images.name, samples.scale, samples.protocol.id, variant, root)


def _holds(record: Result, subject: Subject, inference: Inference, samples: Samples) -> bool:
    """Whether its scores are what would be measured now: same weights, images, protocol, inference and versions of metrics."""
    if not record.ok or not subject.identity:
        return False
    try:
        return cell_hash(subject, inference, samples, record.metrics) == record.cell_hash
    except UnknownNameError:  # a metric that this version no longer has
        return False


def _lacking(record: Result, metrics: Sequence[str]) -> list[str]:
    """Which of ``metrics`` it has not, or had no number of then and could have one now."""
    return [name for name in dict.fromkeys(metrics) if name not in record.metrics or _returned(name, record)]


def _returned(name: str, found: Result) -> bool:
    """Whether a metric that had no number then could give one now."""
    if found.metrics[name].status != "unavailable":
        return False
    metric = get_metric(name)
    side = 4 * -(-max(96, 2 * metric.minimum) // 4)  # two of NIQE's blocks, and a multiple of the scale
    noise = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    try:
        if metric.ready is not None:
            metric.ready()
        metric(Pair(noise, noise, noise[..., ::4, ::4], 4))
    except UnavailableError:
        return False
    except InputError:  # of noise; what it says of the images is for the measurement to find
        return True
    return True


def run_cell(
    subject: Subject,
    samples: Samples,
    metrics: Sequence[str],
    inference: Inference,
    *,
    save_images: Path | None = None,
    root: Path | None = None,
    on_image: Callable[[str], None] | None = None,
    replace: bool = False,
) -> Result:
    """Measure one cell and store its record.

    Where the old record holds, only the metrics that it lacks are measured, and the others stay. Otherwise all are measured
    that either record has.

    Args:
        subject: what to measure.
        samples: on what.
        metrics: names.
        inference: how it is applied.
        save_images: folder for the SR images as PNG.
        root: the results folder; home's by default.
        on_image: called with each image's name when it is done.
        replace: measure all anew; the record may then also take the place of one of other weights of the user's own.

    Raises:
        InputError: as ``measure_cell``; or the name has a record of other weights that are the user's own; or SR is not what
            the record was measured of.
    """
    try:
        old = _record(subject, inference, samples, root)
    except InputError:  # broken: nothing of it is kept, and it is replaced only where that was asked for
        if not replace:
            raise
        old = None
    if old is not None and not replace:
        _refuse_other_weights(subject, old)

    def measure(names: Sequence[str]) -> Result:
        return measure_cell(subject, samples, names, inference, save_images=save_images, on_image=on_image)

    if old is None or replace or not _holds(old, subject, inference, samples):
        kept = [name for name in (old.metrics if old else ()) if name in METRICS]
        result = measure(list(dict.fromkeys([*metrics, *kept])))
    else:
        lacking = _lacking(old, metrics)
        new = measure([*lacking, *_witnesses(old)])
        if not new.ok:
            return new  # a record that holds outlives a machine without memory
        _refuse_other_sr(old, new)
        result = _with_metrics(old, new, lacking) if lacking else old
        result = result.model_copy(update={"cell_hash": cell_hash(subject, inference, samples, result.metrics)})
    write_result(result, root)
    return result


def _witnesses(record: Result) -> list[str]:
    """A metric of the record that tells whether SR is still the same: PSNR, which costs least; nothing where it has no number."""
    numbered = [name for name, scores in record.metrics.items() if scores.status == "ok"]
    return ["psnr"] if "psnr" in numbered else numbered[:1]


def _refuse_other_sr(old: Result, new: Result) -> None:
    """InputError where a score that both have is further off than its metric allows between machines."""
    for name in _witnesses(old):
        for image, then, now in zip(old.images, old.metrics[name].values, new.metrics[name].values, strict=True):
            if then is None or now is None or (then != now and not abs(then - now) <= get_metric(name).tolerance):
                raise InputError(
                    f"{image} now has {name} {now}, and {then} in the record, so that the scores it lacks would be of another "
                    "SR image: --overwrite measures all anew"
                )


def _with_metrics(old: Result, new: Result, lacking: Sequence[str]) -> Result:
    """The old record with further metrics, and with what a reader must know by today's checks."""
    by = ", ".join(
        f"{key} {value}" for key, value in new.provenance.items() if value and key in ("commit", "torch", "gpu")
    )
    text = f"{', '.join(lacking)}: {datetime.now(UTC).date()}, {by}"
    added = "; ".join(part for part in (old.provenance.get(ADDED, ""), text) if part)
    return old.model_copy(
        update={
            "metrics": {**old.metrics, **{name: new.metrics[name] for name in lacking}},
            "notes": new.notes,
            "provenance": {**old.provenance, ADDED: added},
        }
    )


def _refuse_other_weights(subject: Subject, old: Result) -> None:
    """Two trainings of one's own must not replace each other silently; the zoo's may, as their cards say which counts."""
    if not (subject.own or old.own) or old.weights_sha256 == subject.weights_sha256:
        return
    raise InputError(
        f"results/ has {subject.name} with other weights ({old.weights_sha256[:8] or 'unknown'}, these are "
        f"{subject.weights_sha256[:8] or 'unknown'}): choose another --name, or --overwrite to replace it"
    )
