"""One step of adversarial training: the discriminator's and the generator's, in the order in which they happen.

What either side wants of the other's scores is in ``losses.adversarial``; the networks are in ``srbench.models``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from srbench.errors import InputError
from srbench.models import Channels
from srbench.models.discriminators import DISCRIMINATORS
from srbench.models.discriminators.srgan import Discriminator
from srbench.training.data.sampler import WHOLE, Sampler, Share
from srbench.training.loop.progress import Window
from srbench.training.loop.state import AdversarialFacts, Groups, RunState
from srbench.training.loop.step import Batch, Generator, SupervisedStep, joined
from srbench.training.losses.adversarial import OBJECTIVES, Noise, gradient_penalty, make_targets
from srbench.training.losses.collapse import CollapseWatch, crop_health
from srbench.training.losses.pixel import Term
from srbench.training.optim.descent import Descent, Part
from srbench.training.optim.norms import still_norms
from srbench.training.optim.precision import autocast
from srbench.training.optim.schedule import learning_rate
from srbench.training.recipe.schema import Recipe
from srbench.training.recipe.tables import Adversarial

_PENALTY_STREAM = 2  # of the step's random numbers; labels of HR and SR take 0 and 1


@dataclass(frozen=True)
class Surroundings:
    """Where an adversarial run takes place.

    Attributes:
        channels: ``y`` or ``rgb``.
        device: where the discriminator computes.
        folder: the run's, which an error names.
        share: which slice of the global batch this process has.
    """

    channels: Channels
    device: torch.device
    folder: Path
    share: Share = WHOLE


class AdversarialStep(SupervisedStep):
    """The discriminator learns from every batch, then the generator from every ``n_critic``-th.

    Of several processes each judges its slice of the batch; batch norm and the relativistic mean are then a slice's own.

    Attributes:
        discriminator: gives logits (a critic's scores, in the Wasserstein kinds).
        collapse: names a collapse.

    Args:
        generator: its recipe's loss has an adversarial term.
        learned: the other terms of the recipe that look through another network.
        around: where it takes place.

    Raises:
        InputError: a patch that the discriminator cannot take.
    """

    def __init__(self, generator: Generator, learned: Mapping[str, Term], around: Surroundings) -> None:
        super().__init__(generator, {**learned, "adversarial": self.adversarial_loss})
        recipe = generator.recipe
        self._keys, self._around = keys_of(recipe), around
        self._objective = OBJECTIVES[self._keys.kind]()
        self._noise = Noise(recipe.seed, around.share.rank, around.share.world)
        self.discriminator = make_discriminator(recipe, around.channels).to(around.device)
        if recipe.channels_last:
            self.discriminator = self.discriminator.to(memory_format=torch.channels_last)
        self._discriminators_descent = Descent(
            self.discriminator, self._keys, generator.exchange, measure_norm=True, precision=recipe.precision
        )
        self.names.append("g_grad")
        penalty = ["penalty"] if self._keys.kind == "wgan-gp" else []
        self._window = Window(["d_loss", *self._objective.measured, *penalty, "d_grad"])
        self._latest: dict[str, float] = {}
        self.collapse, self._trouble = CollapseWatch(self._keys, precision=recipe.precision), ""

    def _make_descent(self) -> Descent:
        return Descent(
            self._generator.network,
            self._recipe,
            self._generator.exchange,
            measure_norm=True,
            precision=self._recipe.precision,
        )

    # The step

    def __call__(self, step: int, lr: Tensor, hr: Tensor) -> Batch:
        """Learn from the batch ``(n, C, …)`` of ``step``: the discriminator, then the generator if it is its turn."""
        learns = (step + 1) % self._keys.n_critic == 0
        if self._recipe.accumulate > 1:
            return self._by_parts(step, lr, hr, learns)
        sr = self.upscale(step, lr, learns)
        self.discriminator_step(step, sr, hr)
        values = self._descent(*self.measured(sr, hr), learning_rate(self._recipe, step)) if learns else None
        return Batch(lr, hr, sr.detach(), values)

    def _by_parts(self, step: int, lr: Tensor, hr: Tensor, learns: bool) -> Batch:
        """The same for a batch in parts. SR is made twice, as the graphs of all parts at once would need the whole's memory."""
        count = self._recipe.accumulate
        sr = joined([self.upscale(step, small, learns=False) for small in lr.chunk(count)])
        self.discriminator_step(step, sr, hr)
        if not learns:
            return Batch(lr, hr, sr, None)
        with still_norms(self._generator.network):  # each image counts once in their statistics
            values = self._descent.over(self._parts(step, lr, hr, []), count, learning_rate(self._recipe, step))
        return Batch(lr, hr, sr, values)

    def discriminator_step(self, step: int, sr: Tensor, hr: Tensor) -> None:
        """Tell HR from SR ``(n, C, H, W)`` better; no gradient reaches the generator."""
        count = self._recipe.accumulate
        pairs = zip(sr.detach().float().chunk(count), hr.chunk(count), strict=True)
        parts = (
            self._discriminators_part(step, fake, real, self._noise.part(index, count))
            for index, (fake, real) in enumerate(pairs)
        )
        rate = self._keys.lr / self._recipe.lr * learning_rate(self._recipe, step)
        values = self._discriminators_descent.over(parts, count, rate)
        if self._keys.kind == "wgan-clip":
            clip_weights(self.discriminator, self._keys.clip)
        self._window.add(step, values)

    def _discriminators_part(self, step: int, sr: Tensor, hr: Tensor, noise: Noise) -> Part:
        """The discriminator's loss, and what is measured of it."""
        real, fake = self.judge(hr), self.judge(sr)
        targets = make_targets(self._keys, step, real, noise)
        loss, measured = self._objective.discriminator(real, fake, targets)
        if self._keys.kind == "wgan-gp":
            share = noise.draw(step, _PENALTY_STREAM, hr)
            penalty = gradient_penalty(self.discriminator, sr, hr, share)
            loss = loss + self._keys.penalty * penalty
            measured.append(penalty)
        return loss, torch.stack([loss, *measured]).detach()

    def adversarial_loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The generator's adversarial term; the discriminator gets no gradient from it."""
        self.discriminator.requires_grad_(False)
        loss = self._objective.generator(self.judge(sr), lambda: self._judge_without_gradient(hr))
        self.discriminator.requires_grad_(True)
        return loss

    def judge(self, images: Tensor) -> Tensor:
        """The discriminator's scores, ``(n, 1)`` or a map ``(n, 1, h, w)``, of images ``(n, C, H, W)``, float32."""
        with autocast(images.device, self._recipe.precision):
            made: Tensor = self.discriminator(images)
        return made.float()

    @torch.no_grad()
    def _judge_without_gradient(self, images: Tensor) -> Tensor:
        return self.judge(images)

    # What a run asks of it

    def updates_before(self, step: int) -> int:
        """How often the generator has learned before ``step``."""
        return step // self._keys.n_critic

    def begin(self, sampler: Sampler, device: torch.device) -> None:
        """Draw the reference batch of virtual batch norm: HR crops drawn as those of the step after the last one."""
        if self._keys.norm == "virtual":
            count = min(self._keys.reference, len(sampler.images.hr))
            self._set_reference(sampler.of_batch(count).tensors_at(self._recipe.plan_at(0)[0], device)[1])

    def _set_reference(self, batch: Tensor) -> None:
        assert isinstance(self.discriminator, Discriminator), "the discriminators with virtual batch norm"
        self.discriminator.set_reference(batch)

    def check(self) -> None:
        """Raise SrbenchError where a step since the last look measured what is no number."""
        self.collect()

    def collect(self) -> dict[str, float]:
        """Mean values of the discriminator's steps since the last call; SrbenchError where one is not finite."""
        self._latest = self._window.means(self._around.folder, self._recipe.seed) or self._latest
        return self._latest

    def report(self, done: int, values: Mapping[str, float], batch: Batch) -> dict[str, float]:
        """The health of both sides, for a log line; raises as :meth:`collect`.

        That is ``d_loss``, ``d_real``, ``d_fake``, ``wasserstein`` and ``penalty`` where the kind has them, ``d_grad``,
        ``lr_psnr`` and ``contrast``.
        """
        found = {
            **super().report(done, values, batch),
            **self.collect(),
            **crop_health(batch.sr, batch.lr, batch.hr, self._recipe.scale),
        }
        self._trouble = self.collapse.look(done, {**values, **found})
        return found

    @property
    def trouble(self) -> str:
        """The collapse that the last log line showed; "" where there was none."""
        return self._trouble

    @property
    def events(self) -> list[tuple[int, str]]:
        """Step and reason of each collapse."""
        return self.collapse.facts.events

    def tensors(self) -> Groups:
        """What a saved state keeps, by group; the reference batch too, where there is one."""
        reference = getattr(self.discriminator, "reference", None)
        return {
            **super().tensors(),
            "discriminator": dict(self.discriminator.state_dict()),
            "discriminator_optimiser": self._discriminators_descent.tensors(),
            **({"reference": {"batch": reference}} if isinstance(reference, Tensor) else {}),
        }

    def facts(self) -> AdversarialFacts:
        """What a saved state keeps besides :meth:`tensors`."""
        return AdversarialFacts(collapse=self.collapse.facts, latest=self._latest)

    def load(self, state: RunState, device: torch.device) -> None:
        """Put :meth:`tensors` and :meth:`facts` of a saved state back."""
        super().load(state, device)
        tensors, kept = state.tensors, state.facts.adversarial
        assert kept is not None, "a state of the same recipe"
        self.collapse = CollapseWatch(self._keys, kept.collapse, self._recipe.precision)
        self._latest = kept.latest
        self.discriminator.load_state_dict(tensors["discriminator"])
        self._discriminators_descent.load(tensors.get("discriminator_optimiser", {}))
        if "reference" in tensors:
            self._set_reference(tensors["reference"]["batch"].to(device))


def keys_of(recipe: Recipe) -> Adversarial:
    """The recipe's ``[adversarial]``, which a recipe with that term has."""
    assert recipe.discriminator is not None
    return recipe.discriminator


def make_discriminator(recipe: Recipe, channels: str) -> nn.Module:
    """The recipe's discriminator for HR crops of its patch.

    Raises:
        InputError: a patch or a norm that it cannot take.
    """
    keys = keys_of(recipe)
    sides = [patch * recipe.scale for _, _, patch in recipe.stages()]
    chosen = DISCRIMINATORS.get(keys.discriminator)
    try:
        chosen.check(sides, keys.norm)
    except InputError as error:
        given = f"grow = {list(recipe.grow)}" if recipe.grow else f"patch = {recipe.patch}"
        raise InputError(f"{given} at x{recipe.scale}: {error}") from None
    return chosen.build(sides[0], keys.norm, channels)


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clip what multiplies features to ±``limit``: a batch norm's gain of 0.01 would leave nothing of its input."""
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.clamp_(-limit, limit)
