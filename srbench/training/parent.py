"""Two-stage runs: the weights of a trained checkpoint as the start of another run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from srbench.errors import InputError, UnknownNameError
from srbench.models import Model, get_model
from srbench.zoo import Card, find_checkpoint, load_weights, verify


def start_from(
    name: str,
    network: nn.Module,
    model: Model,
    scale: int,
    channels: str,
    options: Mapping[str, Any],
    zoo: Path | None = None,
) -> None:
    """Put a parent's weights, verified against its card, into ``network``.

    Args:
        name: the parent, such as ``srresnet_x4.common``.
        network: a ``model`` at ``scale`` with ``channels`` and ``options``.
        zoo: where the parent is looked for first; then in zoo/.

    Raises:
        UnknownNameError: no such checkpoint. InputError: another architecture, scale, colours or options.
    """
    card, root = _find(name, zoo)
    wanted = {"scale": f"x{scale}", "channels": channels, **_options(model, options)}
    parent = get_model(card.model)
    found = {
        "scale": "".join(f"x{s}" for s in card.scales),
        "channels": card.channels,
        **_options(parent, card.options),
    }
    if wanted.keys() == found.keys():
        for key, value in wanted.items():
            if found[key] != value:
                raise InputError(
                    f"init_from = {name!r} has {key} = {found[key]}, this run has {value}; expected a parent that is alike"
                )
    elif wanted["scale"] != found["scale"]:
        raise InputError(f"init_from = {name!r} was trained for {found['scale']}, this run is {wanted['scale']}")
    try:
        load_weights(network, verify(card, root))
    except InputError as error:
        raise InputError(
            f"init_from = {name!r} is a {card.model}, whose weights do not fit {model.name}: {error}"
        ) from None


def _find(name: str, zoo: Path | None) -> tuple[Card, Path | None]:
    if zoo is not None:
        try:
            return find_checkpoint(name, zoo), zoo
        except UnknownNameError:
            pass
    return find_checkpoint(name), None


def _options(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"skip": "none", **model.options, **options}
