"""The network of a run with its first weights: drawn, or those of a trained checkpoint, all or those that fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from srbench.errors import InputError, SrbenchError, UnknownNameError
from srbench.files import sha256
from srbench.models import Channels, Model, create_model, get_model
from srbench.training.loop.initial import draw_weights
from srbench.training.loop.state import Origin
from srbench.training.recipe.schema import Recipe
from srbench.weights import fit, open_weights, read_weights
from srbench.weights.recognise import Recognised, recognise
from srbench.weights.white import folded
from srbench.zoo import Card, find_checkpoint, list_checkpoints, load_weights, read_tensors, verify


@dataclass(frozen=True)
class Build:
    """What a run builds of an architecture.

    Attributes:
        model: the architecture.
        scale: what it is built for.
        channels: ``y`` or ``rgb``.
        options: what the card says it was built with.
    """

    model: Model
    scale: int
    channels: Channels
    options: dict[str, Any]

    @classmethod
    def of(cls, model: Model, recipe: Recipe) -> Build:
        """The recipe's choice, the model's own where the recipe leaves it to that."""
        channels = model.channels if recipe.channels == "model" else recipe.channels
        options: dict[str, Any] = dict(recipe.options)
        if recipe.skip == "bicubic" and not model.has_skip:
            options["skip"] = "bicubic"
        return cls(model, recipe.scale, channels, options)

    def network(self) -> nn.Module:
        """Freshly initialised, its weights drawn from torch's random state."""
        return create_model(self.model, self.scale, channels=self.channels, **self.options)


def first_weights(network: nn.Module, build: Build, recipe: Recipe, zoo: Path | None = None) -> Origin:
    """Give a new network the weights that its recipe starts from: drawn, a parent's, or what fits of another scale's.

    Args:
        network: what ``build`` made, its own weights drawn.
        build: of the recipe.
        recipe: says where the weights come from.
        zoo: where a checkpoint is looked for first; then in zoo/.

    Raises:
        UnknownNameError: no such checkpoint.
        InputError: as :func:`start_from` and :func:`warm_start`.
    """
    draw_weights(network, build.model, recipe)
    if is_file(recipe.init_from):
        return from_file(Path(recipe.init_from), network, build)
    if recipe.init_from:
        parent = start_from(recipe.init_from, network, build, zoo)
        return Origin(init_sha256=parent.sha256, untold=_untold(parent), overlaps=parent.overlaps)
    if recipe.warm_from:
        return warm_start(recipe.warm_from, network, build.model, zoo)
    return Origin()


def _untold(parent: Card) -> list[str]:
    """What is not known of a parent's training data, said with its name once."""
    return [one if one.startswith("init_from ") else f"init_from {parent.name}: {one}" for one in parent.untold]


_SKIP = "network."  # before the keys of a network that a skip was put around
_SUFFIXES = {".pth", ".pt", ".ckpt", ".bin", ".tar", ".safetensors", ".npz", ".mat"}


def is_file(init_from: str) -> bool:
    """Whether a recipe's ``init_from`` means a file of weights and not a checkpoint of the zoo.

    >>> is_file("EDSR_x4.pth"), is_file("edsr_x4.tuned"), is_file("")
    (True, False, False)
    """
    return "/" in init_from or Path(init_from).suffix.lower() in _SUFFIXES


@torch.no_grad()
def from_file(path: Path, network: nn.Module, build: Build) -> Origin:
    """Put a file's weights into ``network``: all of them where they fit, in any layout that is known, else those that do.

    Args:
        path: a file of weights of any origin.
        network: what ``build`` made.
        build: names the network in an error.

    Returns:
        the file's sha256 and what was taken of it.

    Raises:
        InputError: a file that cannot be read, of which nothing fits, or whose network has a skip that this one has not.
    """
    held = _held(path, network, build)
    digest = sha256(path)
    own, found = network.state_dict(), held.state
    said = f"init_from {path.name} (sha256 {digest[:16]})"
    untold = [f"init_from {path.name}: training data not known"]
    try:
        fit(network, found, path)
        return Origin(init_sha256=digest, warm=f"{said}: all {len(own)} tensors{held.said}", untold=untold)
    except InputError as error:
        taken = [key for key, tensor in own.items() if key in found and found[key].shape == tensor.shape]
        if not taken:
            inner = any(f"{_SKIP}{key}" in own for key in found)
            why = "they are of the network without its skip: give skip = 'none'" if inner else str(error)
            what = f"{build.model.name} at x{build.scale}"
            raise InputError(f"init_from = {str(path)!r} has no weights that fit {what}: {why}") from None
    for key in taken:
        own[key].copy_(found[key])
    taken_of = f"{said}: {len(taken)} of {len(own)} tensors{held.said}{_left(own, found)}"
    return Origin(init_sha256=digest, warm=taken_of, untold=untold)


@dataclass(frozen=True)
class _Held:
    """A file's weights as a run takes them; ``said`` is what was done to them, for the report."""

    state: Mapping[str, Tensor]
    said: str = ""


