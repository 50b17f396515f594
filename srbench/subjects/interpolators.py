"""Interpolators of the registry: bicubic and the like, which need no weights."""

from __future__ import annotations

from srbench.models import MODELS, Model, create_model
from srbench.subjects.subject import Request, Subject
from srbench.upscaler import Upscaler, for_model


def recognises(text: str) -> bool:
    """Whether a text is an interpolator's name."""
    return text in MODELS and MODELS.get(text).interpolator


def find(request: Request) -> list[Subject]:
    """The interpolator."""
    return [of_model(MODELS.get(request.text))]


def of_model(model: Model) -> Subject:
    """An interpolator by what the registry knows of it."""

    def make(scale: int) -> Upscaler:
        return for_model(model, create_model(model.name, scale), scale)

    return Subject(
        name=model.name,
        model=model.name,
        kind="interpolator",
        scales=model.scales,
        channels="any",
        make=make,
        identity=f"{model.name} of srbench 1",
        parameters=0,
        architecture=model,
        structure=model.name,
        request=Request(model.name),
    )
