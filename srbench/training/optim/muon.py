"""Muon: momentum whose steps are orthogonal matrices, so that weak directions of a layer are learned as fast as strong ones.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; steps of the size of Adam's as in Liu et al.,
2025, arXiv:2502.16982. ``torch.optim.Muon`` takes matrices alone, one after another; here a convolution is the matrix of its
outputs by everything else (a transposed one, of its inputs), and layers of one shape go through the iteration together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_RMS = 0.2  # of a step's entries at a rate of 1: about what Adam's have


class Muon(torch.optim.Optimizer):
    """Nesterov momentum made orthogonal, for weights of two axes or more; steps do not depend on the gradients' scale.

    Args:
        parameters: leaves of two axes or more.
        lr: Adam's rates fit.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(list(parameters), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there; ``closure`` is not supported."""
        assert closure is None
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters and group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            if parameters:
                self._step(parameters, group["lr"])

    def _step(self, parameters: list[Tensor], lr: float) -> None:
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for parameter, update in zip(parameters, self._momentum(parameters), strict=True):
            matrix = update.flatten(1)
            alike.setdefault((matrix.shape[0], matrix.shape[1]), []).append((parameter, matrix))
        for (rows, columns), pairs in alike.items():
            steps = orthogonal(torch.stack([matrix for _, matrix in pairs]))
            for (parameter, _), step in zip(pairs, steps, strict=True):
                parameter.add_(step.view(parameter.shape), alpha=-lr * _RMS * max(rows, columns) ** 0.5)

    def _momentum(self, parameters: list[Tensor]) -> tuple[Tensor, ...]:
        """Each gradient with its mean so far, which takes it in first (Nesterov)."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"], state["exp_avg"] = torch.tensor(0.0), torch.zeros_like(parameter)
            state["step"] += 1
        means = [self.state[p]["exp_avg"] for p in parameters]
        torch._foreach_lerp_(means, gradients, 1 - MOMENTUM)
        return torch._foreach_lerp(gradients, means, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices of the same singular vectors whose singular values are near 1 (0.7 to 1.2, but for those near 0).

    Newton-Schulz iteration of fifth order. Each step multiplies X by a polynomial in X·Xᵀ, so the iteration runs on that
    square matrix, the shorter way round, and X itself is multiplied once.

    Args:
        matrices: ``(N, rows, columns)``, of any scale.
    """
    flat = matrices.float()
    tall = flat.shape[1] > flat.shape[2]
    flat = flat.mT if tall else flat
    flat = flat / (flat.norm(dim=(1, 2), keepdim=True) + 1e-12)
    gram = flat @ flat.mT
    unit = torch.eye(gram.shape[1], device=gram.device)
    a, b, c = _COEFFICIENTS
    product: Tensor | None = None
    for _ in range(_ITERATIONS):
        factor = a * unit + b * gram + c * (gram @ gram)
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    assert product is not None
    made = product @ flat
    return (made.mT if tall else made).to(matrices.dtype)
