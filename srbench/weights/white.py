"""Weights for input and output in 0–255 → weights of the same network for 0–1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srbench.weights.probe import sample

SIDE = 48
"""Pixels of the input on which a network is run."""


def sample_input(channels: str) -> Tensor:
    """``(1, C, SIDE, SIDE)`` in [0, 1], C being 1 for ``y`` and 3 for ``rgb``."""
    image = sample(SIDE)
    return image.mean(1, keepdim=True) if channels == "y" else image


@torch.no_grad()
def folded(network: nn.Module, white: float, channels: str) -> dict[str, Tensor]:
    """Let the first convolution take [0, 1] and the last one give it; what lies between sees what it saw.

    A sum of the input and the last convolution's output stays one: both are divided. Whether the network is such, a comparison
    of outputs says.

    Args:
        network: with its weights, for input in ``[0, white]``; they stay.
        white: such as 255.
        channels: ``y`` or ``rgb``.

    Returns:
        its state dict with other weights in two layers.
    """
    state = dict(network.state_dict())
    names = {module: name for name, module in network.named_modules()}
    seen: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: seen.append(module))
        for module in names
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    network.eval()(sample_input(channels))
    for hook in hooks:
        hook.remove()
    first, last = names[seen[0]], names[seen[-1]]
    state[f"{first}.weight"] = state[f"{first}.weight"] * white
    for key in (f"{last}.weight", f"{last}.bias"):
        if key in state:
            state[key] = state[key] / white
    return state
