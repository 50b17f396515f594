"""Checkpoints of the zoo: ``fsrcnn_x4.tuned``, or a pattern of them such as ``*_x4.tuned*``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from srbench.errors import UnknownNameError
from srbench.models import get_model
from srbench.subjects import networks
from srbench.subjects.subject import Request, Subject
from srbench.upscaler import Upscaler, for_model
from srbench.zoo import Card, find_checkpoint, list_checkpoints, load_checkpoint, zoo_root


def recognises(text: str) -> bool:
    """Whether a text can only be a checkpoint's name or a pattern; a model's name has no dot."""
    return "." in text or _is_pattern(text)


def find(request: Request) -> list[Subject]:
    """The checkpoint, or all that match; UnknownNameError where there is none."""
    if not _is_pattern(request.text):
        return [of_card(find_checkpoint(request.text, request.zoo), request.zoo)]
    cards = list_checkpoints(request.text, request.zoo)
    if not cards:
        known = [card.name for card in list_checkpoints(root=request.zoo)]
        raise UnknownNameError("checkpoint", request.text, known, str(request.zoo or zoo_root()))
    return [of_card(card, request.zoo) for card in _at(cards, request.scale)]


def of_model(request: Request) -> list[Subject]:
    """All checkpoints of the architecture ``request.text``; those at the scale where one is given."""
    cards = list_checkpoints(f"{request.text}_x*", request.zoo)
    return [of_card(card, request.zoo) for card in cards if request.scale is None or request.scale in card.scales]


def of_card(card: Card, zoo: Path | None = None) -> Subject:
    """A checkpoint by its card; its weights are read, and verified, when it is first applied."""
    model = get_model(card.model) if card.source is None else None

    @lru_cache(maxsize=4)
    def make(scale: int) -> Upscaler:
        network = load_checkpoint(card.name, root=zoo, scale=scale)
        return for_model(get_model(card.model), network, scale, card.channels, name=card.name)

    untold = (
        f" {card.untold}" if card.untold else ""
    )  # it stands with numbers, which are measured anew where it changes
    imported = card.imported
    return Subject(
        name=card.name,
        model=card.model,
        kind="checkpoint",
        scales=tuple(card.scales),
        channels=card.channels,
        make=make,
        identity=f"{card.sha256} {card.model} {card.scales} {card.channels} {sorted(card.options.items())}{untold}",
        parameters=card.parameters,
        recipe=card.recipe,
        trained_on=card.trained_on,
        data=card.data,
        overlaps=tuple(card.overlaps),
        left_out=tuple(card.left_out),
        untold=tuple(card.untold),
        doubts=tuple(imported.doubts) if imported else (),
        options=card.options,
        weights_sha256=card.sha256,
        weights_file=(zoo or zoo_root()) / card.model / card.file if card.file else None,
        architecture=model,
        structure=networks.structure(model, card.channels, card.options) if model else "",
        request=Request(card.name, zoo=zoo),
    )


def _is_pattern(text: str) -> bool:
    return any(c in text for c in "*?[")


def _at(cards: Sequence[Card], scale: int | None) -> Sequence[Card]:
    """Those at a scale, or all where none is: what a checkpoint lacks is said of each."""
    return [card for card in cards if scale is None or scale in card.scales] or cards
