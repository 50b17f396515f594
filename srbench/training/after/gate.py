"""The gate for checkpoints that an adversary helped to train: are they better than the network that they started from?

What must hold on each set, the checkpoint (child) against the one that its card names in ``init_from`` (parent): the lattice of
its upsampler stays at ``LATTICE_DB`` or below, or at the parent's, and LPIPS and DISTS, two judges that are fooled by different
things, are both below the parent's. LR-PSNR is stated: it says how far the child has left its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from srbench.datasets.local import find_dataset
from srbench.errors import InputError, UnavailableError
from srbench.metrics import METRICS
from srbench.subjects import resolve_one
from srbench.training.data.sets import find_training_sets
from srbench.training.loop.validation import Validation, split
from srbench.upscaler import Upscaler
from srbench.zoo import Card, find_checkpoint

LATTICE_DB = 2.0
METRIC_NAMES = ("lattice", "lpips", "dists", "lr-psnr")
SETS = ("validation", "set5", "set14")
Verdict = Literal["passed", "failed", "stated", "not measured"]


@dataclass(frozen=True)
class GateLine:
    """One metric on one set.

    Attributes:
        dataset: ``validation`` for the images that the checkpoint's recipe holds back.
        metric: its name.
        parent: mean over the images; NaN where it cannot be measured.
        child: the same of the checkpoint.
        verdict: ``stated`` for what nothing is asked of.
    """

    dataset: str
    metric: str
    parent: float
    child: float
    verdict: Verdict


def gate(card: Card, zoo: Path | None = None, data_root: str | None = None) -> list[GateLine]:
    """Measure a checkpoint and its parent on validation images, Set5 and Set14.

    Args:
        card: of the checkpoint.
        zoo: the zoo's folder; zoo/ by default.
        data_root: folder with the datasets.

    Raises:
        InputError: a checkpoint that started from no other.
        UnknownNameError: its parent is not in the zoo.
    """
    if not card.init_from:
        raise InputError(f"{card.name} started from no other checkpoint; the gate compares a child with its parent")
    parent = find_checkpoint(card.init_from, zoo)
    if card.init_sha256 and parent.sha256 != card.init_sha256:
        raise InputError(f"{parent.name} has other weights now than those that {card.name} started from")
    child_up, parent_up = (resolve_one(one.name, card.scales[0], zoo=zoo).upscaler() for one in (card, parent))
    lines = []
    for name in SETS:
        images = _images_of(name, card, data_root)
        with torch.inference_mode():
            lines += judge(name, images, parent_up, child_up)
    return lines


def judge(name: str, images: Validation | None, parent: Upscaler, child: Upscaler) -> list[GateLine]:
    """Both networks on one set of images; None for a set that is not here."""
    known = [metric for metric in METRIC_NAMES if metric in METRICS]
    before, after = ({}, {}) if images is None else (images.means(one, known) for one in (parent, child))
    found = []
    for metric in METRIC_NAMES:
        old, new = before.get(metric, math.nan), after.get(metric, math.nan)
        found.append(GateLine(name, metric, old, new, verdict(metric, old, new)))
    return found


def verdict(metric: str, parent: float, child: float) -> Verdict:
    """What the gate says of one metric.

    >>> verdict("lattice", -0.2, 10.8), verdict("lpips", 0.20, 0.14), verdict("lr-psnr", 50.0, 47.0)
    ('failed', 'passed', 'stated')
    """
    if math.isnan(parent) or math.isnan(child):
        return "not measured"
    if metric == "lr-psnr":
        return "stated"
    passed = child <= max(LATTICE_DB, parent) if metric == "lattice" else child < parent
    return "passed" if passed else "failed"


def is_open(lines: Sequence[GateLine]) -> bool:
    """Whether a checkpoint passes: everything that is asked was measured, and nothing failed."""
    return all(line.verdict in ("passed", "stated") for line in lines if line.metric != "lr-psnr")


def _images_of(name: str, card: Card, data_root: str | None) -> Validation | None:
    find: Callable[[], list[Path]] = (
        (lambda: validation_paths(card.config, data_root))
        if name == "validation"
        else lambda: list(find_dataset(name, data_root).paths)
    )
    try:
        return Validation(find(), card.scales[0], str(card.config.get("degradation", "bicubic")))
    except UnavailableError:
        return None


def validation_paths(recipe: dict[str, Any], data_root: str | None = None) -> list[Path]:
    """The images that a card's recipe holds back; raises as ``find_training_sets``."""
    sets = find_training_sets(recipe["data"], data_root)
    val_from = find_training_sets(recipe["val_data"], data_root) if recipe.get("val_data") else sets
    val = recipe["val"] if isinstance(recipe["val"], int) else tuple(recipe["val"])
    return split(sets, val, val_from)[1]
