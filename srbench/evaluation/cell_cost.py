"""How long a cell takes, by its pixels and the network's multiply-adds; fitted to cells that jobs have measured.

    seconds = a · images + b · pixels + c · mult-adds + d · activations

All four are at least 0. Images stand for what each costs whatever its size, pixels for metrics and reading, mult-adds for the
network's arithmetic, activations for its memory traffic. Networks differ in how well a machine is used by them, which is the
error that remains; :class:`Fit` says how large it is for a network that was not among those fitted.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from srbench.datasets.image_set import ImageSet
from srbench.datasets.layouts import image_size
from srbench.errors import InputError, SrbenchError
from srbench.evaluation.cost import Cost, subject_cost
from srbench.machines.journal import Amount, Entry
from srbench.subjects import Subject

# Of LPIPS: AlexNet's five convolutions over SR and HR, their strides included; the other metrics are below a hundredth of it.
_METRICS = 29_000.0
_LEAST_CELLS = 12  # below that a fit says little


@dataclass(frozen=True)
class CellModel:
    """Seconds of a cell; the defaults are for packing alone, in multiply-adds instead of seconds.

    Attributes:
        image: an image.
        pixel: a pixel of HR.
        mult_add: a multiply-add.
        activation: a number that a convolution puts out.
    """

    image: float = 0.0
    pixel: float = _METRICS
    mult_add: float = 1.0
    activation: float = 0.0

    def __call__(self, amount: Amount) -> float:
        """How long the cell takes."""
        parts = zip(
            (self.image, self.pixel, self.mult_add, self.activation),
            (amount.images, amount.pixels, amount.mult_adds, amount.activations),
            strict=True,
        )
        return sum(rate * count for rate, count in parts)


@dataclass(frozen=True)
class Fit:
    """A model, and how well it foretells cells.

    Attributes:
        model: fitted to all cells.
        cells: that it was fitted to.
        networks: that they are of.
        device: that they were measured on.
        ratios: measured / foretold for each cell, by a model that was fitted without any cell of the same network.
    """

    model: CellModel
    cells: int
    networks: int
    device: str
    ratios: tuple[float, ...]

    @property
    def typical_error(self) -> float:
        """The median of |foretold / measured − 1|."""
        return statistics.median(abs(1 / ratio - 1) for ratio in self.ratios)

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of the ratios."""
        return statistics.pstdev(math.log(ratio) for ratio in self.ratios)


@cache
def _pixels_of(paths: tuple[Path, ...]) -> int:
    """Pixels of all HR images of a set, by their headers; what is no image has none."""
    return sum(math.prod(image_size(path) or (0, 0)) for path in paths)


def amount_of(subject: Subject, images: ImageSet, scale: int) -> Amount:
    """How much work a cell is. Networks that cannot be counted are taken for plain convolutions on LR."""
    return amount(len(images), _pixels_of(images.paths), _rates(subject, scale))


def amount(images: int, pixels: int, rates: tuple[float, float]) -> Amount:
    """How much work images are for a network.

    Args:
        images: how many.
        pixels: of all of them.
        rates: of :func:`rates_of`.
    """
    mult_adds, activations = rates
    return Amount(
        images=images, pixels=pixels, mult_adds=round(mult_adds * pixels), activations=round(activations * pixels)
    )


def rates_of(found: Cost) -> tuple[float, float]:
    """Multiply-adds and activations for each output pixel."""
    pixels = math.prod(found.output)
    return found.mult_adds / pixels, found.activations / pixels


_counted: dict[tuple[str, str, str, int], tuple[float, float]] = {}


def _rates(subject: Subject, scale: int) -> tuple[float, float]:
    """Multiply-adds and activations for each output pixel."""
    key = (subject.name, subject.model, subject.weights_sha256, scale)
    if key not in _counted:
        try:
            _counted[key] = rates_of(subject_cost(subject.at(scale)))
        except (SrbenchError, RuntimeError, TypeError, ValueError, NotImplementedError):  # own code on the meta device
            _counted[key] = (subject.parameters or 0) / scale**2, 0.0
    return _counted[key]


def fit(entries: Sequence[Entry], device: str = "") -> Fit:
    """Fit a model to what jobs have measured.

    Args:
        entries: lines of journals.
        device: those of this device alone; by default of the one with most cells.

    Raises:
        InputError: fewer cells than a fit needs.
    """
    # The first cell of a process pays for the start of libraries and for the metrics' weights.
    usable = [e for e in entries if e.state == "measured" and not e.startup and e.amount.pixels and _seconds(e) > 0]
    devices = [e.device for e in usable]
    device = device or max(sorted(set(devices)), key=devices.count, default="")
    usable = [e for e in usable if e.device == device]
    networks = sorted({_network(e) for e in usable})
    if len(usable) < _LEAST_CELLS or len(networks) < 3:
        raise InputError(
            f"the journals of jobs/ have {len(usable)} cells of {len(networks)} networks; a model needs {_LEAST_CELLS} of 3: "
            "srbench eval --all --datasets sample --overwrite --launcher submitit --cluster local --jobs 1"
        )
    ratios = []
    for network in networks:
        others = _solve([e for e in usable if _network(e) != network])
        ratios += [_seconds(e) / max(others(e.amount), 1e-9) for e in usable if _network(e) == network]
    return Fit(_solve(usable), len(usable), len(networks), device, tuple(ratios))


def _network(entry: Entry) -> str:
    """The architecture: what stands before the scale in a checkpoint's name."""
    return entry.work.split(" ")[0].partition("_x")[0]


def _seconds(entry: Entry) -> float:
    """Processor time on a CPU, which other programs hardly change; wall time on a GPU."""
    return entry.cpu_seconds if entry.device == "cpu" else entry.seconds


def _solve(entries: Sequence[Entry]) -> CellModel:
    """Least squares of relative errors with coefficients from 0."""
    from scipy.optimize import nnls

    seconds = np.array([_seconds(e) for e in entries])
    amounts = [e.amount for e in entries]
    table = np.array([[a.images, a.pixels, a.mult_adds, a.activations] for a in amounts], dtype=np.float64)
    largest = np.maximum(table.max(axis=0), 1.0)
    rates, _ = nnls(table / largest / seconds[:, None], np.ones(len(entries)))
    return CellModel(*(float(rate) for rate in rates / largest))
