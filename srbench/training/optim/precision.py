"""Mixed precision: the type that a network computes in, and the scaling that keeps float16's small gradients from vanishing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_SCALE, _TRACKER = "scaler.scale", "scaler.tracker"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network runs by a recipe's ``precision``; ``"fp32"`` changes nothing."""
    return torch.autocast(device.type, _TYPES.get(precision, torch.bfloat16), enabled=precision in _TYPES)


def rounding(precision: str) -> float:
    """The relative distance between neighbouring numbers of what a recipe's ``precision`` computes in."""
    return torch.finfo(_TYPES.get(precision, torch.float32)).eps


class LossScaler:
    """torch's ``GradScaler`` around a step; for all but ``"fp16"`` it does nothing, so that no bit changes.

    A step whose gradients are not finite is left out, and the next loss is scaled less.

    Args:
        precision: of the recipe.
        device: that the weights are on.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None

    @property
    def scale(self) -> float | None:
        """The factor on the loss; None where none is needed. On a GPU the question waits for its queue."""
        return float(self._scaler.get_scale()) if self._scaler else None

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to go backward from."""
        return self._scaler.scale(loss) if self._scaler else loss

    def unscale(self, optimisers: Sequence[torch.optim.Optimizer]) -> None:
        """Bring the gradients to their true size, before they are measured or clipped."""
        if self._scaler:
            for optimiser in optimisers:
                self._scaler.unscale_(optimiser)

    def step(self, optimisers: Sequence[torch.optim.Optimizer]) -> None:
        """Step along gradients that are finite, and choose the next scale."""
        for optimiser in optimisers:
            if self._scaler:
                self._scaler.step(optimiser)
            else:
                optimiser.step()
        if self._scaler:
            self._scaler.update()

    def finite(self, norm: Tensor) -> Tensor:
        """A norm to log: 0 for gradients whose step is left out."""
        return torch.where(norm.isfinite(), norm, 0.0) if self._scaler else norm

    def tensors(self) -> dict[str, Tensor]:
        """What a saved state keeps; nothing where nothing is scaled."""
        if not self._scaler:
            return {}
        held = self._scaler.state_dict()
        return {
            _SCALE: torch.tensor(held["scale"], dtype=torch.float64),
            _TRACKER: torch.tensor(held["_growth_tracker"]),
        }

    def load(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Put :meth:`tensors` back; what is left of a state's tensors, which is the optimisers'."""
        if self._scaler and _SCALE in tensors:
            kept = {"scale": float(tensors[_SCALE]), "_growth_tracker": int(tensors[_TRACKER])}
            self._scaler.load_state_dict({**self._scaler.state_dict(), **kept})
        return {key: tensor for key, tensor in tensors.items() if key not in (_SCALE, _TRACKER)}
