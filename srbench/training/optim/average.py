"""Averaged weights (EMA), which are validated and kept in the place of the last ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average of a network's weights and buffers.

    The decay rises from 0.1 with the number of updates, so that the average leaves the initial weights quickly.

    The arithmetic is ``torch.optim.swa_utils``'; its ``AveragedModel`` is not used, because it takes the first update as a
    copy and asks a counter on the device at every update, for which a GPU's queue is waited for.

    Attributes:
        network: a copy of the followed network that holds the average, in eval mode.

    Args:
        followed: whose tensors are averaged.
        decay: the final decay a step; 0 follows the weights exactly.
    """

    def __init__(self, followed: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(followed).eval().requires_grad_(False)
        every = zip(self.weights().values(), followed.state_dict().values(), strict=True)
        # Layers may share a tensor, which has several keys then and is averaged once.
        pairs = list({(mean.data_ptr() or id(mean), mean.shape): (mean, live) for mean, live in every}.values())
        self._mean = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._live = [live.detach() for _, live in pairs if live.is_floating_point()]
        self._counts = [(mean, live) for mean, live in pairs if not mean.is_floating_point()]

    def weights(self) -> dict[str, Tensor]:
        """The average under the network's keys; the tensors themselves, which the next update changes."""
        return dict(self.network.state_dict())

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Take in the weights after ``count`` earlier updates."""
        decay = min(self.decay, (1 + count) / (10 + count))
        get_ema_multi_avg_fn(decay)(self._mean, self._live, count)  # type: ignore[no-untyped-call]
        for mean, live in self._counts:
            mean.copy_(live)
