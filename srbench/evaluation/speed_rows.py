"""From one subject and its variants to cells, and from their times to what is stored."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from srbench.evaluation.changes import difference, patch_difference, psnr_changes
from srbench.evaluation.device import free_memory
from srbench.evaluation.memory import Fresh, in_fresh_process
from srbench.evaluation.timed_image import network_input
from srbench.evaluation.timing import Stopwatch, TimedCell, describe_times, sweep, why
from srbench.evaluation.variants import is_main, passes, reason_against
from srbench.inference import PLAIN, Inference
from srbench.speed_results import Batch, VariantSpeed
from srbench.subjects import Subject
from srbench.upscaler import Upscaler

SLOW = 1.0  # seconds from which a pass needs no warm-up
_FRESH_TIMEOUT = 600.0
_SHALLOW = 10  # convolutions that are compiled unasked on a CPU


@dataclass(frozen=True)
class Limits:
    """How long and how much is measured.

    Attributes:
        seconds: a variant's time.
        passes: at most.
        spread: above it a row is noisy.
        largest_batch: of the sweep; 1 for none.
        fresh: first call and memory in a process of their own.
        quick: a glance.
        patient: compile deep networks on a CPU too.
    """

    seconds: float = 60.0
    passes: int = 30
    spread: float = 0.25
    largest_batch: int = 64
    fresh: bool = True
    quick: bool = False
    patient: bool = False


QUICK = Limits(seconds=5.0, passes=10, largest_batch=1, fresh=False, quick=True)


@dataclass
class VariantRow:
    """A variant on its way to a VariantSpeed."""

    way: Inference
    upscaler: Upscaler | None = None
    cell: TimedCell | None = None
    fresh: Fresh = field(default_factory=Fresh)
    status: str = "ok"
    reason: str = ""
    out: list[Tensor] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the variant."""
        return self.way.speed_variant

    @property
    def times(self) -> list[float]:
        """Counted seconds; the fresh process's pass alone where it took longer than a cell may."""
        if self.cell is not None:
            return self.cell.times
        return [self.fresh.pass_ms / 1e3] if self.fresh.pass_ms is not None else []

    def refuse(self, status: str, reason: str) -> None:
        self.status, self.reason = status, reason


def prepare(
    subject: Subject,
    ways: Sequence[Inference],
    device: torch.device,
    limits: Limits,
    size: tuple[int, int],
    progress: Callable[[str], Any],
) -> list[VariantRow]:
    """What can be run gets a cell; what cannot, a status. The first call and the memory are measured on the way."""
    rows = [VariantRow(way) for way in ways]
    try:
        base = subject.upscaler(inference=Inference(device))
        x = network_input(base, size, 1)
    except Exception as error:
        for row in rows:
            row.refuse(*why(error))
        return rows
    for row in rows:
        try:
            _prepare_row(row, rows[0], base, limits)
            if row.status == "ok" and limits.fresh:
                progress(f"{subject.name} {row.name}: first call and memory")
                row.fresh = _fresh(subject, row.way, size)
                if row.fresh.status != "ok":
                    row.refuse(row.fresh.status, row.fresh.reason)
            if row.upscaler is not None and row.status == "ok" and not _takes_too_long(row, limits):
                row.cell = _cell(subject.name, row, passes(row.upscaler, x), device)
        except Exception as error:
            row.refuse(*why(error))
    return rows


def _prepare_row(row: VariantRow, first: VariantRow, base: Upscaler, limits: Limits) -> None:
    """Give a row its upscaler, or the reason why it is not timed."""
    if reason := reason_against(row.way, base) or _too_deep(row.way, base, limits):
        row.refuse("unavailable", reason)
    elif _takes_too_long(first, limits) and not is_main(row.way):
        row.refuse("unavailable", f"a pass of the base takes longer than {limits.seconds:g} s: few variants are timed")
    else:
        row.upscaler = base.with_(row.way)


def _fresh(subject: Subject, way: Inference, size: tuple[int, int]) -> Fresh:
    """First call and memory in a process of its own; neither for a module that only this one has."""
    if subject.request is None:
        return Fresh()
    asked = replace(subject.request, scale=subject.scale)
    request = {"subject": asked, "size": size, "variant": way.speed_variant, "device": str(way.device)}
    return in_fresh_process({**request, "threads": torch.get_num_threads()}, _FRESH_TIMEOUT)


def _takes_too_long(row: VariantRow, limits: Limits) -> bool:
    return row.fresh.pass_ms is not None and row.fresh.pass_ms / 1e3 > limits.seconds


