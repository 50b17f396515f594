"""Exact rewrites: the same function of the same weights in fewer or faster steps, equal except for rounding (1e-5 on [0, 1]).

============  =========================================================================================
FSRCNN        the 9×9 transposed convolution becomes a convolution at LR size to scale² channels and a pixel shuffle
BTSRN         nearest neighbour + transposed convolution, once or twice, becomes one 1×1 convolution and a pixel shuffle
EDSR, MDSR    convolutions and shuffles after the body have no activation between them: one 5×5 convolution at LR size
SRResNet      batch norm goes into the convolution before it
DRRN          likewise inside a unit; the batch norm that sees the residual sum stays
all           a residual block's factor goes into its last convolution; replicated edges are copied as strips and PReLU
              is a maximum where PyTorch's own are slow (bf16, channels_last)
============  =========================================================================================

Other networks stay as they are. Weights are folded in float64.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.models._fast_layers import (
    FixedTransposedConvolution,
    ReplicatedConvolution,
    ShuffledTransposedConvolution,
    SlopedMaximum,
    is_gentle,
    is_replicated,
)
from srbench.models._folding import FoldedTail, fold_batch_norm, fold_patches, scaled
from srbench.models._layers import ResidualBlock
from srbench.models.btsrn import BTSRN, Upsample
from srbench.models.drrn import DRRN
from srbench.models.edsr import EDSR
from srbench.models.fsrcnn import ReplicatedTransposedConvolution
from srbench.models.mdsr import MDSR


def fuse(network: nn.Module) -> nn.Module:
    """A rewritten copy for inference, in eval mode; a plain copy if there is nothing to rewrite.

    Args:
        network: one from the registry, with or without a skip; it is not changed. Batch norms use their running statistics.
    """
    return _rewrite(copy.deepcopy(network).eval())


def can_fuse(network: nn.Module) -> bool:
    """Whether ``fuse`` changes anything."""
    return any(_applies(module) for module in network.modules())


class PlainResidual(nn.Module):
    """``ResidualBlock`` with its factor in the second convolution and the activation in place."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.conv1, self.conv2 = block.conv1, scaled(block.conv2, block.res_scale)

    def forward(self, x: Tensor) -> Tensor:
        return _plus(self.conv2(F.relu_(self.conv1(x))), x)


class FoldedDRRN(nn.Module):
    """DRRN whose units' second batch norm is part of their first convolution: 25 of them in place of a shared one."""

    def __init__(self, network: DRRN) -> None:
        super().__init__()
        self.first_norm, self.first = network.first_norm, network.first
        self.norms = network.norms_a
        self.units_a = nn.ModuleList(
            fold_batch_norm(network.unit_a, norm) for norm in network.norms_b if isinstance(norm, nn.BatchNorm2d)
        )
        self.unit_b = network.unit_b
        self.last_norm, self.last = network.last_norm, network.last

    def forward(self, x: Tensor) -> Tensor:
        start = self.first(F.relu_(self.first_norm(x)))
        h = start
        for norm, unit_a in zip(self.norms, self.units_a, strict=True):
            h = _plus(self.unit_b(F.relu_(unit_a(F.relu_(norm(h))))), start)
        return x + self.last(F.relu_(self.last_norm(h)))


def _plus(made: Tensor, x: Tensor) -> Tensor:
    """Their sum, in place where that loses nothing."""
    return made.add_(x) if made.dtype == x.dtype else made + x


def _rewrite(module: nn.Module) -> nn.Module:
    rule = _RULES.get(type(module))
    if rule is not None:
        module = rule(module)
    if _has_norm(module):
        module = _without_norms(module)
    for name, child in module.named_children():
        setattr(module, name, _rewrite(child))
    return module


def _applies(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return is_replicated(module)
    if isinstance(module, nn.PReLU):
        return is_gentle(module)
    return type(module) in _RULES or _has_norm(module)


def _transposed(module: nn.Module) -> nn.Module:
    assert isinstance(module, ReplicatedTransposedConvolution)
    return FixedTransposedConvolution(ShuffledTransposedConvolution(module))


def _btsrn(module: nn.Module) -> nn.Module:
    assert isinstance(module, BTSRN)
    steps = [step.step for step in module.upsample if isinstance(step, Upsample)]
    module.upsample = nn.Sequential(fold_patches(module.upsample, module.tail.in_channels, math.prod(steps)))
    return module


def _edsr(module: nn.Module) -> nn.Module:
    assert isinstance(module, EDSR)
    tail = nn.Sequential(*module.upsample, module.conv_last)
    module.upsample = nn.Sequential(FoldedTail(tail, module.conv_last.in_channels))
    module._modules["conv_last"] = nn.Identity()
    return module


def _mdsr(module: nn.Module) -> nn.Module:
    assert isinstance(module, MDSR)
    for name, layers in module.upsample.items():
        assert isinstance(layers, nn.Sequential)
        module.upsample[name] = FoldedTail(nn.Sequential(*layers, module.conv_last), module.conv_last.in_channels)
    module._modules["conv_last"] = nn.Identity()
    return module


def _replicated(module: nn.Conv2d) -> nn.Module:
    return ReplicatedConvolution(module) if is_replicated(module) else module


def _sloped(module: nn.PReLU) -> nn.Module:
    return SlopedMaximum(module) if is_gentle(module) else module


def _has_norm(module: nn.Module) -> bool:
    """A Sequential in which a batch norm follows a convolution."""
    return isinstance(module, nn.Sequential) and any(
        type(a) is nn.Conv2d and type(b) is nn.BatchNorm2d for a, b in pairwise(module)
    )


def _without_norms(layers: nn.Module) -> nn.Sequential:
    kept: list[nn.Module] = []
    for layer in layers.children():
        if kept and type(kept[-1]) is nn.Conv2d and type(layer) is nn.BatchNorm2d:
            kept[-1] = fold_batch_norm(kept[-1], layer)
        else:
            kept.append(layer)
    return nn.Sequential(*kept)


_RULES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    ReplicatedTransposedConvolution: _transposed,
    BTSRN: _btsrn,
    EDSR: _edsr,
    MDSR: _mdsr,
    DRRN: FoldedDRRN,
    ResidualBlock: PlainResidual,
    nn.Conv2d: _replicated,
    nn.PReLU: _sloped,
}
