"""The weights that a network starts from where no checkpoint gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from srbench.errors import InputError
from srbench.models import Model
from srbench.models._skip import start_near_zero
from srbench.training.recipe.schema import Recipe


def draw_weights(network: nn.Module, model: Model, recipe: Recipe) -> None:
    """Draw ``network``'s weights as the recipe's ``init`` says, from torch's random state.

    Args:
        network: one of ``model``'s, with its own initial weights, which ``init = "model"`` keeps.
        model: its architecture.
        recipe: ``init = "pytorch"`` lets every layer draw its weights as PyTorch does; the last layer still starts near zero
            if its output is added to an upscaled input. ``init = "icnr"`` keeps the network's own weights, and lets the
            convolutions before a pixel shuffle start with equal filters for all phases.

    Raises:
        InputError: ``init = "icnr"`` for a network without a sub-pixel layer.
    """
    if recipe.init == "model":
        return
    if recipe.init == "icnr":
        start_phases_alike(network, model, recipe)
        return
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    if model.has_skip or recipe.skip == "bicubic":
        start_near_zero(network)


@torch.no_grad()
def start_phases_alike(network: nn.Module, model: Model, recipe: Recipe) -> None:
    """ICNR: a sub-pixel layer starts as nearest-neighbour upsampling of one convolution, without a lattice of its own.

    Aitken, Ledig, Theis and others, 2017, arXiv:1707.02937. Of each group of filters that a pixel shuffle interleaves, all get
    the first one's weights, so that nothing else of the network's own initialisation changes.

    Raises:
        InputError: the network has no convolution before a pixel shuffle.
    """
    found = _before_shuffles(network, model, recipe)
    if not found:
        raise InputError(
            f"init = 'icnr': {model.name} has no convolution before a pixel shuffle; expected init = 'model'"
        )
    for conv, phases in found:
        for parameter in (conv.weight, conv.bias):
            if parameter is not None:
                parameter.copy_(parameter[::phases].repeat_interleave(phases, 0))


def _before_shuffles(network: nn.Module, model: Model, recipe: Recipe) -> list[tuple[nn.Conv2d, int]]:
    """The convolutions whose output a pixel shuffle takes, and how many phases it makes of them, seen in one forward pass."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    hooks = [
        layer.register_forward_hook(lambda conv, _, out: made.update({id(out): (conv, out)}))
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    parameter = next(network.parameters())
    planes = next(layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
    side = max(8, model.minimum) * model.multiple_at(recipe.scale)
    watcher, was_training = _ShuffleWatcher(), network.training
    network.eval()  # batch norm's statistics stay
    with watcher:
        network(torch.zeros(1, planes, side, side, device=parameter.device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return [(made[id(taken)][0], factor**2) for taken, factor in watcher.seen if id(taken) in made]


class _ShuffleWatcher(TorchFunctionMode):
    """Notes what each pixel shuffle takes, as a layer or as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, int]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (F.pixel_shuffle, torch.pixel_shuffle):
            self.seen.append((args[0], int(args[1] if len(args) > 1 else (kwargs or {})["upscale_factor"])))
        return func(*args, **(kwargs or {}))
