"""Latency, throughput, memory and PSNR change of every variant of networks, interleaved, one record a network."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from srbench.errors import counted
from srbench.evaluation.changes import psnr_changes, psnr_set
from srbench.evaluation.cost import input_size, subject_cost
from srbench.evaluation.device import Device, describe
from srbench.evaluation.speed_rows import Limits, again_cell, finish, prepare
from srbench.evaluation.timing import clock_for, interleave
from srbench.inference import PLAIN, Inference
from srbench.provenance import machine, versions
from srbench.speed_results import SpeedResult, VariantSpeed, find_speed, write_speed
from srbench.subjects import Subject

GROUP_MULT_ADDS = 400e9  # models are interleaved until a round of bases would take more than this


def groups(subjects: Sequence[Subject], size: tuple[int, int] | None) -> Iterator[list[Subject]]:
    """Subjects by their mult-adds, in groups whose passes are interleaved; each group's records are complete when it ends."""
    weights = {(s.name, s.scale): _counts(s, size).get("mult_adds") or 0 for s in subjects}
    group: list[Subject] = []
    total = 0.0
    for subject in sorted(subjects, key=lambda s: weights[s.name, s.scale]):
        weight = weights[subject.name, subject.scale]
        if group and total + weight > GROUP_MULT_ADDS:
            yield group
            group, total = [], 0.0
        group.append(subject)
        total += weight
    if group:
        yield group


def measure_group(
    subjects: Sequence[Subject],
    variants: Sequence[Inference],
    device: torch.device,
    limits: Limits | None = None,
    size: tuple[int, int] | None = None,
    run: str = "",
    progress: Callable[[str], Any] = lambda _: None,
) -> list[SpeedResult]:
    """Time subjects and their variants interleaved, the bases once more at the end.

    Args:
        subjects: what, each at one scale.
        variants: how; the base is always among them.
        device: where.
        limits: how long.
        size: height and width of the LR image.
        run: id of the run that the group belongs to.
        progress: told what is being done.

    Raises:
        InputError: a size without pixels. Whatever a network raises is a row with status and reason.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    group = _Group(tuple(subjects), describe(device), device, limits or Limits(), size, run or started)
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True  # of use at a fixed size alone
    try:
        return _measure_group(group, variants, progress)
    finally:
        torch.backends.cudnn.benchmark = before


@dataclass(frozen=True)
class _Group:
    """What is timed, interleaved, and where."""

    subjects: tuple[Subject, ...]
    here: Device
    device: torch.device
    limits: Limits
    size: tuple[int, int] | None
    run: str


def _measure_group(
    group: _Group, variants: Sequence[Inference], progress: Callable[[str], Any]
) -> list[SpeedResult]:  # fmt: skip
    device, limits = group.device, group.limits
    clock = clock_for(device)
    ways = list(dict.fromkeys([Inference(device), *(replace(way, device=device) for way in variants)]))
    tables = [prepare(s, ways, device, limits, input_size(s.scale, group.size), progress) for s in group.subjects]
    cells = [row.cell for rows in tables for row in rows if row.cell is not None]
    progress(f"{counted(len(cells), 'cell')} of {', '.join(s.name for s in group.subjects)}, interleaved")
    interleave(cells, clock, limits.seconds, limits.passes)
    again = [again_cell(rows) for rows in tables]
    interleave([cell for cell in again if cell], clock, limits.seconds, 5)
    records = []
    for subject, rows, last in zip(group.subjects, tables, again, strict=True):
        progress(f"{subject.name}: what the variants change")
        found = finish(subject, rows, limits, input_size(subject.scale, group.size), clock)
        records.append(_new_record(group, subject, found, last.times if last else []))
    return records


def _new_record(
    group: _Group, subject: Subject, variants: dict[str, VariantSpeed], again: Sequence[float]
) -> SpeedResult:  # fmt: skip
    """A subject's record; its base is noisy where the passes at the end took another time than those before."""
    here, limits, shape = group.here, group.limits, input_size(subject.scale, group.size)
    back = statistics.median(again) * 1e3 if again else None
    middle = variants[PLAIN].median_ms
    drift = back / middle - 1 if back is not None and middle else None
    if drift is not None and abs(drift) > limits.spread:
        variants[PLAIN] = variants[PLAIN].model_copy(update={"noisy": True})
    return SpeedResult(
        name=subject.name,
        model=subject.model,
        scale=subject.scale,
        random_weights=subject.random_weights,
        weights_sha256=subject.weights_sha256,
        options=dict(subject.options),
        channels=subject.channels,
        device=here.slug,
        device_type=here.type,
        device_name=here.name,
        driver=here.driver,
        torch=torch.__version__,
        threads=here.threads,
        load_average=here.load,
        input=shape,
        output=(shape[0] * subject.scale, shape[1] * subject.scale),
        psnr_set=_psnr_set(subject),
        run=group.run,
        group=[s.name for s in group.subjects],
        seconds=limits.seconds,
        spread_limit=limits.spread,
        quick=limits.quick,
        again_ms=back,
        drift=drift,
        cost=_counts(subject, group.size),
        variants=variants,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance={**versions(), **machine(group.device)},
    )