def _held(path: Path, network: nn.Module, build: Build) -> _Held:
    """A file's weights, in our keys and for 0–1 where it is recognised as the architecture that is trained.

    Of another scale's, transposed convolutions are left out: their stride is the scale, whatever their shape.

    Raises:
        InputError: it cannot be read, or its network has a skip that this one has not.
    """
    state = read_weights(path)
    if build.model.infer is None:  # a network of one's own has no names but its own
        return _Held(state)
    found = _recognised(path, build)
    if found is None:
        return _Held(state)
    theirs, ours = (str(options.get("skip", "none")) for options in (found.options, build.options))
    if theirs == "bicubic" and ours == "none" and not build.model.has_skip:
        raise InputError(
            f"init_from = {str(path)!r} has weights of {build.model.name} with a bicubic skip, and this run has none: "
            "give skip = 'bicubic'"
        )
    said = f", in the names of {found.layout}" if found.layout else ""
    if found.range != 1:
        said += f", for 0–{found.range:g}, which is folded into the first and the last convolution"
        state = folded(found.build(found.scales[0]), found.range, found.channels)
    elif found.layout:
        state = found.build(found.scales[0]).state_dict()
    if build.scale not in found.scales:
        said += f", of x{found.scales[0]}"
        strided = _strided(network)
        state = {key: tensor for key, tensor in state.items() if not key.startswith(strided)}
    return _Held(state, said)


def _strided(network: nn.Module) -> tuple[str, ...]:
    """The beginnings of the keys of transposed convolutions."""
    return tuple(f"{key}." for key, module in network.named_modules() if isinstance(module, nn.ConvTranspose2d))


def _recognised(path: Path, build: Build) -> Recognised | None:
    """What the file is of this architecture, at any scale; None where it is not known to be that."""
    file = open_weights(path)
    for scale in (None, build.scale):  # some files do not say their scale
        with suppress(SrbenchError):
            return recognise(file, scale, build.model.name)
    return None


def _left(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Which tensors of a network were not taken from a file, and how many of the file's have no place."""
    lacking = [key for key in own if key not in found]
    other = [
        f"{key} ({_shape(found[key])} there, {_shape(tensor)} here)"
        for key, tensor in own.items()
        if key in found and found[key].shape != tensor.shape
    ]
    unused = sum(key not in own for key in found)
    parts = [
        f"not there: {_some(lacking)}" if lacking else "",
        f"of another shape: {_some(other)}" if other else "",
        f"not used: {unused} of the file's" if unused else "",
    ]
    return "".join(f"; {part}" for part in parts if part)


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"


def start_from(name: str, network: nn.Module, build: Build, zoo: Path | None = None) -> Card:
    """Put a parent's weights, verified against its card, into ``network``.

    Args:
        name: the parent, such as ``srresnet_x4.tuned-nearest``.
        network: what ``build`` made.
        build: what must be like the parent's.
        zoo: where the parent is looked for first; then in zoo/.

    Returns:
        the parent's card.

    Raises:
        UnknownNameError: no such checkpoint.
        InputError: another architecture, scale, colours or options.
    """
    card, root = _find(name, zoo, "init_from")
    model = build.model
    wanted = {"scale": f"x{build.scale}", "channels": build.channels, **_options(model, build.options)}
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
    return card


@torch.no_grad()
def warm_start(name: str, network: nn.Module, model: Model, zoo: Path | None = None) -> Origin:
    """Put what fits of a checkpoint of the same architecture into ``network``, whatever scale it was trained for.

    As EDSR's ×3 and ×4 networks start from ×2 (Lim et al., CVPRW 2017, arXiv:1707.02921). Tensors of another shape, and
    transposed convolutions, whose stride is the scale, stay as they were drawn.

    Args:
        name: such as ``edsr_baseline_x2.tuned``; ``x2.tuned`` for the model's own.
        network: a ``model``.
        model: its architecture.
        zoo: where the checkpoint is looked for first; then in zoo/.

    Returns:
        what was taken.

    Raises:
        UnknownNameError: no such checkpoint.
        InputError: another architecture, or nothing fits.
    """
    if re.match(r"x\d", name):
        name = f"{model.name}_{name}"
    card, root = _find(name, zoo, "warm_from")
    if card.model != model.name:
        raise InputError(f"warm_from = {name!r} is a {card.model}, this run trains {model.name}; expected the same")
    found = read_tensors(card, root)
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith(_strided(network))}
    taken = [key for key, tensor in own.items() if key in found and found[key].shape == tensor.shape]
    if not taken:
        raise InputError(f"warm_from = {name!r} has no weights that fit: expected the same skip, colours and options")
    for key in taken:
        own[key].copy_(found[key])
    said = f"warm start: {len(taken)} of {len(network.state_dict())} tensors from {name} (sha256 {card.sha256[:16]})"
    return Origin(warm=said, untold=_untold(card), overlaps=card.overlaps)


def _find(name: str, zoo: Path | None, key: str) -> tuple[Card, Path | None]:
    if zoo is not None:
        try:
            return find_checkpoint(name, zoo), zoo
        except UnknownNameError:
            pass
    try:
        return find_checkpoint(name), None
    except UnknownNameError:
        there = [card.name for card in list_checkpoints(broken=[])]
        raise UnknownNameError("checkpoint", name, there, f"{key} of the recipe; train it first") from None


def _options(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"skip": "none", **model.options, **options}
