"""What can be timed: checkpoints of the zoo, interpolators, and architectures with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from srbench.errors import SrbenchError, UnavailableError, UnknownNameError
from srbench.evaluation.cost import Cost, card_cost, cost
from srbench.inference import Upscaler, for_card, for_model
from srbench.models import MODELS, Model, create_model, get_model
from srbench.zoo import Card, find_checkpoint, list_checkpoints


@dataclass(frozen=True)
class Subject:
    """One network at one scale.

    Attributes:
        name: checkpoint, or model where the weights are random. card: of a checkpoint.
    """

    name: str
    model: Model
    scale: int
    card: Card | None = None

    @property
    def random_weights(self) -> bool:
        """Whether its output means nothing; an interpolator's does."""
        return self.card is None and not self.model.interpolator

    @property
    def network(self) -> tuple[Any, ...]:
        """Equal for subjects that differ in their weights alone, such as srgan and srresnet."""
        build: Any = self.model.build
        given: tuple[tuple[str, str], ...] = ()
        if isinstance(build, partial):
            build, given = build.func, tuple(sorted((k, str(v)) for k, v in build.keywords.items()))
        channels = self.card.channels if self.card else self.model.channels
        options = tuple(sorted((k, str(v)) for k, v in (self.card.options if self.card else {}).items()))
        which = self.model.name if self.model.interpolator else build
        return (which, given, channels, options, self.scale)

    def upscaler(self, device: torch.device) -> Upscaler:
        """In eval mode on the device; random weights are the same each time."""
        if self.card is not None:
            return for_card(self.card, self.scale, device=device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = create_model(self.model.name, self.scale)
        return for_model(self.model, network, self.scale, device=device)

    def image(self, size: tuple[int, int], batch: int) -> Tensor:
        """A network's input for LR images of ``size``: real ones, ``(batch, C, h, w)`` float32 in [0, 1].

        Already enlarged for a pre-upsampled network, whose time does not include the enlargement.
        """
        from srbench.images import imresize, luma, to_tensor

        factor = self.scale if self.model.pre_upsampled else 1
        seen = to_tensor(_astronaut())
        x: Tensor = imresize(seen, size=(size[0] * factor, size[1] * factor))
        channels = self.card.channels if self.card else self.model.channels
        if channels == "y" and not self.model.interpolator:
            x = luma(x.mul(255.0)).div(255.0)
        return x.clamp(0.0, 1.0).expand(batch, -1, -1, -1).contiguous()

    def cost(self, size: tuple[int, int] | None) -> Cost:
        """Its counts."""
        return card_cost(self.card, self.scale, size) if self.card else cost(self.model.name, self.scale, size)


def _astronaut() -> Any:
    from srbench.datasets.local import find_dataset
    from srbench.images import as_rgb, read_image

    return as_rgb(read_image(find_dataset("sample").paths[0]))


def find_subject(name: str, scale: int) -> Subject:
    """A checkpoint or model by name; UnknownNameError, or UnavailableError (``unsupported_scale``)."""
    if "." in name:
        card = find_checkpoint(name)
        if scale not in card.scales:
            trained = ", ".join(f"x{s}" for s in card.scales)
            raise UnavailableError("unsupported_scale", f"{name} was trained for {trained}, not x{scale}")
        return Subject(name, get_model(card.model), scale, card)
    if name not in MODELS:
        raise UnknownNameError("model or checkpoint", name, [*MODELS.names(), *(c.name for c in list_checkpoints())])
    model = get_model(name)
    if scale not in model.scales:
        scales = ", ".join(f"x{s}" for s in model.scales)
        raise UnavailableError("unsupported_scale", f"{name} cannot be built at x{scale}; it has {scales}")
    return Subject(name, model, scale)


def every_subject(scale: int) -> list[Subject]:
    """Every checkpoint at a scale, and every model that has none there, with random weights."""
    cards = [card for card in list_checkpoints() if scale in card.scales]
    have = {card.model for card in cards}
    found = [Subject(card.name, get_model(card.model), scale, card) for card in cards]
    return found + [Subject(m.name, m, scale) for m in MODELS if scale in m.scales and m.name not in have]


def named_subjects(names: list[str], scale: int | None) -> list[Subject]:
    """Subjects in the order given; without a scale, a checkpoint's own and ×4 for a model.

    Raises UnknownNameError; SrbenchError for a scale that a subject does not have.
    """
    found = []
    for name in names:
        own = find_checkpoint(name).scales[0] if "." in name else 4
        try:
            found.append(find_subject(name, scale or own))
        except UnavailableError as error:
            raise SrbenchError(error.reason) from None
    return list({(s.name, s.scale): s for s in found}.values())
