"""How long a campaign of many checkpoints would take on many GPUs, by simulation.

Cells get their cost from a model that is fitted to cells that jobs have measured (:mod:`srbench.evaluation.cell_cost`). What the
scheduler does not know is drawn: each network's cells take as many times longer or shorter than foretold as networks did that
the model was not fitted to. Compared are ways to put cells into jobs, and the least time that any of them could take.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srbench.errors import InputError
from srbench.evaluation.cell_cost import Fit, amount, fit, rates_of
from srbench.evaluation.cost import cost
from srbench.files import write_text
from srbench.machines.journal import Entry, jobs_root, list_launches, read_journals
from srbench.machines.packing import least_makespan, makespan, pack
from srbench.markdown import marks, table, with_part
from srbench.models import MODELS

PART = "plan"  # of docs/machines.md
_SCALES = (2, 3, 4)
_IMAGES = (5, 500)  # of a drawn set; Set5 has 5, the largest test sets some hundreds
_PIXELS = (0.06e6, 2.8e6)  # of a drawn set's HR images on average: from Set5's size to DIV2K's
_REPEATS = 5  # draws of what the scheduler does not know


@dataclass(frozen=True)
class Campaign:
    """What is to be measured, and by how many.

    Attributes:
        checkpoints: each is one of the registered networks, in turn.
        sets: of images; number and size of the images are drawn, evenly by their logarithms.
        scales: of ×2, ×3, ×4.
        workers: GPUs.
        seed: of what is drawn.
    """

    checkpoints: int = 1000
    sets: int = 20
    scales: int = 3
    workers: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Way:
    """A way to put cells into jobs.

    Attributes:
        name: in words.
        jobs: that it makes.
        known: hours until the last job ends, where every cell takes as long as foretold.
        drawn: hours where it does not; the median of the draws.
        over: ``drawn`` over the least possible with the same times.
        worst: the same, of the worst draw.
        uneven: ``over`` where one worker in eight has half the speed.
    """

    name: str
    jobs: int
    known: float
    drawn: float
    over: float
    worst: float
    uneven: float


@dataclass(frozen=True)
class Simulated:
    """What came of it.

    Attributes:
        campaign: what was simulated.
        cells: their number.
        hours: of one worker for all of them.
        startup: seconds that a job needs before its first cell, measured.
        least: hours that no packing can beat, as foretold.
        ways: compared.
        fit_cells: cells that the model was fitted to.
        fit_networks: networks that they are of.
        device: that they were measured on.
        typical_error: of the model for a network that it was not fitted to.
        spread: standard deviation of the logarithm of measured over foretold.
    """

    campaign: Campaign
    cells: int
    hours: float
    startup: float
    least: float
    ways: tuple[Way, ...]
    fit_cells: int
    fit_networks: int
    device: str
    typical_error: float
    spread: float

    def markdown(self) -> str:
        """Text and table for a page."""
        c = self.campaign
        clock = "processor time" if self.device == "cpu" else "wall time"
        rows = [
            [way.name, f"{way.jobs:,}", *(f"{hours:,.1f}" for hours in (way.known, way.drawn))]
            + [f"{ratio:.3f}" for ratio in (way.over, way.worst, way.uneven)]
            for way in self.ways
        ]
        heads = [
            "cells into jobs", "jobs", "h, as foretold", "h, as drawn", "over the least", "worst draw", "one worker in 8 slow",
        ]  # fmt: skip
        return (
            f"{c.checkpoints:,} checkpoints × {c.sets} sets × {c.scales} scales are {self.cells:,} cells, {self.hours:,.0f} "
            f"hours of one worker. On {c.workers} workers no packing takes less than {self.least:,.1f} h.\n\n"
            f"The cost model is fitted to {self.fit_cells} cells of {self.fit_networks} networks on `{self.device}` ({clock}). "
            f"For a network that it was not fitted to, it is off by {self.typical_error:.0%} (median); the standard deviation of "
            f"ln(measured / foretold) is {self.spread:.2f}, and so much is drawn for each network. A job starts in "
            f"{self.startup:.1f} s.\n\n" + table(heads, rows, "l" + "r" * (len(heads) - 1))
        )


def simulate(campaign: Campaign, measured: Sequence[Entry] | None = None) -> Simulated:
    """Simulate a campaign.

    Args:
        campaign: what.
        measured: lines of journals that the cost model is fitted to; those of all launches in jobs/ by default.

    Raises:
        InputError: too few cells are measured.
    """
    entries = read_journals(list_launches(jobs_root())) if measured is None else measured
    fitted = fit(entries)
    startup = statistics.median([e.startup for e in entries if e.startup > 0] or [0.0])
    names, costs = _cells(campaign, fitted)
    seconds = [_drawn(names, costs, fitted, seed) for seed in range(campaign.seed, campaign.seed + _REPEATS)]
    ways = tuple(
        _way(name, jobs, costs, seconds, startup, campaign.workers)
        for name, jobs in _packings(costs, names, campaign.workers)
    )
    return Simulated(
        campaign=campaign,
        cells=len(costs),
        hours=sum(costs) / 3600,
        startup=startup,
        least=least_makespan(costs, [1.0] * campaign.workers) / 3600,
        ways=ways,
        fit_cells=fitted.cells,
        fit_networks=fitted.networks,
        device=fitted.device,
        typical_error=fitted.typical_error,
        spread=fitted.spread,
    )


def _cells(campaign: Campaign, fitted: Fit) -> tuple[list[str], list[float]]:
    """Each cell's network, and how long it is foretold to take; in the order of a plan: set, scale, checkpoint."""
    rng = random.Random(campaign.seed)
    scales = _SCALES[: campaign.scales]
    networks = [model.name for model in MODELS if not model.interpolator and set(scales) <= set(model.scales)]
    rates = {(name, scale): rates_of(cost(name, scale)) for name in networks for scale in scales}
    names, costs = [], []
    for _ in range(campaign.sets):
        images = round(_evenly(rng, *_IMAGES))
        pixels = round(images * _evenly(rng, *_PIXELS))
        for scale in scales:
            for index in range(campaign.checkpoints):
                name = networks[index % len(networks)]
                names.append(name)
                costs.append(fitted.model(amount(images, pixels, rates[name, scale])))
    return names, costs


