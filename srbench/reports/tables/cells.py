"""Which scores of a record count in a table: those of the newest versions, on the images that most rows were measured on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from srbench.results import MetricScores, Result
from srbench.stats import Floats
from srbench.zoo import Card


@dataclass
class Cell:
    """One record in one table: the scores that count there, or why it has none.

    Attributes:
        scores: of the metrics that count, ``(images,)`` each.
        means: of these, as ``Result.mean`` gives them.
        why: status and reason of every other metric that it was measured with.
        status: of the whole cell.
        reason: in words, where the status is not ok.
    """

    result: Result
    scores: dict[str, Floats] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    why: dict[str, tuple[str, str]] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells the rows of a table apart."""
        return self.result.checkpoint, self.result.variant

    @property
    def data(self) -> tuple[str, tuple[str, ...]]:
        """What it was measured on: a hash and the names of the images."""
        return self.result.data_sha256, tuple(self.result.images)

    def drop(self, status: str, reason: str) -> None:
        """Take the numbers out of the table and say why."""
        self.scores, self.means, self.why = {}, {}, {}
        self.status, self.reason = status, reason


def split_version(protocol: str) -> tuple[str, int]:
    """``("standard", 1)`` of ``standard.v1``."""
    match = re.fullmatch(r"(.+)\.v(\d+)", protocol)
    return (match[1], int(match[2])) if match else (protocol, 0)


def newest_metrics(results: Sequence[Result]) -> dict[str, MetricScores]:
    """Of each metric the newest version that was measured, by name."""
    found: dict[str, MetricScores] = {}
    for result in results:
        for name, scores in result.metrics.items():
            if name not in found or scores.version > found[name].version:
                found[name] = scores
    return found


def cells_of(results: Sequence[Result], weights: Mapping[str, str]) -> list[Cell]:
    """The cells of one table, those that an up-to-date record replaces left out.

    Args:
        results: of one dataset, scale and protocol, of any version of it.
        weights: sha256 of the weights that count, by checkpoint.
    """
    newest = max((result.protocol for result in results), key=split_version)
    versions = newest_metrics(results)
    cells = [_cell(result, newest, versions, weights.get(result.checkpoint, "")) for result in results]
    current = {cell.key for cell in cells if cell.result.protocol == newest}
    cells = [cell for cell in cells if cell.result.protocol == newest or cell.key not in current]
    _set_contradictions_aside(cells, versions)
    _set_other_data_aside(cells)
    return cells


def current_weights(results: Sequence[Result], cards: Sequence[Card]) -> dict[str, str]:
    """The weights that a name stands for: its card's; without a card those of its latest record, so that no two are mixed."""
    found: dict[str, str] = {}
    for result in sorted(results, key=lambda result: result.created):
        if result.ok and result.weights_sha256:
            found[result.checkpoint] = result.weights_sha256
    return found | {card.name: card.sha256 for card in cards if card.sha256}


def _cell(result: Result, newest: str, versions: Mapping[str, MetricScores], weights: str) -> Cell:
    cell = Cell(result, status=result.status, reason=result.reason)
    if not result.ok:
        return cell
    for name, scores in result.metrics.items():
        latest = versions[name].version
        if scores.status != "ok":
            cell.why[name] = (scores.status, scores.reason)
        elif scores.version < latest:
            cell.why[name] = ("outdated", f"measured with version {scores.version} of {name}; now {latest}")
        else:
            cell.scores[name] = np.array(scores.values, dtype=np.float64)
            cell.means[name] = math.fsum(cell.scores[name].tolist()) / len(scores.values)
    if result.protocol != newest:
        cell.drop("outdated", f"measured under {result.protocol}; now {newest}")
    elif weights and result.weights_sha256 and result.weights_sha256 != weights:
        cell.drop("outdated", f"measured with weights {result.weights_sha256[:8]}, since replaced by {weights[:8]}")
    elif not cell.scores:
        cell.drop(*next(iter(cell.why.values())))
    return cell


def _set_contradictions_aside(cells: Sequence[Cell], versions: Mapping[str, MetricScores]) -> None:
    """Records that say other things under one name: another protocol, another unit or direction of a metric."""
    meant = _most([_fields(cell.result) for cell in cells if cell.scores])
    for cell in cells:
        if cell.scores and _fields(cell.result) != meant:
            cell.drop("contradiction", f"its {cell.result.protocol} is not that of the other records: measure it again")
        for name in list(cell.scores):
            facts, other = cell.result.metrics[name], versions[name]
            if (facts.unit, facts.higher_is_better) != (other.unit, other.higher_is_better):
                del cell.scores[name]
                cell.why[name] = ("contradiction", f"its {name} has another unit or direction than the others'")


def _fields(result: Result) -> str:
    return json.dumps(dict(result.protocol_fields), sort_keys=True)


def _most(texts: Sequence[str]) -> str:
    return max(sorted(set(texts)), key=texts.count) if texts else ""


def _set_other_data_aside(cells: Sequence[Cell]) -> None:
    """Keep the scores of the cells measured on the images of most, of the latest where as many."""
    votes: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for cell in cells:
        if cell.scores:
            votes.setdefault(cell.data, []).append(cell.result.created)
    if not votes:
        return
    chosen = max(votes, key=lambda data: (len(votes[data]), max(votes[data]), data))
    for cell in cells:
        if cell.scores and cell.data != chosen:
            digest, images = cell.data
            cell.drop("other_data", f"measured on {len(images)} other images (sha256 {digest[:8] or 'unknown'})")
