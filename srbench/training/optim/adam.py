"""Adam for what Muon leaves: vectors, such as biases, slopes and norms."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_EPSILON = 1e-8


class VectorAdam(torch.optim.Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101).

    It differs from ``torch.optim.AdamW`` only in the order in which the second moment is corrected and its root taken, hence in
    the last bits. The zoo's Muon networks were trained with it, so that repeating a run ends in the same weights.

    Args:
        parameters: leaf tensors.
        lr: the learning rate.
        betas: decay of the two moments.
        weight_decay: decoupled weight decay.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float = 0.0
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there; ``closure`` is not supported."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    if group["weight_decay"]:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    self._step(parameter, parameter.grad, group["lr"], group["betas"])

    def _step(self, parameter: Tensor, gradient: Tensor, lr: float, betas: tuple[float, float]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        count = float(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - betas[0])
        state["exp_avg_sq"].lerp_(gradient.square(), 1 - betas[1])
        deviation = (state["exp_avg_sq"] / (1 - betas[1] ** count)).sqrt_().add_(_EPSILON)
        parameter.addcdiv_(state["exp_avg"], deviation, value=-lr / (1 - betas[0] ** count))