def _counts(subject: Subject, size: tuple[int, int] | None) -> dict[str, int | float | None]:
    """The numbers of its Cost; none where the network cannot take an image of that size, as its rows will say."""
    try:
        found = asdict(subject_cost(subject, size))
    except Exception:
        return {}
    return {key: value for key, value in found.items() if key != "scale" and isinstance(value, int | None)}


def _psnr_set(subject: Subject) -> str:
    """What changes of PSNR are measured on; empty where the output means nothing, or nothing can change it."""
    return "" if subject.random_weights or subject.kind == "interpolator" else psnr_set(subject.scale)


def _structure(subject: Subject) -> tuple[str, int]:
    """Equal for networks that take equally long."""
    return subject.structure or f"{subject.name} {id(subject)}", subject.scale


def run(
    subjects: Sequence[Subject],
    variants: Sequence[Inference],
    device: torch.device,
    limits: Limits | None = None,
    size: tuple[int, int] | None = None,
    root: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str], Any] = lambda _: None,
) -> list[SpeedResult]:
    """Time what has no record that holds, group by group, and store each group as it ends; the records of all subjects.

    A network that two subjects share, such as srgan's and srresnet's, is timed once; the second record says so.
    """
    limits = limits or Limits()
    slug = describe(device).slug
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    records: dict[tuple[str, int], SpeedResult] = {}
    open_: list[Subject] = []
    for subject in subjects:
        place = (slug, subject.name, subject.scale, input_size(subject.scale, size))
        known = None if overwrite else find_speed(*place, root)
        if known is not None and holds(known, subject, variants, limits):
            records[subject.name, subject.scale] = known
        else:
            open_.append(subject)
    first = {_structure(s): s for s in reversed(subjects) if (s.name, s.scale) not in records}
    first |= {_structure(s): s for s in subjects if (s.name, s.scale) in records}
    timed = [s for s in open_ if first[_structure(s)] is s]
    for group in groups(timed, size):
        for record in measure_group(group, variants, device, limits, size, stamp, progress):
            write_speed(record, root)
            records[record.name, record.scale] = record
    for subject in open_:
        if (subject.name, subject.scale) not in records:
            twin = first[_structure(subject)]
            record = _as_twin(records[twin.name, twin.scale], subject, device)
            write_speed(record, root)
            records[subject.name, subject.scale] = record
    return [records[s.name, s.scale] for s in subjects]


def holds(known: SpeedResult, subject: Subject, variants: Sequence[Inference], limits: Limits) -> bool:
    """Whether a stored record answers what is asked: same weights and torch, every variant, as long a look."""
    return (
        bool(subject.identity or subject.random_weights)
        and known.weights_sha256 == subject.weights_sha256
        and known.torch == torch.__version__
        and {way.speed_variant for way in variants} <= set(known.variants)
        and (limits.quick or not known.quick)
        and known.seconds >= limits.seconds
    )


def _as_twin(record: SpeedResult, subject: Subject, device: torch.device) -> SpeedResult:
    """The times of the same network under another name; what its own weights lose is measured."""
    changes: dict[str, float] = {}
    if _psnr_set(subject):
        base = subject.upscaler(inference=Inference(device))
        names = [name for name, variant in record.variants.items() if variant.ok]
        ways = {name: base.with_(replace(Inference.parse(name).eager, device=device)) for name in names}
        changes = psnr_changes(base, ways)
    return record.model_copy(
        update={
            "name": subject.name,
            "model": subject.model,
            "random_weights": subject.random_weights,
            "weights_sha256": subject.weights_sha256,
            "psnr_set": _psnr_set(subject),
            "same_as": record.same_as or record.name,
            "variants": {
                name: v.model_copy(update={"psnr_change": changes.get(name)}) for name, v in record.variants.items()
            },
        }
    )
