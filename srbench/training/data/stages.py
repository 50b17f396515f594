"""A run's batches over its stages: crops may grow, and each stage then has a sampler over the images that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from srbench.errors import InputError
from srbench.training.data.images import TrainingImages
from srbench.training.data.sampler import WHOLE, Sampler, Share
from srbench.training.recipe.schema import Recipe


class Stages:
    """Samplers of all stages of a run.

    Attributes:
        first: the first stage's sampler.

    Args:
        images: loaded for the smallest patch.
        recipe: its patch, grow, batch, steps and seed.
        channels: as for ``Sampler``.
        pre_upsampled: as for ``Sampler``.
        share: as for ``Sampler``.

    Raises:
        InputError: images of some stage that are too small or fewer than a batch.
    """

    def __init__(
        self,
        images: TrainingImages,
        recipe: Recipe,
        channels: Literal["y", "rgb"],
        pre_upsampled: bool = False,
        share: Share = WHOLE,
    ) -> None:
        self._stages = recipe.stages()
        self._samplers: dict[int, Sampler] = {}
        for patch in (recipe.patch, *recipe.grow):
            large = holding(images, patch) if recipe.grow else images
            self._samplers[patch] = Sampler(
                large, patch, recipe.batch, recipe.seed, recipe.augment, channels, pre_upsampled, share
            )
        self.first = self._samplers[recipe.patch]

    def follow(self, recipe: Recipe) -> None:
        """Go on by a recipe of another length."""
        self._stages = recipe.stages()

    def batches(self, start: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """LR and HR tensors of the steps from ``start`` to the run's end."""
        for first, stop, patch in self._stages:
            if start < stop:
                yield from self._samplers[patch].batches(max(start, first), stop, device)


def holding(images: TrainingImages, patch: int) -> TrainingImages:
    """Those of the images and copies that hold a crop of ``patch`` LR pixels; InputError where none does."""
    side = patch * images.scale
    kept = [number for number, size in enumerate(images.sizes) if min(size) >= side]
    if not kept:
        raise InputError(
            f"none of the {len(images.hr)} training images and copies holds a crop of {side}×{side} pixels "
            f"(grow to {patch} at x{images.scale}); expected smaller stages or larger images"
        )
    return images.of(kept)
