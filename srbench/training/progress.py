"""What a run has measured so far: losses not yet read from the device, the curve, the best weights."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srbench.errors import SrbenchError


class Progress:
    """What a run has measured so far, and its best weights."""

    def __init__(
        self,
        best: dict[str, Tensor],
        best_psnr: float = -math.inf,
        seconds: float = 0.0,
        curve: list[dict[str, Any]] | None = None,
        window: list[float] | None = None,
    ) -> None:
        self.best, self.best_psnr, self.seconds = best, best_psnr, seconds
        self.curve: list[dict[str, Any]] = curve or []
        self.window: list[float] = window or [0.0, 0.0]  # sum of the loss and steps since the last validation
        self.pending: list[Tensor] = []
        self._latest: dict[str, float] = {}

    def facts(self) -> dict[str, Any]:
        """What a saved state keeps besides the weights."""
        best = self.best_psnr
        return {
            **({"best_psnr": best} if math.isfinite(best) else {}),
            "seconds": self.seconds,
            "curve": self.curve,
            "window": self.window,
        }

    def collect(self, done: int, names: list[str], folder: Path, seed: int) -> dict[str, float]:
        """Mean loss and terms of the steps since the last call (which is when a GPU is waited for).

        Raises:
            SrbenchError: a loss that is not finite, with its step.
        """
        if self.pending:
            values = torch.stack(self.pending).double().cpu()
            first = done - len(self.pending)
            self.pending.clear()
            broken = (~values.isfinite()).nonzero()
            if len(broken):
                step, column = int(broken[0, 0]) + first, int(broken[0, 1])
                term = "loss" if column == 0 else names[column - 1]
                raise SrbenchError(
                    f"{term} is {float(values[broken[0, 0], column])} in step {step} (batch of seed {seed}, step {step}); "
                    f"the last good state is in {folder}; a lower lr or grad_clip may help"
                )
            self.window = [self.window[0] + float(values[:, 0].sum()), self.window[1] + len(values)]
            means = values.mean(0).tolist()
            self._latest = {"loss": means[0]}
            if len(names) > 1:
                self._latest.update(zip(names, means[1:], strict=True))
        return self._latest

    def validated(self, step: int, psnr: float, seconds: float, weights: dict[str, Tensor]) -> None:
        """Add a point to the curve; keep the weights if they are the best so far."""
        loss = self.window[0] / max(1.0, self.window[1])
        self.window = [0.0, 0.0]
        self.curve.append({"step": step, "loss": loss, "val_psnr": round(psnr, 4), "seconds": round(seconds, 1)})
        if psnr > self.best_psnr:
            self.best_psnr, self.best = psnr, copy.deepcopy(weights)
