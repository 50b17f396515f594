"""Batch norm that keeps its statistics: from a step of the recipe on, as small batches' own mislead a network, or for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from srbench.training.recipe.schema import Recipe


def freeze_norms(network: nn.Module, recipe: Recipe, step: int) -> None:
    """From the recipe's step on, batch norm uses its running statistics and no longer changes them; its weights still learn."""
    if recipe.freeze_norm < 1 and step >= recipe.freeze_norm * recipe.plan_at(step)[0]:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


@contextmanager
def still_norms(network: nn.Module) -> Iterator[None]:
    """Batch norm goes on normalising by the batch, but its running statistics do not move while the block runs."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm, norm.momentum) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in kept:
            norm.momentum = momentum
