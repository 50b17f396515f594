"""One step along a loss, the same for a generator and a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from srbench.training.optim.optimisers import OptimiserKeys, load_optimisers, make_optimisers, optimiser_tensors

Exchange = Callable[[Iterable[nn.Parameter], Tensor], Tensor]
"""Averages gradients and measured values over the processes of a run, as ``Processes.average``."""


class DescentKeys(OptimiserKeys, Protocol):
    """What a recipe, or its ``[adversarial]`` table, says of a network's steps."""

    @property
    def grad_clip(self) -> float: ...


class Descent:
    """The optimisers of one network, and the way from a loss to its new weights.

    Args:
        network: whose parameters learn.
        keys: the optimiser and the largest norm of the gradients (0: not clipped).
        exchange: over the processes of a run.
        measure_norm: add the gradients' norm, before it is clipped, to what is measured.
    """

    def __init__(self, network: nn.Module, keys: DescentKeys, exchange: Exchange, measure_norm: bool = False) -> None:
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimisers = make_optimisers(self.parameters, keys)
        self._limit, self._exchange, self._measure_norm = keys.grad_clip, exchange, measure_norm

    def __call__(self, loss: Tensor, measured: Tensor, rate: float) -> Tensor:
        """One step along ``loss``.

        Args:
            loss: a scalar with its graph.
            measured: float32 ``(n,)`` without gradient: what is averaged over the processes with the gradients.
            rate: the learning rate.

        Returns:
            ``(n,)``, or ``(n + 1,)`` with the gradients' norm.
        """
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        values = self._exchange(self.parameters, measured)
        if self._limit or self._measure_norm:
            norm = clip_gradients(self.parameters, self._limit)
            values = torch.cat([values, norm]) if self._measure_norm else values
        for optimiser in self.optimisers:
            optimiser.step()
        return values

    def tensors(self) -> dict[str, Tensor]:
        """The optimisers' state, for a saved state."""
        return optimiser_tensors(self.optimisers, self.parameters)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put :meth:`tensors` back."""
        load_optimisers(self.optimisers, self.parameters, tensors)


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients down to a norm of ``limit`` (0: leave them); their norm before that, ``(1,)``."""
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm.detach().reshape(1)
