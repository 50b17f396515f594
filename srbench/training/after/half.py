"""Checkpoints of the zoo in half precision, measured on their validation images."""

from __future__ import annotations

from pathlib import Path

import torch

from srbench.errors import InputError
from srbench.subjects import resolve_one
from srbench.training.after.gate import validation_paths
from srbench.training.loop.half import halved
from srbench.training.loop.validation import Validation
from srbench.zoo import Card, save_checkpoint


def halve(card: Card, zoo: Path | None = None, data_root: str | None = None) -> Card:
    """Measure a checkpoint of the zoo on its validation images, and store it in half precision if it may.

    Raises:
        InputError: its recipe is not on the card, or its data are not here.
    """
    if not card.config:
        raise InputError(
            f"{card.name} has no recipe on its card, which would say what to measure it on; it stays as it is"
        )
    upscaler = resolve_one(card.name, card.scales[0], zoo=zoo).upscaler()
    weights = {key: value.clone() for key, value in upscaler.network.state_dict().items()}
    recipe = card.config
    validation = Validation(
        validation_paths(recipe, data_root), card.scales[0], str(recipe.get("degradation", "bicubic"))
    )
    with torch.inference_mode():
        stored, card = halved(weights, upscaler, card, validation)
    save_checkpoint(stored, card, zoo)
    return card
