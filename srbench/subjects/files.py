"""Files of weights from anywhere: ``EDSR.pth`` with ``model="edsr"``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from srbench.errors import InputError
from srbench.models import Model, create_model, get_model
from srbench.subjects.modules import digest_of
from srbench.subjects.subject import Options, Request, Subject, word
from srbench.upscaler import Traits, Upscaler
from srbench.zoo import load_weights

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors", ".npz", ".mat", ".onnx")


@dataclass(frozen=True)
class Recognised:
    """What a file of weights turned out to be.

    Attributes:
        network: with the weights in it, in eval mode.
        scale: its upscaling factor.
        traits: what a caller must know of it.
        model: name of its architecture.
        architecture: what the registry knows of it; None for others.
        options: of the architecture, where they are not the paper's.
    """

    network: nn.Module
    scale: int
    traits: Traits
    model: str
    architecture: Model | None = None
    options: Options | None = None


def recognises(text: str) -> bool:
    """Whether a text is the path of a file of weights."""
    return Path(text).suffix.lower() in SUFFIXES and ":" not in Path(text).name


def find(request: Request) -> list[Subject]:
    """The network that the file holds the weights of."""
    path = Path(request.text)
    found = recognise(path, request)
    digest = digest_of(found.network)
    upscaler = Upscaler(
        found.network, found.scale, found.traits, name=f"{found.model}_x{found.scale}.{word(path.stem)}"
    )
    return [
        Subject(
            name=upscaler.name,
            model=found.model,
            kind="file",
            scales=(found.scale,),
            channels=upscaler.channels,
            make=lambda _: upscaler,
            identity=f"{digest} {found.traits}",
            parameters=upscaler.parameters,
            recipe=path.name,
            options=found.options or {},
            weights_sha256=digest,
            weights_file=path,
            architecture=found.architecture,
            request=request,
        )
    ]


def recognise(path: Path, request: Request) -> Recognised:
    """The network of a file, by the architecture that the request names.

    Raises:
        InputError: no architecture or no scale is given, or the weights do not fit it.
    """
    if request.model is None:
        raise InputError(f"{path}: say whose weights they are with --model NAME; `srbench ls models` lists the names")
    model = get_model(request.model)
    if model.interpolator:
        raise InputError(f"{model.name} has no weights: {path} cannot be of it")
    if request.scale is None:
        raise InputError(f"{path}: say with --scale what it was trained for")
    options = dict(request.options) | ({"channels": request.channels} if request.channels else {})
    network = create_model(model.name, request.scale, **options)
    load_weights(network, path)
    traits = Traits.of_model(model, request.scale, network, request.channels or "")
    return Recognised(network.eval(), request.scale, traits.with_(request.traits), model.name, model, request.options)


def with_model(request: Request, weights: Path) -> Request:
    """The request for a file of weights of the model that the text names."""
    return replace(request, text=str(weights), model=request.text, weights=None)
