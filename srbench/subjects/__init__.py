"""What can be measured, and the one grammar that every command and Python name it by: :func:`resolve`.

=============== ====================================================================================
checkpoints     ``fsrcnn_x4.tuned`` of the zoo, or a pattern of them: ``*_x4.tuned*``
interpolators   ``bicubic``, ``nearest`` …
networks        ``fsrcnn``: all its checkpoints; the network without weights where there are none
files           ``EDSR.pth`` and other files of weights
published       ``imdn_x3.authors``: authors' weights with a card in zoo/published
classes         ``package.module:Class`` and ``path/file.py:Class``, networks of your own
modules         a ``torch.nn.Module`` in memory (Python alone)
=============== ====================================================================================

Each kind is a module of this package with ``recognises(text)`` and ``find(request)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

from torch import nn

from srbench.errors import InputError
from srbench.inference import DEFAULTS, Inference
from srbench.keywords import typed_keywords
from srbench.models import MODELS
from srbench.subjects import checkpoints, classes, files, interpolators, networks, published
from srbench.subjects.modules import of_module
from srbench.subjects.subject import (
    Kind,
    LoadOptions,
    Options,
    OptionValue,
    Request,
    Subject,
    SubjectOptions,
    split_options,
)
from srbench.upscaler import Upscaler
from srbench.zoo import list_checkpoints

__all__ = [
    "Kind", "LoadOptions", "OptionValue", "Options", "Request", "Subject", "SubjectOptions", "everything", "find", "load",
    "of_module", "resolve", "resolve_one", "resolve_timed", "split_options", "unique",
]  # fmt: skip

_KINDS = (files, classes, published, checkpoints, interpolators, networks)
"""In the order in which they are asked; the last one recognises any name."""


def resolve(
    text: str | Path, scale: int | None = None, *, untrained: bool = False, **given: Unpack[SubjectOptions]
) -> list[Subject]:
    """What a text stands for.

    Args:
        text: one of the forms above.
        scale: chooses among a model's checkpoints; files and classes that do not say their own need it.
        untrained: a model's name stands for the network with random weights, as times and counts need no others.
        given: ``channels``, ``weights``, ``model``, ``options``, ``traits``, ``zoo`` and ``key``, as :class:`Request` has them.

    Returns:
        at least one Subject. That one lacks a scale, or weights, is said by :meth:`Subject.obstacle`.

    Raises:
        UnknownNameError: no such name, with the nearest one.
        InputError: a file or class that cannot be used.

    >>> [subject.name for subject in resolve("bicubic")]
    ['bicubic']
    """
    return find(Request.of(str(text), scale, given, untrained))


def find(request: Request) -> list[Subject]:
    """As :func:`resolve`, for a request that was kept."""
    if request.weights is not None and ":" not in request.text:
        request = files.with_model(request, request.weights)
    for kind in _KINDS:
        if kind.recognises(request.text):
            return kind.find(request)
    raise InputError("no name: give a checkpoint, a model, an interpolator, a file of weights or package.module:Class")


def resolve_one(
    what: str | Path | nn.Module, scale: int | None = None, **given: Unpack[SubjectOptions]
) -> Subject:  # fmt: skip
    """The one subject at one scale that is meant; arguments as those of :func:`resolve`, and a module stands for itself.

    Raises:
        InputError: several are meant, or it works at several scales and none is given.
        UnavailableError: ``unsupported_scale``.
    """
    if isinstance(what, nn.Module):
        found = [of_module(what, scale, channels=given.get("channels"), traits=given.get("traits"))]
    else:
        found = resolve(what, scale, **given)
    fitting = [subject for subject in found if scale is None or scale in subject.scales] or found
    if len(fitting) > 1:
        raise InputError(f"{what} has several checkpoints: {', '.join(s.name for s in fitting)}; name one")
    return fitting[0].at(fitting[0].scale if scale is None else scale)


def everything(scale: int | None = None, *, zoo: Path | None = None, untrained: bool = False) -> list[Subject]:
    """Every interpolator and every checkpoint.

    Args:
        scale: only those of this scale.
        zoo: another zoo folder.
        untrained: also every network that has no checkpoint (at that scale), with random weights.
    """
    found = [interpolators.of_model(model) for model in MODELS if model.interpolator]
    cards = list_checkpoints(root=zoo)
    found += [checkpoints.of_card(card, zoo) for card in cards]
    if untrained:
        have = {(card.model, one) for card in cards for one in card.scales}
        for model in MODELS:
            lacking = tuple(s for s in model.scales if (model.name, s) not in have and scale in (None, s))
            if lacking and not model.interpolator:
                found.append(networks.of_model(model, lacking))
    return found if scale is None else [subject.at(scale) for subject in found if scale in subject.scales]


def resolve_timed(
    names: Iterable[str], scale: int | None = None, *, every: bool = False, **given: Unpack[SubjectOptions]
) -> list[Subject]:
    """What times and counts are taken of: subjects at one scale each, networks without weights among them.

    Args:
        names: texts as :func:`resolve` takes them; a model's name stands for the network itself.
        scale: for all; by default a subject's only one, ×4 or else the first of several.
        every: also every checkpoint, and every network that has none, at that scale.
        given: as :func:`resolve` takes it.

    Raises:
        UnavailableError: ``unsupported_scale``.
    """
    found = []
    for name in names:
        for subject in resolve(name, scale, untrained=True, **given):
            usual = 4 if 4 in subject.scales and subject.kind != "checkpoint" else subject.scales[0]
            found.append(subject.at(usual if scale is None else scale))
    found += everything(scale or 4, untrained=True) if every else []
    return list({(subject.name, subject.scale): subject for subject in found}.values())


def unique(subjects: Iterable[Subject]) -> list[Subject]:
    """Each name once, in their order."""
    return list({subject.name: subject for subject in subjects}.values())


@typed_keywords(LoadOptions, defaults=DEFAULTS)
def load(
    what: str | Path | nn.Module,
    scale: int | None = None,
    *,
    inference: Inference | None = None,
    **given: Unpack[LoadOptions],
) -> Upscaler:
    """Something that images can be put through: a checkpoint, a file of weights, a class or a module, as an Upscaler.

    Args:
        what: a text as :func:`resolve` takes it, such as ``"fsrcnn_x4.tuned"``, ``"bicubic"``, ``"EDSR.pth"`` or
            ``"net.py:Net"``; or a module that maps ``(N, C, h, w)`` to ``(N, C, scale·h, scale·w)``.
        scale: the upscaling factor, where ``what`` leaves it open.
        inference: how it is applied; or its fields by name, as follows.
        given: ``device``, ``tile``, ``overlap``, ``ensemble``, ``fused``, ``precision``, ``layout``, ``compile`` and ``graph``,
            as :class:`srbench.inference.Inference` has them; ``channels``, ``weights``, ``model``, ``options``, ``traits``,
            ``zoo`` and ``key``, as :class:`Request` has them.

    Returns:
        an Upscaler, which is called with an image and gives the same kind back.

    Raises:
        UnknownNameError: no such name, argument or value, with the nearest one.
        InputError: a file or class that cannot be used; several that are meant; no scale.
        UnavailableError: ``unsupported_scale``, ``no_weights``.

    >>> up = load("bicubic", scale=3)
    >>> up.scale, up.channels, up.parameters
    (3, 'any', 0)
    """
    named, how = split_options(given)
    if inference is not None and len(named) < len(given):
        raise InputError("load(): give inference, or its fields by name, and not both")
    subject = resolve_one(what, scale, **named)
    if obstacle := subject.obstacle(subject.scale):
        raise obstacle
    return subject.upscaler(inference=inference or how)
