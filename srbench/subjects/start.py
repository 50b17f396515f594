"""What a text means for training: an architecture, and the weights that a run starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from srbench.errors import InputError
from srbench.models import MODELS, Model
from srbench.subjects import classes, files
from srbench.subjects.checkpoints import recognises as is_checkpoint
from srbench.subjects.subject import Subject, SubjectOptions

Trainable = str | Model | nn.Module | Callable[..., nn.Module]
"""What ``srbench.training.zoo.train_model`` trains."""


@dataclass(frozen=True)
class Start:
    """Where a run starts.

    Attributes:
        model: the architecture that is trained; the text of a class of one's own, or the class or module itself.
        changes: recipe keys and values that follow from the weights it starts from; none where these are drawn.
    """

    model: Trainable
    changes: Mapping[str, Any] = field(default_factory=dict)


def start_of(text: str, scale: int | None = None, **given: Any) -> Start:
    """What ``srbench train TEXT`` trains.

    Args:
        text: a model or a class of one's own, which start from drawn weights; or a checkpoint or a file of weights, which the
            run goes on from.
        scale: chooses, where a file or checkpoint leaves it open.
        given: as :func:`srbench.subjects.resolve` takes it.

    Raises:
        UnknownNameError: no such name.
        InputError: something that cannot be trained, such as an interpolator.
    """
    from srbench.subjects import resolve_one

    if files.recognises(text) or (is_checkpoint(text) and not classes.recognises(text)):
        options: SubjectOptions = given  # type: ignore[assignment]
        return _from_weights(resolve_one(text, scale, **options), text)
    if classes.recognises(text):
        return Start(text)
    if MODELS.get(text).interpolator:
        raise InputError(f"{text} is an interpolator: it has no weights to train")
    return Start(MODELS.get(text))


def _from_weights(subject: Subject, text: str) -> Start:
    if subject.architecture is None or subject.kind == "interpolator":
        raise InputError(f"{text}: a {subject.model} is no architecture of the registry, which alone can be trained")
    options = dict(subject.options)
    changes: dict[str, Any] = {
        "init_from": subject.name if subject.kind == "checkpoint" else text,
        "scale": subject.scale,
        "channels": subject.channels,
        "skip": options.pop("skip", "none"),
    }
    if options:
        changes["options"] = options
    return Start(subject.architecture, changes)
