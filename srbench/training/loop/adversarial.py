"""Adversarial training: the discriminator's steps and the term that the generator learns from.

- standard: Goodfellow et al., 2014, arXiv:1406.2661; smoothed and noisy labels: Salimans et al., 2016, arXiv:1606.03498;
- relativistic average: Jolicoeur-Martineau, 2018, arXiv:1807.00734, as in ESRGAN;
- Wasserstein with clipped weights: Arjovsky et al., 2017, arXiv:1701.07875;
- Wasserstein with gradient penalty: Gulrajani et al., 2017, arXiv:1704.00028.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import InputError
from srbench.models._discriminators import Discriminator, convolutional_discriminator, dense_discriminator
from srbench.training.checkpoint import load_optimiser, optimiser_tensors
from srbench.training.health import Health, consistency
from srbench.training.optimise import clip_gradients, learning_rate, make_optimiser
from srbench.training.progress import Window
from srbench.training.recipe import Recipe
from srbench.training.sampler import Sampler

_STRIDE = 16  # what the discriminators' convolutions shrink a patch by
_NOISE = (
    1  # the stream of random numbers that labels and penalties draw from; crops draw from the stream without a number
)


def make_discriminator(recipe: Recipe, channels: str) -> Discriminator:
    """The recipe's discriminator for HR crops of its patch.

    Raises:
        InputError: a patch that it cannot take.
    """
    game = recipe.game
    assert game is not None
    side = recipe.patch * recipe.scale
    if game.discriminator == "convolutional":
        if side < _STRIDE:
            raise InputError(
                f"patch = {recipe.patch} at x{recipe.scale} gives {side} HR pixels; the discriminator needs {_STRIDE} or more"
            )
        return convolutional_discriminator(game.norm, channels)
    if side % _STRIDE or recipe.grow:
        wrong = f"grow = {list(recipe.grow)}" if recipe.grow else f"patch = {recipe.patch}"
        raise InputError(
            f"{wrong} at x{recipe.scale}: the dense discriminator takes HR crops of one size that is a multiple of "
            f"{_STRIDE}, not {side if not recipe.grow else 'several'}; "
            f"adversarial.discriminator = 'convolutional' takes any of {_STRIDE} pixels or more"
        )
    return dense_discriminator(side, game.norm, channels)


class Game:
    """A discriminator, its optimiser and the rules of ``[adversarial]``.

    Of several processes each judges its slice of the batch; batch norm and the relativistic mean are then a slice's own.

    Attributes:
        discriminator: gives logits (a critic's scores, in the Wasserstein kinds).
        health: names a collapse.

    Args:
        recipe: one whose loss has an adversarial term.
        channels: ``y`` or ``rgb``.
        device: where the discriminator computes.
        average: averages gradients and measured values over the processes of a run; see ``Processes.average``.
        folder: the run's, which an error names.
        rank, world: which slice of the global batch this process has.

    Raises:
        InputError: a patch that the discriminator cannot take.
    """

    def __init__(
        self,
        recipe: Recipe,
        channels: str,
        device: torch.device,
        average: Callable[[Iterable[nn.Parameter], Tensor], Tensor],
        folder: Path,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        game = recipe.game
        assert game is not None
        self._recipe, self._game, self._average, self._folder = recipe, game, average, folder
        self.health = Health(game)
        self._rank, self._world = rank, world
        self._bf16 = recipe.precision == "bf16"
        self.discriminator = make_discriminator(recipe, channels).to(device)
        if recipe.channels_last:
            self.discriminator = self.discriminator.to(memory_format=torch.channels_last)
        self._parameters = list(self.discriminator.parameters())
        self._clipped = [
            layer.weight for layer in self.discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
        ]
        self._optimiser = make_optimiser(self._parameters, game)
        wasserstein = ["wasserstein"] if game.kind.startswith("wgan") else []
        penalty = ["penalty"] if game.kind == "wgan-gp" else []
        self._latest: dict[str, float] = {}
        self._window = Window(["d_loss", "d_real", "d_fake", *wasserstein, *penalty, "d_grad"])

    def generators_turn(self, step: int) -> bool:
        """Whether the generator learns from the batch of ``step``; the discriminator learns from every batch."""
        return (step + 1) % self._game.n_critic == 0

    def draw_reference(self, sampler: Sampler, device: torch.device) -> None:
        """The reference batch of virtual batch norm: HR crops drawn as those of the step after the last one."""
        if self._game.norm == "virtual":
            count = min(self._game.reference, len(sampler.images.hr))
            whole = Sampler(sampler.images, sampler.patch, count, sampler.seed, sampler.augment, sampler.channels)
            self.discriminator.set_reference(whole.tensors(*whole.gather(self._recipe.steps), device)[1])

    def learn(self, step: int, sr: Tensor, hr: Tensor) -> None:
        """One step of the discriminator on a batch ``(N, C, H, W)``; no gradient reaches ``sr``."""
        sr = sr.detach().float()
        for group in self._optimiser.param_groups:
            group["lr"] = self._game.lr / self._recipe.lr * learning_rate(self._recipe, step)
        real, fake = self._judge(hr), self._judge(sr)
        if self._game.kind.startswith("wgan"):
            distance = real.mean() - fake.mean()
            measured = [real.mean(), fake.mean(), distance]
            loss = -distance
            if self._game.kind == "wgan-gp":
                penalty = self._penalty(step, sr, hr)
                loss = loss + self._game.penalty * penalty
                measured.append(penalty)
        else:
            if self._game.kind == "relativistic":
                real, fake = real - fake.mean(), fake - real.mean()
            loss = _entropy(real, self._targets(step, self._game.real_label, real, 0)) + _entropy(
                fake, self._targets(step, self._game.fake_label, fake, 1)
            )
            measured = [real.sigmoid().mean(), fake.sigmoid().mean()]
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        values = self._average(self._parameters, torch.stack([loss, *measured]).detach())
        norm = clip_gradients(self._parameters, self._game.grad_clip)
        self._optimiser.step()
        if self._game.kind == "wgan-clip":
            self._clip()
        self._window.add(step, torch.cat([values, norm]))

    def fool(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The generator's adversarial term; the discriminator gets no gradient from it."""
        self.discriminator.requires_grad_(False)
        fake = self._judge(sr)
        if self._game.kind.startswith("wgan"):
            loss = -fake.mean()
        elif self._game.kind == "relativistic":
            with torch.no_grad():
                real = self._judge(hr)
            # The published loss sums both halves; the real half has a gradient through the mean of the fake scores.
            loss = _entropy(fake - real.mean(), torch.ones_like(fake)) + _entropy(
                real - fake.mean(), torch.zeros_like(real)
            )
        else:
            loss = _entropy(fake, torch.ones_like(fake))
        self.discriminator.requires_grad_(True)
        return loss

    def collect(self) -> dict[str, float]:
        """Mean values of the discriminator's steps since the last call; SrbenchError where one is not finite."""
        self._latest = self._window.means(self._folder, self._recipe.seed) or self._latest
        return self._latest

    def report(self, step: int, facts: dict[str, float], sr: Tensor, lr: Tensor, hr: Tensor) -> dict[str, Any]:
        """``facts`` of a log line and the health of both sides; raises as :meth:`collect`.

        Added are ``d_loss``, ``d_real``, ``d_fake``, ``wasserstein`` and ``penalty`` where the kind has them, ``d_grad``,
        ``lr_psnr``, ``contrast``, and ``collapse``, its reason, where there is one.
        """
        values = {**facts, **self.collect(), **consistency(sr, lr, hr, self._recipe.scale)}
        reason = self.health.look(step, values)
        return {**values, **({"collapse": reason} if reason else {})}

    def facts(self) -> dict[str, Any]:
        """What a saved state keeps besides :meth:`tensors`."""
        return {"health": self.health.facts(), "latest": self._latest}

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """What a saved state keeps, by group."""
        reference = self.discriminator.reference
        return {
            "discriminator": dict(self.discriminator.state_dict()),
            "discriminator_optimiser": optimiser_tensors(self._optimiser),
            **({"reference": {"batch": reference}} if isinstance(reference, Tensor) else {}),
        }

    def load(self, tensors: dict[str, dict[str, Tensor]], facts: dict[str, Any], device: torch.device) -> None:
        """Put :meth:`tensors` and :meth:`facts` back."""
        self.health, self._latest = Health(self._game, facts["health"]), facts["latest"]
        self.discriminator.load_state_dict(tensors["discriminator"])
        load_optimiser(self._optimiser, tensors.get("discriminator_optimiser", {}))
        if "reference" in tensors:
            self.discriminator.set_reference(tensors["reference"]["batch"].to(device))

    def _judge(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._bf16):
            made: Tensor = self.discriminator(images)
        return made.float()

    def _penalty(self, step: int, sr: Tensor, hr: Tensor) -> Tensor:
        """``mean((‖∇critic‖ − 1)²)`` at a random point between each SR and its HR; in float32, as it is differentiated twice."""
        share = torch.from_numpy(self._draw(step, 2, hr.shape[0])).to(hr).view(-1, 1, 1, 1)
        between = (share * hr + (1 - share) * sr).requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def _targets(self, step: int, label: float, logits: Tensor, stream: int) -> Tensor:
        """The label, with noise that is a function of seed, step and place in the global batch."""
        targets = torch.full_like(logits, label)
        if self._game.label_noise:
            noise = torch.from_numpy(self._draw(step, stream, logits.shape[0])).to(logits).view(-1, 1)
            targets = (targets + (2 * noise - 1) * self._game.label_noise).clamp(0, 1)
        return targets

    def _draw(self, step: int, stream: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Numbers in [0, 1) of this process's slice of a global batch."""
        drawn = np.random.default_rng((self._recipe.seed, step, _NOISE, stream)).random(count * self._world)
        return drawn[self._rank * count : (self._rank + 1) * count]

    @torch.no_grad()
    def _clip(self) -> None:
        """Only what multiplies features is clipped: a batch norm's gain of 0.01 would leave nothing of its input."""
        for weight in self._clipped:
            weight.clamp_(-self._game.clip, self._game.clip)


def _entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets)
