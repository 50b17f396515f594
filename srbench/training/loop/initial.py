"""The weights that a network starts from where no checkpoint gives them."""

from __future__ import annotations

from torch import nn

from srbench.models import Model
from srbench.models._skip import start_near_zero
from srbench.training.recipe.schema import Recipe


def draw_weights(network: nn.Module, model: Model, recipe: Recipe) -> None:
    """Draw ``network``'s weights as the recipe's ``init`` says, from torch's random state.

    Args:
        network: one of ``model``'s, with its own initial weights, which ``init = "model"`` keeps.
        model: its architecture.
        recipe: ``init = "pytorch"`` lets every layer draw its weights as PyTorch does; the last layer still starts near zero
            if its output is added to an upscaled input.
    """
    if recipe.init == "model":
        return
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    if model.has_skip or recipe.skip == "bicubic":
        start_near_zero(network)
