"""``compile = true``: the network through ``torch.compile``, tried before the run so that a refusal is one line."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn

from srbench.errors import InputError
from srbench.training.optim.precision import autocast
from srbench.training.recipe.schema import Recipe


def compiled(network: nn.Module, recipe: Recipe, shape: tuple[int, int, int, int]) -> nn.Module:
    """A compiled form of ``network`` that shares its weights, proved by one forward and backward pass.

    Args:
        network: on its device, in the recipe's memory layout; neither its weights nor its statistics change.
        recipe: whose precision and layout are tried.
        shape: ``(N, C, h, w)`` of a batch.

    Raises:
        InputError: torch cannot compile the network, its gradient, or anything on this machine (no C++ compiler).
    """
    device = next(network.parameters()).device
    before = copy.deepcopy(network.state_dict())
    forward: Any = torch.compile(network)
    try:
        with autocast(device, recipe.precision):
            sr = forward(torch.zeros(shape, device=device))
        sr.float().sum().backward()
    except Exception as error:  # the compiler fails in many ways: its own errors, assertions, a missing C++ compiler
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"compile = true: torch {torch.__version__} cannot compile this network ({reason[:160]}); use compile = false"
        ) from None
    network.load_state_dict(before)
    network.zero_grad()
    return cast(nn.Module, forward)
