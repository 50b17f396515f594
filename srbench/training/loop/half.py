"""Weights in half precision, where validation images show that nothing is lost by it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from srbench.training.loop.validation import Validation
from srbench.upscaler import Upscaler
from srbench.zoo import Card

LIMIT_DB = 0.002
"""A smaller change of the mean PSNR on validation images counts as none."""


def halved(
    weights: Mapping[str, Tensor],
    upscaler: Upscaler,
    card: Card,
    validation: Validation,
    measured: Sequence[float] = (),
) -> tuple[dict[str, Tensor], Card]:
    """Weights as float16 where that changes PSNR by less than ``LIMIT_DB``, else as they are.

    Args:
        weights: float32, of the network.
        upscaler: around the network, at the scale to measure at; the network is left with one of the two.
        card: of these weights.
        validation: the images to measure on.
        measured: PSNR (dB) of the weights on each of them, where that is known already.

    Returns:
        the weights to store, and the card with ``weights``, ``half_change`` (dB, of float16 against float32; None where
        float16 cannot hold them) and ``val_each`` (of what is stored).
    """
    small = {key: value.half() if value.is_floating_point() else value for key, value in weights.items()}
    held = all(bool(value.isfinite().all()) for value in small.values())  # 65,504 is float16's largest number
    found: list[list[float]] = [list(measured)] if measured else []
    for state in (weights, small)[len(found) : 1 + held]:
        upscaler.network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        found.append(validation.each(upscaler))
    change = math.fsum(found[1]) / len(found[1]) - math.fsum(found[0]) / len(found[0]) if held else None
    fits = change is not None and abs(change) < LIMIT_DB
    update = {
        "weights": "float16" if fits else "float32",
        "half_change": None if change is None else round(change, 6),
        "val_each": [round(psnr, 4) for psnr in found[int(fits)]],
    }
    return small if fits else dict(weights), card.model_copy(update=update)
