"""One step along a loss, the same for a generator and a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from srbench.training.optim.optimisers import OptimiserKeys, load_optimisers, make_optimisers, optimiser_tensors
from srbench.training.optim.precision import LossScaler

Exchange = Callable[[Iterable[nn.Parameter], Tensor], Tensor]
"""Averages gradients and measured values over the processes of a run, as ``Processes.average``."""


class DescentKeys(OptimiserKeys, Protocol):
    """What a recipe, or its ``[adversarial]`` table, says of a network's steps."""

    @property
    def grad_clip(self) -> float: ...


Part = tuple[Tensor, Tensor]
"""What a part of a batch gives: its loss, a scalar with its graph, and what was measured, float32 ``(n,)`` without one."""


class Descent:
    """The optimisers of one network, and the way from a loss to its new weights.

    Args:
        network: whose parameters learn.
        keys: the optimiser and the largest norm of the gradients (0: not clipped).
        exchange: over the processes of a run.
        measure_norm: add the gradients' norm, before it is clipped, to what is measured.
        precision: of the network's computations; ``"fp16"`` needs its loss scaled.
    """

    def __init__(
        self,
        network: nn.Module,
        keys: DescentKeys,
        exchange: Exchange,
        measure_norm: bool = False,
        precision: str = "fp32",
    ) -> None:
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimisers = make_optimisers(self.parameters, keys)
        self._limit, self._exchange, self._measure_norm = keys.grad_clip, exchange, measure_norm
        self.scaler = LossScaler(precision, self.parameters[0].device if self.parameters else torch.device("cpu"))

    def __call__(self, loss: Tensor, measured: Tensor, rate: float) -> Tensor:
        """One step along ``loss``, as :meth:`over` with a single part."""
        return self.over([(loss, measured)], 1, rate)

    def over(self, parts: Iterable[Part], count: int, rate: float) -> Tensor:
        """One step along the mean of the parts' losses, whose gradients are added up one part after another.

        Args:
            parts: of equal size, each made when it is asked for, so that only one part's graph is in memory.
            count: how many there are.
            rate: the learning rate.

        Returns:
            the mean of what was measured over parts and processes, ``(n,)``, or ``(n + 1,)`` with the gradients' norm.
        """
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
        rows = []
        for loss, measured in parts:
            self.scaler.scaled(loss / count if count > 1 else loss).backward()  # type: ignore[no-untyped-call]
            rows.append(measured)
        values = self._exchange(self.parameters, torch.stack(rows).mean(0) if count > 1 else rows[0])
        self.scaler.unscale(self.optimisers)
        if self._limit or self._measure_norm:
            norm = self.scaler.finite(clip_gradients(self.parameters, self._limit))
            values = torch.cat([values, norm]) if self._measure_norm else values
        self.scaler.step(self.optimisers)
        return values

    def tensors(self) -> dict[str, Tensor]:
        """The optimisers' state, and the loss's scale where there is one, for a saved state."""
        return {**optimiser_tensors(self.optimisers, self.parameters), **self.scaler.tensors()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put :meth:`tensors` back."""
        load_optimisers(self.optimisers, self.parameters, self.scaler.load(tensors))


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients down to a norm of ``limit`` (0: leave them); their norm before that, ``(1,)``."""
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm.detach().reshape(1)
