"""Files of weights from anywhere: ``EDSR.pth``. What they are, their content says; see :mod:`srbench.weights`."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from srbench.errors import InputError
from srbench.models import get_model
from srbench.published import PublishedCard
from srbench.subjects.subject import Request, Subject, word
from srbench.upscaler import Traits, Upscaler
from srbench.weights import PROGRAMS, open_weights
from srbench.weights.recognise import Recognised, recognise
from srbench.zoo import list_checkpoints

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors", ".npz", ".mat", ".onnx", ".tflite", ".param")


def recognises(text: str) -> bool:
    """Whether a text is the path of a file of weights: by its suffix, or as a file in a folder that is named."""
    path = Path(text)
    if ":" in path.name or path.suffix == ".py":
        return False
    return path.suffix.lower() in SUFFIXES or ((os.sep in text or "/" in text) and path.is_file())


def find(request: Request) -> list[Subject]:
    """The network that the file holds the weights of.

    Raises:
        InputError: no such file, damaged, or of a network that is not known; what the request says is not true of it.
    """
    path = Path(request.text)
    if request.model is not None and get_model(request.model).interpolator:
        raise InputError(f"{request.model} has no weights: {path} cannot be of it")
    file = open_weights(path, request.key)
    found = recognise(
        file, request.scale, request.model, request.options, channels=request.channels, range=white_of(request)
    )
    return [subject_of(found, request)]


def white_of(request: Request) -> float | None:
    """The range that the user gave as a trait; None where it is to be found."""
    if isinstance(request.traits, Traits):
        return request.traits.range
    given = (request.traits or {}).get("range")
    return float(given) if isinstance(given, int | float) else None


def subject_of(found: Recognised, request: Request, card: PublishedCard | None = None) -> Subject:
    """A recognised file as a subject.

    Args:
        found: what was recognised.
        request: how another process finds it.
        card: of authors' weights, whose name the subject then has.
    """
    path = found.file.path
    model = found.model or word(found.display.partition(" (")[0])
    program = found.file.kind in PROGRAMS  # whose suffix tells it from its twins of other runtimes
    last = path.suffix[1:] if program else path.stem
    name = card.name if card else f"{model}_{''.join(f'x{s}' for s in found.scales)}.{word(last)}"
    first = found.build(found.scales[0])

    @lru_cache(maxsize=4)
    def make(scale: int) -> Upscaler:
        network = first if scale == found.scales[0] else found.build(scale)
        return Upscaler(network, scale, traits, name=name)

    traits = traits_of(found).with_(request.traits)
    options = {key: value for key, value in found.options.items() if isinstance(value, str | int | float | bool)}
    return Subject(
        name=name,
        model=model,
        kind="file",
        scales=found.scales,
        channels=traits.channels,
        make=make,
        identity=f"{found.file.sha256} {found.file.key} {found.origin} {model} {found.scales} {sorted(options.items())} {traits}",
        parameters=None if program else sum(p.numel() for p in first.parameters()),
        recipe=path.name,
        trained_on=found.card.training if found.card else "",
        options=options,
        weights_sha256=found.file.sha256,
        weights_file=path,
        architecture=get_model(found.model) if found.model else None,
        request=request,
        notes=notes_of(found),
        doubts=found.doubts,
    )


def traits_of(found: Recognised) -> Traits:
    """What a caller must know of a recognised network."""
    return Traits(
        found.channels,
        multiple_of=found.multiple_of,
        minimum=found.minimum,
        square=found.square,
        pre_upsampled=found.pre_upsampled,
        receptive_radius=found.receptive_radius,
        range=found.range,
    )


def notes_of(found: Recognised) -> tuple[str, ...]:
    """One line that says what the file was taken for, and those that say why."""
    scales = ", ".join(f"×{scale}" for scale in found.scales)
    options = ", ".join(f"{key} {value}" for key, value in found.options.items())
    names = f" in the names of {found.layout}" if found.layout else ""
    what = f"{found.file.path.name} is {found.display} {scales}{f' ({options})' if options else ''}{names}"
    own = f"; its sha256 is that of {found.card.name}, the authors' weights" if found.card else ""
    return (what + own, *found.notes)


def with_model(request: Request, weights: Path) -> Request:
    """The request for a file of weights of the model that the text names.

    Raises:
        InputError: the text names a checkpoint, or a file, which has weights itself.
    """
    if recognises(request.text):
        raise InputError(
            f"{request.text} is a file of weights itself; --weights {weights} goes with a model or a class"
        )
    card = next((one for one in list_checkpoints(root=request.zoo) if one.name == request.text), None)
    if card is not None:
        raise InputError(
            f"{request.text} is a checkpoint of {card.model}; --weights {weights} goes with a model or a class: {card.model}"
        )
    return replace(request, text=str(weights), model=request.text, weights=None)
