"""Batch norm that keeps its statistics from a step of the recipe on, as small batches' own mislead a network."""

from __future__ import annotations

from torch import nn

from srbench.training.recipe.schema import Recipe


def freeze_norms(network: nn.Module, recipe: Recipe, step: int) -> None:
    """From the recipe's step on, batch norm uses its running statistics and no longer changes them; its weights still learn."""
    if recipe.freeze_norm < 1 and step >= recipe.freeze_norm * recipe.plan_at(step)[0]:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
