"""Architectures of the registry: their checkpoints where the zoo has some, else the network with random weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from srbench.errors import UnknownNameError
from srbench.models import MODELS, Model, create_model
from srbench.subjects.subject import Options, Request, Subject, named_with
from srbench.upscaler import Upscaler, for_model
from srbench.zoo import list_checkpoints


def recognises(text: str) -> bool:
    """Any name that nothing else recognises."""
    return bool(text)


def find(request: Request) -> list[Subject]:
    """The model's checkpoints, at ``request.scale`` where it is given, or the network without weights."""
    if request.text not in MODELS:
        known = [*MODELS.names(), *(card.name for card in list_checkpoints(root=request.zoo))]
        raise UnknownNameError("model or checkpoint", request.text, known)
    if not (request.untrained or request.options):
        from srbench.subjects import checkpoints

        if found := checkpoints.of_model(request):
            return found
    return [of_model(MODELS.get(request.text), options=request.options, channels=request.channels)]


def of_model(
    model: Model, scales: tuple[int, ...] | None = None, options: Options | None = None, channels: str | None = None
) -> Subject:
    """The network with random weights, at some scales or all, of the paper's options or others."""
    given = dict(options or {}) | ({"channels": channels} if channels else {})
    kept: Any = channels or model.channels

    def make(scale: int) -> Upscaler:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = create_model(model.name, scale, **given)
        return for_model(model, network, scale, kept)

    return Subject(
        name=named_with(model.name, given),
        model=model.name,
        kind="network",
        scales=scales or model.scales,
        channels=kept,
        make=make,
        random_weights=True,
        architecture=model,
        structure=structure(model, kept, options or {}),
        options=options or {},
        request=Request(model.name, options=options or {}, channels=channels, untrained=True),
    )


def structure(model: Model, channels: str, options: Options) -> str:
    """A text that is equal for networks that differ in their weights alone, such as srgan's and srresnet's generator."""
    build: Any = model.build
    given: Options = {}
    if isinstance(build, partial):
        build, given = build.func, build.keywords
    parts = [f"{key}={value}" for key, value in (*sorted(given.items()), *sorted(options.items()))]
    return " ".join([build.__module__, build.__qualname__, channels, *parts])