def _evenly(rng: random.Random, low: float, high: float) -> float:
    """Between two numbers, evenly by the logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _drawn(names: Sequence[str], costs: Sequence[float], fitted: Fit, seed: int) -> list[float]:
    """How long the cells really take: each network is as much off as one of those fitted was."""
    rng = random.Random(f"drawn {seed}")
    factors = {name: rng.choice(fitted.ratios) for name in sorted(set(names))}
    return [cost * factors[name] for name, cost in zip(names, costs, strict=True)]


def _packings(costs: Sequence[float], names: Sequence[str], workers: int) -> list[tuple[str, list[list[int]]]]:
    """Names of ways, and the cells of each job; jobs in the order in which the scheduler takes them."""
    everything = range(len(costs))
    whole = sorted(everything, key=lambda index: names[index])
    size = -(-len(costs) // workers)
    return [
        ("equal numbers, network by network", [whole[first : first + size] for first in range(0, len(whole), size)]),
        ("in turn, as torchrun does", [list(everything[worker::workers]) for worker in range(workers)]),
        *((f"longest first, {times} × the workers", pack(costs, times * workers)) for times in (1, 4, 16)),
    ]


def _way(
    name: str,
    jobs: list[list[int]],
    costs: Sequence[float],
    draws: Sequence[Sequence[float]],
    startup: float,
    workers: int,
) -> Way:
    even = [1.0] * workers
    uneven = [0.5 if worker % 8 == 0 else 1.0 for worker in range(workers)]

    def hours(times: Sequence[float], speeds: Sequence[float]) -> float:
        return makespan([startup + sum(times[index] for index in job) for job in jobs], speeds) / 3600

    def over(speeds: Sequence[float]) -> list[float]:
        return [hours(times, speeds) / (least_makespan(times, speeds) / 3600) for times in draws]

    drawn = statistics.median(hours(times, even) for times in draws)
    ratios = over(even)
    return Way(
        name,
        len(jobs),
        hours(costs, even),
        drawn,
        statistics.median(ratios),
        max(ratios),
        statistics.median(over(uneven)),
    )


def write_into(page: Path, simulated: Simulated) -> None:
    """Replace the marked part of a page; InputError where it has none."""
    try:
        text = page.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"no page {page}; expected a text file with {' and '.join(marks(PART))}") from None
    write_text(page, with_part(text, PART, simulated.markdown().rstrip() + "\n", page))
