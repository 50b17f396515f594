"""One step of a network that is trained on the differences between SR and HR."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srbench.training.data.sampler import Sampler
from srbench.training.loop.state import AdversarialFacts, Groups, RunState
from srbench.training.losses.pixel import Losses, Term
from srbench.training.optim.descent import Descent, Exchange, Part
from srbench.training.optim.norms import freeze_norms
from srbench.training.optim.precision import autocast
from srbench.training.optim.schedule import learning_rate
from srbench.training.recipe.schema import Recipe


@dataclass(frozen=True)
class Generator:
    """A network that learns.

    Attributes:
        network: its parameters and its keys.
        forward: the same function in the form that is quickest to train, ``(N, C, h, w)`` on [0, 1] → SR.
        recipe: how it learns.
        exchange: averages gradients and measured values over the processes of a run.
    """

    network: nn.Module
    forward: Callable[[Tensor], Tensor]
    recipe: Recipe
    exchange: Exchange

    def quiet(self, more: bool) -> AbstractContextManager[None]:
        """Where ``more`` parts of a batch follow, torch's DistributedDataParallel keeps a part's gradients to itself."""
        no_sync = getattr(self.forward, "no_sync", None)
        return no_sync() if more and no_sync is not None else nullcontext()


@dataclass(frozen=True)
class Batch:
    """What a step learned from and made.

    Attributes:
        lr: ``(n, C, h, w)`` on [0, 1]; upscaled already for a network that wants that.
        hr: ``(n, C, H, W)`` on [0, 1].
        sr: of the same shape, without a graph.
        values: measured, in the order of the step's ``names``; None where the generator did not learn from this batch.
    """

    lr: Tensor
    hr: Tensor
    sr: Tensor
    values: Tensor | None


def joined(parts: list[Tensor]) -> Tensor:
    """The images of a batch that was computed in parts."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class SupervisedStep:
    """The generator's step without an adversary.

    Attributes:
        names: of what a step measures beside the loss: the terms, in the recipe's order.

    Args:
        generator: what learns.
        learned: the terms of the recipe that look through another network.
    """

    def __init__(self, generator: Generator, learned: Mapping[str, Term] | None = None) -> None:
        self._generator, self._recipe = generator, generator.recipe
        self._losses = Losses(self._recipe.loss, learned, self._recipe.scale)
        self._descent = self._make_descent()
        self.names = list(self._losses.names)

    def _make_descent(self) -> Descent:
        return Descent(
            self._generator.network, self._recipe, self._generator.exchange, precision=self._recipe.precision
        )

    def __call__(self, step: int, lr: Tensor, hr: Tensor) -> Batch:
        """Learn from the batch ``(n, C, …)`` of ``step``."""
        made: list[Tensor] = []
        values = self._descent.over(
            self._parts(step, lr, hr, made), self._recipe.accumulate, learning_rate(self._recipe, step)
        )
        return Batch(lr, hr, joined(made), values)

    def _parts(self, step: int, lr: Tensor, hr: Tensor, made: list[Tensor]) -> Iterator[Part]:
        """Loss and terms of each part of a batch in turn; its SR is added to ``made``."""
        count = self._recipe.accumulate
        for index, (small, large) in enumerate(zip(lr.chunk(count), hr.chunk(count), strict=True)):
            with self._generator.quiet(index + 1 < count):
                sr = self.upscale(step, small)
                made.append(sr.detach())
                yield self.measured(sr, large)

    def upscale(self, step: int, lr: Tensor, learns: bool = True) -> Tensor:
        """SR of a batch, with its graph where the generator ``learns`` from it."""
        freeze_norms(self._generator.network, self._recipe, step)
        with autocast(lr.device, self._recipe.precision), torch.set_grad_enabled(learns):
            return self._generator.forward(lr)

    def measured(self, sr: Tensor, hr: Tensor) -> Part:
        """The weighted sum of the terms with its graph; the same and the terms without it."""
        loss, terms = self._losses(sr, hr)
        return loss, torch.cat([loss.detach()[None], terms])

    def updates_before(self, step: int) -> int:
        """How often the generator has learned before ``step``."""
        return step

    def follow(self, recipe: Recipe) -> None:
        """Go on by a recipe of another length."""
        self._recipe = recipe

    def begin(self, sampler: Sampler, device: torch.device) -> None:
        """Called once before the first step of a run, with what its first crops are drawn from."""

    def check(self) -> None:
        """Raise SrbenchError where a step since the last look measured what is no number; nothing is saved after it."""

    def report(self, done: int, values: Mapping[str, float], batch: Batch) -> dict[str, float]:  # noqa: ARG002
        """What this kind of training adds to the ``values`` of a log line after ``done`` steps."""
        scale = self._descent.scaler.scale
        return {} if scale is None else {"loss_scale": scale}

    @property
    def trouble(self) -> str:
        """What the last log line showed to be going wrong; "" where all is well."""
        return ""

    @property
    def events(self) -> list[tuple[int, str]]:
        """Steps at which something happened that belongs on the card, and what."""
        return []

    def tensors(self) -> Groups:
        """What a saved state keeps, by group."""
        return {"optimiser": self._descent.tensors()}

    def facts(self) -> AdversarialFacts | None:
        """What a saved state keeps besides :meth:`tensors`."""
        return None

    def load(self, state: RunState, device: torch.device) -> None:  # noqa: ARG002
        """Put :meth:`tensors` and :meth:`facts` of a saved state back."""
        self._descent.load(state.tensors.get("optimiser", {}))
