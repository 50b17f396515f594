"""What a run has measured so far: losses not yet read from the device, the curve, the best weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from srbench.errors import SrbenchError


class Window:
    """What the steps since the last look measured, left on the device until then.

    Args:
        names: of the values of a step.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._rows: list[tuple[int, Tensor]] = []

    def add(self, step: int, values: Tensor) -> None:
        """Keep the values ``(len(names),)`` of a step."""
        self._rows.append((step, values))

    def take(self, folder: Path, seed: int) -> list[list[float]]:
        """The values of each step since the last call (which is when a GPU is waited for).

        Raises:
            SrbenchError: a value that is not finite, with its name and step.
        """
        if not self._rows:
            return []
        steps = [step for step, _ in self._rows]
        values = torch.stack([row for _, row in self._rows]).double().cpu()
        self._rows.clear()
        broken = (~values.isfinite()).nonzero()
        if len(broken):
            row, column = int(broken[0, 0]), int(broken[0, 1])
            step = steps[row]
            raise SrbenchError(
                f"{self.names[column]} is {float(values[row, column])} in step {step} "
                f"(batch of seed {seed}, step {step}); "
                f"the last good state is in {folder}; a lower lr or grad_clip may help"
            )
        return values.tolist()

    def means(self, folder: Path, seed: int) -> dict[str, float]:
        """The mean of each value since the last call; empty where no step was made. Raises as :meth:`take`."""
        rows = self.take(folder, seed)
        return {name: math.fsum(row[i] for row in rows) / len(rows) for i, name in enumerate(self.names) if rows}


class ProgressFacts(BaseModel):
    """What a run has measured so far, as a saved state holds it.

    Attributes:
        best_psnr: validation PSNR (dB) of the weights that are kept; None before the first.
        best_each: that of each validation image.
        seconds: of training.
        curve: points of the validations.
        window: sum of the loss and number of steps since the last validation.
        latest: mean loss and terms of the last log line.
    """

    model_config = ConfigDict(extra="forbid")

    best_psnr: float | None = None
    best_each: list[float] = []
    seconds: float = 0.0
    curve: list[dict[str, int | float]] = []
    window: tuple[float, float] = (0.0, 0.0)
    latest: dict[str, float] = {"loss": 0.0}


class Progress:
    """What a run has measured so far, and its best weights.

    Attributes:
        best: the weights that are kept.
        facts: all else that a saved state holds.
        steps: what the steps since the last look measured.

    Args:
        best: the weights to keep.
        names: of the loss terms, and of what else a generator's step measures.
        facts: of the earlier sittings of a run that goes on.
    """

    def __init__(self, best: dict[str, Tensor], names: list[str], facts: ProgressFacts | None = None) -> None:
        self.best, self.facts = best, facts or ProgressFacts()
        self.steps = Window(["loss", *names])

    def collect(self, folder: Path, seed: int) -> dict[str, float]:
        """Mean loss and terms of the steps since the last call, or those of the last call where there was no step.

        Raises:
            SrbenchError: a loss that is not finite, with its step.
        """
        rows = self.steps.take(folder, seed)
        if rows:
            # Added step by step, so that the sum does not depend on how often it was asked for.
            for row in rows:
                self.facts.window = (self.facts.window[0] + row[0], self.facts.window[1] + 1)
            means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
            self.facts.latest = dict(zip(self.steps.names, means, strict=True))
            if len(self.steps.names) == 2:  # a single term is the loss
                self.facts.latest.popitem()
        return dict(self.facts.latest)

    def validated(
        self, step: int, scores: dict[str, float], weights: dict[str, Tensor], keep: str, each: Sequence[float] = ()
    ) -> None:
        """Add a point to the curve; keep the weights if they are the best so far, or in any case (``keep`` "last").

        Args:
            step: that the weights were reached after.
            scores: means over the validation images, ``val_psnr`` among them.
            weights: that were measured; they are copied.
            keep: ``best`` or ``last``.
            each: PSNR (dB) of each validation image, where this process has measured them.
        """
        facts = self.facts
        loss = facts.window[0] / max(1.0, facts.window[1])
        facts.window = (0.0, 0.0)
        facts.curve.append({"step": step, "loss": loss, **{key: round(value, 4) for key, value in scores.items()}})
        if keep == "last" or facts.best_psnr is None or scores["val_psnr"] > facts.best_psnr:
            facts.best_psnr, self.best = scores["val_psnr"], copy.deepcopy(weights)
            facts.best_each = list(each)


class RunTime:
    """Seconds of training over all sittings, and samples a second since the last look.

    Args:
        seconds: of the sittings before this one.
        step: that this one starts with.
    """

    def __init__(self, seconds: float, step: int) -> None:
        self._begun = time.perf_counter() - seconds
        self._seen, self._step = time.perf_counter(), step

    def seconds(self) -> float:
        """Since the run's first start, without the pauses between sittings."""
        return time.perf_counter() - self._begun

    def rate(self, step: int, batch: int) -> float:
        """Samples a second since the last call."""
        now = time.perf_counter()
        rate = (step - self._step) * batch / max(1e-9, now - self._seen)
        self._seen, self._step = now, step
        return rate
