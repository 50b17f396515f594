"""What generator and discriminator want: the objectives of adversarial training, as functions of the discriminator's scores.

- standard: Goodfellow et al., 2014, arXiv:1406.2661; smoothed and noisy labels: Salimans et al., 2016, arXiv:1606.03498;
- relativistic average: Jolicoeur-Martineau, 2018, arXiv:1807.00734, as in ESRGAN;
- Wasserstein with clipped weights: Arjovsky et al., 2017, arXiv:1701.07875;
- Wasserstein with gradient penalty: Gulrajani et al., 2017, arXiv:1704.00028.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.training.recipe.tables import Adversarial

# The stream of random numbers that labels and penalties draw from; crops draw from the stream without a number.
_NOISE = 1


class Objective(Protocol):
    """What both sides want."""

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of what :meth:`discriminator` measures beside its loss."""

    def discriminator(self, real: Tensor, fake: Tensor, targets: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The discriminator's loss, and what is logged of it.

        Args:
            real: its scores of HR, ``(N, 1)`` or a map ``(N, 1, h, w)``.
            fake: its scores of SR, alike.
            targets: what cross-entropy wants of either, alike.
        """

    def generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        """The generator's loss.

        Args:
            fake: the discriminator's scores of SR, as above.
            real: gives those of HR, without gradient; asked for only where they matter.
        """


class Standard:
    """Cross-entropy of the scores of HR and SR, each by itself."""

    measured = ("d_real", "d_fake")

    def discriminator(self, real: Tensor, fake: Tensor, targets: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """As :class:`Objective`; measured are the mean probabilities of being HR."""
        loss = _entropy(real, targets[0]) + _entropy(fake, targets[1])
        return loss, [real.sigmoid().mean(), fake.sigmoid().mean()]

    def generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:  # noqa: ARG002
        """As :class:`Objective`."""
        return _entropy(fake, torch.ones_like(fake))


class Relativistic(Standard):
    """Cross-entropy of how far each score lies above the mean of the other side's."""

    def discriminator(self, real: Tensor, fake: Tensor, targets: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """As :class:`Objective`."""
        return super().discriminator(real - fake.mean(), fake - real.mean(), targets)

    def generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        """As :class:`Objective`. The published loss sums both halves; HR's half has a gradient through the mean of ``fake``."""
        scores = real()
        return _entropy(fake - scores.mean(), torch.ones_like(fake)) + _entropy(
            scores - fake.mean(), torch.zeros_like(scores)
        )


class Wasserstein:
    """The difference between a critic's mean scores."""

    measured = ("d_real", "d_fake", "wasserstein")

    def discriminator(
        self,
        real: Tensor,
        fake: Tensor,
        targets: tuple[Tensor, Tensor],  # noqa: ARG002 (a critic's scores have no targets)
    ) -> tuple[Tensor, list[Tensor]]:
        """As :class:`Objective`; measured are the mean scores and their difference."""
        distance = real.mean() - fake.mean()
        return -distance, [real.mean(), fake.mean(), distance]

    def generator(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:  # noqa: ARG002
        """As :class:`Objective`."""
        return -fake.mean()


OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "standard": Standard,
    "relativistic": Relativistic,
    "wgan-clip": Wasserstein,
    "wgan-gp": Wasserstein,
}
"""By the ``kind`` of a recipe's ``[adversarial]``."""


@dataclass(frozen=True)
class Noise:
    """Random numbers of a step that depend on the seed, the step and the place in the global batch alone.

    Attributes:
        seed: the recipe's.
        rank: which slice of the global batch this process has.
        world: into how many it is cut.
    """

    seed: int
    rank: int = 0
    world: int = 1

    def part(self, index: int, count: int) -> Noise:
        """The numbers of one of ``count`` equal parts of this slice."""
        return self if count == 1 else replace(self, rank=self.rank * count + index, world=self.world * count)

    def draw(self, step: int, stream: int, like: Tensor) -> Tensor:
        """Numbers in [0, 1), one an image of ``like``, of its type and on its device; ``stream`` tells draws of a step apart."""
        count = like.shape[0]
        drawn = np.random.default_rng((self.seed, step, _NOISE, stream)).random(count * self.world)
        return torch.from_numpy(drawn[self.rank * count : (self.rank + 1) * count]).to(like)


def make_targets(keys: Adversarial, step: int, scores: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """What the discriminator's scores of HR and of SR should become: labels, smoothed and noisy as the recipe says.

    Args:
        keys: of the recipe.
        step: of the run.
        scores: ``(N, 1)`` or a map ``(N, 1, h, w)``, whose form the targets have.
        noise: of the labels.
    """
    found = []
    for stream, label in enumerate((keys.real_label, keys.fake_label)):
        targets = torch.full_like(scores, label)
        if keys.label_noise:
            shift = noise.draw(step, stream, scores).view(-1, *[1] * (scores.dim() - 1))  # one label an image
            targets = (targets + (2 * shift - 1) * keys.label_noise).clamp(0, 1)
        found.append(targets)
    return found[0], found[1]


def gradient_penalty(critic: nn.Module, sr: Tensor, hr: Tensor, share: Tensor) -> Tensor:
    """``mean((‖∇critic‖ − 1)²)`` at a point between each SR and its HR; in float32, as it is differentiated twice.

    Args:
        critic: scores images; of a map of scores, the mean is the image's.
        sr: ``(N, C, H, W)``, without gradient.
        hr: of the same shape.
        share: ``(N,)`` of HR in each point, in [0, 1).
    """
    share = share.view(-1, 1, 1, 1)
    between = (share * hr + (1 - share) * sr).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).flatten(1).mean(1).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def _entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets)
