"""The recipe's optimiser, and its state as tensors that a run saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from srbench.training.optim.adam import VectorAdam
from srbench.training.optim.muon import Muon


class OptimiserKeys(Protocol):
    """What a recipe says of the network's optimiser, and its ``[adversarial]`` table of the discriminator's."""

    @property
    def optimiser(self) -> str: ...
    @property
    def lr(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def weight_decay(self) -> float: ...


def make_optimisers(parameters: Iterable[nn.Parameter], recipe: OptimiserKeys) -> list[torch.optim.Optimizer]:
    """The recipe's optimiser of the parameters that want gradients; Muon takes matrices, an Adam beside it the vectors."""
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    lr, betas, decay = recipe.lr, recipe.betas, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return [torch.optim.SGD(wanted, lr=lr, momentum=betas[0], weight_decay=decay)]
    if recipe.optimiser == "rmsprop":
        return [torch.optim.RMSprop(wanted, lr=lr, alpha=betas[1], weight_decay=decay)]
    if recipe.optimiser == "muon":
        matrices, vectors = [p for p in wanted if p.dim() > 1], [p for p in wanted if p.dim() < 2]
        muon = [Muon(matrices, lr, decay)] if matrices else []
        return [*muon, *([VectorAdam(vectors, lr, betas, decay)] if vectors else [])]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser]
    # One fused kernel a step: small networks would spend their time between the kernels of a loop over tensors.
    return [kind(wanted, lr=lr, betas=betas, weight_decay=decay, fused=True)]


def optimiser_tensors(
    optimisers: Sequence[torch.optim.Optimizer], parameters: Sequence[nn.Parameter]
) -> dict[str, Tensor]:
    """The optimisers' state as ``<index in parameters>.<entry>``; their settings come from the recipe."""
    return {
        f"{index}.{entry}": torch.as_tensor(value)
        for index, parameter in enumerate(parameters)
        for optimiser in optimisers
        for entry, value in optimiser.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimisers(
    optimisers: Sequence[torch.optim.Optimizer], parameters: Sequence[nn.Parameter], tensors: dict[str, Tensor]
) -> None:
    """Put the tensors of :func:`optimiser_tensors` back, in the memory layout of their parameters.

    A fused optimiser walks a parameter and its moments side by side in memory and would mix them up otherwise.
    """
    for optimiser in optimisers:
        own = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        places = {id(parameter): place for place, parameter in enumerate(own)}
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            index, _, entry = key.partition(".")
            parameter = parameters[int(index)]
            if id(parameter) in places:
                like = parameter.detach()
                moment = tensor.shape == like.shape
                held = torch.empty_like(like).copy_(tensor) if moment else tensor
                state.setdefault(places[id(parameter)], {})[entry] = held
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
