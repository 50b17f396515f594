"""The learning rate at a step."""

from __future__ import annotations

import math

from srbench.training.recipe.schema import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """The rate of step ``step`` (the first is 0): linear warm-up, then the recipe's schedule."""
    steps, _ = recipe.plan_at(step)
    warm = round(recipe.warmup * steps)
    if step < warm:
        return recipe.lr * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    if recipe.schedule == "cosine":
        share = recipe.lr_end + (1 - recipe.lr_end) * 0.5 * (1 + math.cos(math.pi * done))
    elif recipe.schedule == "exponential":
        share = recipe.lr_end**done
    elif recipe.schedule == "step":
        share = recipe.gamma ** sum(step >= milestone * steps for milestone in recipe.milestones)
    else:
        share = 1.0
    return recipe.lr * share
