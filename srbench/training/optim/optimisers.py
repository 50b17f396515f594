"""Optimisers, the learning rate at a step, and averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from srbench.training.muon import Muon
from srbench.training.recipe import Recipe


class OptimiserSettings(Protocol):
    """What a recipe says of the network's optimiser, and its ``[adversarial]`` table of the discriminator's."""

    @property
    def optimiser(self) -> str: ...
    @property
    def lr(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def weight_decay(self) -> float: ...


def make_optimiser(parameters: Iterable[nn.Parameter], recipe: OptimiserSettings) -> torch.optim.Optimizer:
    """The recipe's optimiser; its learning rate is set before each step from :func:`learning_rate`."""
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    decay = recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(wanted, lr=recipe.lr, momentum=recipe.betas[0], weight_decay=decay)
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(wanted, lr=recipe.lr, alpha=recipe.betas[1], weight_decay=decay)
    if recipe.optimiser == "muon":
        return Muon(wanted, recipe.lr, recipe.betas, decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser]
    # One fused kernel a step: small networks would spend their time between the kernels of a loop over tensors.
    return kind(wanted, lr=recipe.lr, betas=recipe.betas, weight_decay=decay, fused=True)


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of step ``step`` (the first is 0): linear warm-up, then the recipe's schedule."""
    warm = round(recipe.warmup * recipe.steps)
    if step < warm:
        return recipe.lr * (step + 1) / warm
    done = (step - warm) / max(1, recipe.steps - warm)
    if recipe.schedule == "cosine":
        share = recipe.lr_end + (1 - recipe.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
    elif recipe.schedule == "exponential":
        share = recipe.lr_end**done
    elif recipe.schedule == "step":
        share = recipe.gamma ** sum(step >= milestone * recipe.steps for milestone in recipe.milestones)
    else:
        share = 1.0
    return recipe.lr * share


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients down to a norm of ``limit`` (0: leave them); their norm before that, ``(1,)``."""
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm.detach().reshape(1)


def freeze_norms(network: nn.Module, recipe: Recipe, step: int) -> None:
    """From the recipe's step on, batch norm uses its running statistics and no longer changes them; its weights still learn."""
    if step >= recipe.freeze_norm * recipe.steps:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


class Average:
    """Exponential moving average of a network's weights and buffers.

    The decay rises from 0.1 with the number of updates, so that the average leaves the initial weights quickly.

    Attributes:
        network: a copy of the followed network that holds the average, in eval mode.

    Args:
        followed: whose tensors are averaged.
        decay: the final decay a step; 0 follows the weights exactly.
    """

    def __init__(self, followed: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(followed).eval().requires_grad_(False)
        pairs = list(zip(self.weights().values(), followed.state_dict().values(), strict=True))
        self._mean = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._live = [live.detach() for _, live in pairs if live.is_floating_point()]
        self._counts = [(mean, live) for mean, live in pairs if not mean.is_floating_point()]

    def weights(self) -> dict[str, Tensor]:
        """The average under the network's keys; the tensors themselves, which the next update changes."""
        return dict(self.network.state_dict())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)
        for mean, live in self._counts:
            mean.copy_(live)
