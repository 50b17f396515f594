"""Loss terms by name; a recipe gives each term its weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from srbench.constants import constant
from srbench.errors import InputError, UnknownNameError
from srbench.images import resize_weights

Term = Callable[[Tensor, Tensor], Tensor]


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (sr - hr).abs().mean()


def mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared difference."""
    return (sr - hr).square().mean()


def charbonnier(sr: Tensor, hr: Tensor) -> Tensor:
    """Smooth L1, ``mean(sqrt(d² + ε²))`` with ε = 0.001 (LapSRN, Lai et al. 2017, arXiv 1704.03915)."""
    return ((sr - hr).square() + 1e-6).sqrt().mean()


def consistency(scale: int) -> Term:
    """Mean absolute difference of the images after both were downscaled to LR size (MATLAB's bicubic, nothing rounded).

    It leaves detail free and holds what LR shows: colours, brightness, shapes. lr-psnr measures the same. Computed as two
    products of matrices, whose gradient is the same bits each time on a GPU, too.
    """

    def term(sr: Tensor, hr: Tensor) -> Tensor:
        rows, columns = (_shrinker(length, scale).to(sr) for length in sr.shape[-2:])
        return (rows @ (sr - hr) @ columns.T).abs().mean()

    return term


@constant
def _shrinker(length: int, scale: int) -> Tensor:
    """The bicubic downscaling of an axis, ``(length / scale, length)``."""
    weights, index = resize_weights(length, length // scale, 1 / scale)
    matrix = torch.zeros(length // scale, length, dtype=torch.float64)
    return matrix.scatter_add_(1, torch.from_numpy(index), torch.from_numpy(weights)).float()


TERMS: dict[str, Term] = {"l1": l1, "mse": mse, "charbonnier": charbonnier}
"""The terms that need nothing but the two images."""

SCALED: dict[str, Callable[[int], Term]] = {"consistency": consistency}
"""The terms that depend on the scale."""

LEARNED = ("perceptual", "adversarial")
"""The terms that look through another network, which a table of the recipe of the same name describes."""


def check_terms(weights: Mapping[str, float]) -> None:
    """Raise UnknownNameError, with the nearest name, for a term that does not exist."""
    for name in weights:
        if name not in (*TERMS, *SCALED, *LEARNED):
            raise UnknownNameError("loss term", name, (*TERMS, *SCALED, *LEARNED), "the recipe's loss")


class Losses:
    """The weighted sum of named terms.

    Args:
        weights: weight of each term.
        learned: the terms of ``LEARNED`` that ``weights`` names.
        scale: the upscaling factor.

    Raises:
        UnknownNameError: a term that does not exist.
        InputError: a learned term that was not given.
    """

    def __init__(self, weights: Mapping[str, float], learned: Mapping[str, Term] | None = None, scale: int = 1) -> None:
        check_terms(weights)
        known = {**TERMS, **{name: term(scale) for name, term in SCALED.items()}, **(learned or {})}
        for name in weights:
            if name not in known:
                raise InputError(f"the loss term {name!r} needs a network that looks at the images; none was given")
        self.names = list(weights)
        self._weights = [float(weight) for weight in weights.values()]
        self._terms = [known[name] for name in weights]

    def __call__(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted sum, and the unweighted terms ``(len(names),)`` without gradient, in the order of ``names``.

        ``sr`` and ``hr`` are ``(N, C, H, W)`` on [0, 1]; ``sr`` may be of lower precision.
        """
        sr = sr.float()
        values = [term(sr, hr) for term in self._terms]
        total = torch.stack([weight * value for weight, value in zip(self._weights, values, strict=True)]).sum()
        return total, torch.stack(values).detach()
