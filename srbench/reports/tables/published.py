"""Published figures, each with its source and training data: published.tsv beside this file.

A figure has the id of our protocol where its table was measured that way, and none where that is not known; only the former
may stand beside a measured number. Where several sources give a figure for one model, scale, dataset, metric and protocol, the
file marks one as the headline: the paper's own, else its authors' code, else another measurement.

Columns: model (our name), variant (which of the published networks or tables), scale, dataset, metric, value (as printed),
channel (as the source says it), protocol, inference (``ensemble`` for the eightfold self-ensemble), headline, source, training
(empty where the source does not say).
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One published number that may be compared with a measured one."""

    value: float
    variant: str
    source: str
    training: str

    @property
    def note(self) -> str:
        """Where it comes from, for a footnote."""
        trained = f"; trained on {self.training}" if self.training else ""
        return f"{self.source} ({self.variant}{trained})"


Key = tuple[str, str, int, str, str, str]


@functools.cache
def read_published() -> tuple[dict[str, str], ...]:
    """Every row of published.tsv, in its order, as text."""
    with Path(__file__).with_name("published.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@functools.cache
def _headlines() -> dict[Key, Figure]:
    found: dict[Key, Figure] = {}
    for row in read_published():
        if row["headline"] == "yes":
            key = row["model"], row["dataset"], int(row["scale"]), row["protocol"], row["metric"], row["inference"]
            found[key] = Figure(float(row["value"]), row["variant"], row["source"], row["training"])
    return found


def find_figure(model: str, dataset: str, scale: int, protocol: str, metric: str, inference: str = "") -> Figure | None:
    """The headline figure of a model that was measured under this very protocol, or None."""
    return _headlines().get((model, dataset, scale, protocol, metric, inference))


def published_figure(model: str, scale: int, dataset: str, metric: str = "psnr") -> tuple[Figure, str] | None:
    """A network's published figure and the protocol it was measured under, ``standard`` or else ``classic``."""
    for protocol in ("standard", "classic"):
        if found := find_figure(model, dataset, scale, f"{protocol}.v1", metric):
            return found, protocol
    return None


def is_published_form(options: Mapping[str, object]) -> bool:
    """Whether a network built with these options is what its paper measured, so that the paper's figure may stand beside it.

    A bicubic skip is no part of the papers either, and is said in the row; another tail is another network.
    """
    return {name for name, value in options.items() if value not in (None, "", "none")} <= {"skip"}


def published_models(dataset: str, scale: int, protocol: str) -> list[str]:
    """Sorted names of the models with a headline figure in a table, those that srbench does not have included."""
    return sorted({key[0] for key in _headlines() if key[1:4] == (dataset, scale, protocol) and not key[5]})
