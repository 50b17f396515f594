"""Which network for a budget of milliseconds, megabytes and decibels: the frontier of what was measured on one device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from srbench.errors import InputError
from srbench.reports.tables.rows import Entrant, Row, Speed, Table
from srbench.reports.units import number, short

SAFE_DB = 0.01
"""A variant is safe where it changes the mean PSNR of the sample images by less than this."""

_FLAGS = {
    "fused": "--fused",
    "bf16": "--precision bf16",
    "fp16": "--precision fp16",
    "tf32": "--precision tf32",
    "channels_last": "--layout channels_last",
    "compile": "--compile",
    "cuda_graph": "--graph",
}


@dataclass(frozen=True)
class Budget:
    """What may be spent and must be reached; None where it does not matter.

    Attributes:
        ms: of one pass for 1280×720 output, at most.
        mb: of memory that the pass takes, at most.
        psnr: dB on the table's dataset, at least.
    """

    ms: float | None = None
    mb: float | None = None
    psnr: float | None = None

    def __str__(self) -> str:
        parts = [
            f"{short(self.ms)} ms" if self.ms is not None else "",
            f"{short(self.mb)} MB" if self.mb is not None else "",
        ]
        parts.append(f"at least {number(self.psnr, 2)} dB" if self.psnr is not None else "")
        return ", ".join(part for part in parts if part) or "any budget"


@dataclass(frozen=True)
class Choice:
    """One network in its fastest safe variant.

    Attributes:
        who: the checkpoint.
        speed: times of the variant.
        psnr: dB of the variant; where it was not measured itself, that of the plain run and ``psnr_change`` of the variant.
    """

    who: Entrant
    speed: Speed
    psnr: float

    @property
    def command(self) -> str:
        """What applies it."""
        parts = [_FLAGS[part] for part in self.speed.variant.split("+") if part in _FLAGS]
        scale = [f"--scale {self.speed.scale}"] if self.who.kind == "interpolator" else []
        return " ".join(["srbench upscale IN OUT --checkpoint", self.who.checkpoint, *scale, *parts])

    def excess(self, budget: Budget) -> float:
        """How far it is beyond a budget, as a factor: 1 or less is within; a missing decibel counts as a factor of 2."""
        memory = math.inf if self.speed.memory_mb is None else self.speed.memory_mb
        factors = [self.speed.latency_ms / budget.ms] if budget.ms else []
        factors += [memory / budget.mb] if budget.mb else []
        factors += [2 ** (budget.psnr - self.psnr)] if budget.psnr is not None else []
        return max(factors, default=0.0)


def choices(table: Table, speeds: Sequence[Speed], device: str) -> list[Choice]:
    """Every row of a table in its fastest safe variant on a device, fastest first; rows that were not timed are left out.

    Args:
        table: whose PSNR counts.
        speeds: of any devices, scales and sizes; glances and other sizes than that of 1280×720 output do not count.
        device: folder name.
    """
    usable = [s for s in speeds if s.device == device and s.scale == table.scale and s.usual and not s.glance]
    found = []
    for row in table.rows:
        if row.who.variant or row.scores.get("psnr") is None or row.scores["psnr"].mean is None:
            continue
        ways = [_choice(table, row, speed) for speed in usable if speed.name == row.who.checkpoint]
        safe = [way for way in ways if way]
        if safe:
            found.append(min(safe, key=lambda way: way.speed.latency_ms))
    return sorted(found, key=lambda choice: (choice.speed.latency_ms, -choice.psnr))


def _choice(table: Table, row: Row, speed: Speed) -> Choice | None:
    plain = row.scores["psnr"].mean or 0.0
    if not speed.variant:
        return Choice(row.who, speed, plain)
    if speed.psnr_change is None or abs(speed.psnr_change) >= SAFE_DB:
        return None
    measured = table.row(row.who.checkpoint, speed.variant)
    score = measured.scores.get("psnr") if measured else None
    return Choice(row.who, speed, score.mean if score and score.mean is not None else plain + speed.psnr_change)


def frontier(found: Sequence[Choice], budget: Budget) -> list[Choice]:
    """Those within the budget that no other of them beats in both time and PSNR, fastest first.

    Raises:
        InputError: nothing is within the budget; the nearest is named.
    """
    within = [choice for choice in found if choice.excess(budget) <= 1]
    if not within:
        nearest = min(found, key=lambda choice: choice.excess(budget), default=None)
        if nearest is None:
            raise InputError("nothing was timed and measured there")
        memory = "" if nearest.speed.memory_mb is None else f"{short(nearest.speed.memory_mb)} MB, "
        raise InputError(
            f"nothing is within {budget}; nearest is {nearest.who.name}: {short(nearest.speed.latency_ms)} ms, {memory}"
            f"{number(nearest.psnr, 2)} dB"
        )
    kept: list[Choice] = []
    for choice in sorted(within, key=lambda choice: (choice.speed.latency_ms, -choice.psnr)):
        if not kept or choice.psnr > kept[-1].psnr:
            kept.append(choice)
    return kept


def without_seeds(found: Sequence[Choice]) -> list[Choice]:
    """One of each family of seeds, the first: they are the same network at the same cost."""
    first: dict[str, Choice] = {}
    for choice in sorted(found, key=lambda choice: choice.who.seed or 0):
        first.setdefault(choice.who.family or choice.who.checkpoint, replace(choice))
    return sorted(first.values(), key=lambda choice: choice.speed.latency_ms)
