"""A run's batches over its stages: crops may grow, and each stage then has a sampler over the pictures that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from srbench.errors import InputError
from srbench.training.pictures import TrainingPictures
from srbench.training.recipe import Recipe
from srbench.training.sampler import Sampler


class Stages:
    """Samplers of all stages of a run.

    Attributes:
        first: the first stage's sampler.

    Args:
        pictures: loaded for the smallest patch.
        recipe: its patch, grow, batch, steps and seed.
        channels, pre_upsampled, rank, world: as for ``Sampler``.

    Raises:
        InputError: pictures of some stage that are too small or fewer than a batch.
    """

    def __init__(
        self,
        pictures: TrainingPictures,
        recipe: Recipe,
        channels: Literal["y", "rgb"],
        pre_upsampled: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._samplers: list[tuple[int, int, Sampler]] = []
        for start, stop, patch in recipe.stages():
            large = holding(pictures, patch) if recipe.grow else pictures
            sampler = Sampler(
                large, patch, recipe.batch, recipe.seed, recipe.augment, channels, pre_upsampled, rank, world
            )
            self._samplers.append((start, stop, sampler))
        self.first = self._samplers[0][2]

    def batches(self, start: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """LR and HR tensors of the steps from ``start`` to the run's end."""
        for first, stop, sampler in self._samplers:
            if start < stop:
                yield from sampler.batches(max(start, first), stop, device)


def holding(pictures: TrainingPictures, patch: int) -> TrainingPictures:
    """Those of the pictures and copies that hold a crop of ``patch`` LR pixels; InputError where none does."""
    side = patch * pictures.scale
    kept = [(hr, lr) for hr, lr in zip(pictures.hr, pictures.lr, strict=True) if min(hr.shape[:2]) >= side]
    if not kept:
        raise InputError(
            f"none of the {len(pictures.hr)} training pictures and copies holds a crop of {side}×{side} pixels "
            f"(grow to {patch} at x{pictures.scale}); expected smaller stages or larger pictures"
        )
    return replace(pictures, hr=[hr for hr, _ in kept], lr=[lr for _, lr in kept])