def _too_deep(way: Inference, upscaler: Upscaler, limits: Limits) -> str:
    """Why a network is not compiled unasked: on a CPU that takes seconds a convolution and hardly pays."""
    depth = sum(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in upscaler.network.modules())
    if not way.compile or limits.patient or upscaler.device.type != "cpu" or depth <= _SHALLOW:
        return ""
    return f"{depth} convolutions take minutes to compile on a CPU: name the variant with --variants to have it timed"


def _cell(name: str, row: VariantRow, once: Callable[[], Tensor], device: torch.device) -> TimedCell:
    def work() -> None:
        row.out[:] = [once()]

    slow = row.fresh.pass_ms is not None and row.fresh.pass_ms / 1e3 > SLOW and not row.way.compile
    return TimedCell((name, row.name), work, warm=0 if slow else (3 if device.type == "cuda" else 1))


def again_cell(rows: list[VariantRow]) -> TimedCell | None:
    """The base as a cell of its own."""
    cell = rows[0].cell
    return TimedCell(cell.key, cell.work, warm=0) if cell is not None and cell.status == "ok" else None


def finish(
    subject: Subject, rows: list[VariantRow], limits: Limits, size: tuple[int, int], clock: Stopwatch
) -> dict[str, VariantSpeed]:
    """Rows as they are stored: ratios, changes of the image, sweeps."""
    for row in rows:
        if row.cell is not None and row.cell.status != "ok":
            row.refuse(row.cell.status, row.cell.reason)
    alive = [row for row in rows if row.status == "ok" and row.times and row.upscaler is not None]
    medians = {row.name: statistics.median(row.times) for row in alive}
    fastest = min(medians, key=lambda name: medians[name]) if medians else PLAIN
    swept = {PLAIN, fastest} if rows[0].upscaler is None or rows[0].upscaler.device.type == "cpu" else set(medians)
    changes = _psnr_changes(subject, alive)
    megapixels = size[0] * size[1] * subject.scale**2 / 1e6
    found: dict[str, VariantSpeed] = {}
    for row in rows:
        name = row.name
        if name not in medians:
            found[name] = VariantSpeed(
                status=row.status if row.status != "ok" else "failed",
                reason=row.reason or "no pass was made",
            )
            continue
        times = describe_times(row.times, limits.spread)
        steps: list[Batch] = []
        end = ""
        if limits.largest_batch > 1 and name in swept and not row.way.compile:
            steps, end = _sweep(row, limits, size, clock)
        found[name] = VariantSpeed(
            **times,
            megapixels_per_s=megapixels / medians[name],
            ratio=medians[PLAIN] / medians[name] if PLAIN in medians else None,
            first_call_ms=row.fresh.first_call_ms,
            peak_memory_bytes=row.fresh.peak_memory_bytes,
            process_memory_bytes=row.fresh.process_memory_bytes,
            psnr_change=changes.get(name),
            max_difference=_difference(rows[0], row, size),
            sweep=steps,
            sweep_end=end,
        )
    return found


def _difference(base: VariantRow, row: VariantRow, size: tuple[int, int]) -> float | None:
    """Against the base on the timed image, or on a patch of it where one of them was not run here."""
    if row is base:
        return 0.0
    if base.out and row.out:
        return difference(row.out[0], base.out[0])
    if base.upscaler is None or row.upscaler is None:
        return None
    return patch_difference(base.upscaler, row.upscaler, network_input(base.upscaler, size, 1))


def _psnr_changes(subject: Subject, alive: list[VariantRow]) -> dict[str, float]:
    """Where the output means something; a compiled variant or a graph has the change of its arithmetic."""
    base = [row for row in alive if row.name == PLAIN]
    if subject.random_weights or subject.kind == "interpolator" or not base or base[0].upscaler is None:
        return {}
    ways = {row.name: row.upscaler.with_(row.way.eager) for row in alive if row.upscaler is not None}
    return psnr_changes(base[0].upscaler, ways)


def _sweep(row: VariantRow, limits: Limits, size: tuple[int, int], clock: Stopwatch) -> tuple[list[Batch], str]:
    upscaler, peak = row.upscaler, row.fresh.peak_memory_bytes
    assert upscaler is not None

    def work_of(batch: int) -> Callable[[], object]:
        return passes(upscaler, network_input(upscaler, size, batch))

    def room(batch: int) -> str:
        free = free_memory(upscaler.device)
        if peak is None or free is None or peak * batch <= free:
            return ""
        return f"a batch of {batch} would take about {peak * batch / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"

    return sweep(work_of, clock, statistics.median(row.times) * 1e3, limits.seconds, limits.largest_batch, room)
