"""Checkpoints of the zoo in half precision, measured on their validation images."""

from __future__ import annotations

from pathlib import Path

import torch

from srbench.subjects import resolve_one
from srbench.training.data.sets import find_training_sets
from srbench.training.loop.half import halved
from srbench.training.loop.validation import Validation, split
from srbench.zoo import Card, save_checkpoint


def halve(card: Card, zoo: Path | None = None, data_root: str | None = None) -> Card:
    """Measure a checkpoint of the zoo on its validation images, and store it in half precision if it may.

    Raises:
        InputError: its recipe is not on the card, or its data are not here.
    """
    upscaler = resolve_one(card.name, card.scales[0], zoo=zoo).upscaler()
    weights = {key: value.clone() for key, value in upscaler.network.state_dict().items()}
    recipe = card.config
    sets = find_training_sets(recipe["data"], data_root)
    val_from = find_training_sets(recipe["val_data"], data_root) if recipe.get("val_data") else sets
    val = recipe["val"] if isinstance(recipe["val"], int) else tuple(recipe["val"])
    _, paths = split(sets, val, val_from)
    validation = Validation(paths, card.scales[0], str(recipe.get("degradation", "bicubic")))
    with torch.inference_mode():
        stored, card = halved(weights, upscaler, card, validation)
    save_checkpoint(stored, card, zoo)
    return card
