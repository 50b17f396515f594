"""A state dict → the network that it belongs to, and what a caller must know to feed it.

Our own architectures first, in our keys and in every known layout of others: the network is built and every key and shape
compared. Then spandrel's. What keys and shapes do not say (scale, range, a bicubic skip, a shift by a pixel), a published card
says where the file is a paper's own, else a probe, else the user; what was decided how stands in the notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from srbench.errors import InputError, UnavailableError
from srbench.models import MODELS, Model, create_model, get_model
from srbench.models._shapes import Found, Shapes
from srbench.published import PublishedCard, published_card
from srbench.weights import PROGRAMS, WeightsFile
from srbench.weights.fit import fit
from srbench.weights.layouts import State, layouts
from srbench.weights.layouts.matlab import moved
from srbench.weights.probe import Seen, best, look
from srbench.weights.unwrap import SKIPPED, without_skip

WHITE = 255
_ALIKE = 0.6
"""Share of keys from which a file is said to resemble a network."""
_BELIEVED = 0.3
"""dB over bicubic from which a skip without its prefix is believed; beyond ×4 half of it, as networks gain less there."""


@dataclass(frozen=True)
class Wanted:
    """What the user said of a file of weights; everything may be left open.

    Attributes:
        scale: the enlargement.
        model: an architecture of the registry.
        channels: ``y`` or ``rgb``.
        options: of the architecture.
        range: what white is for the network, 1 or 255.
    """

    scale: int | None = None
    model: str | None = None
    channels: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    range: float | None = None


@dataclass(frozen=True)
class Recognised:
    """A network found in a file.

    Attributes:
        file: where it was found.
        model: our architecture; empty where it is of another library.
        display: for people, such as ``IMDN`` or ``CRAFT (spandrel)``.
        origin: who computes: ``srbench``, ``spandrel``, ``onnx``, ``litert`` or ``ncnn``.
        layout: whose names the weights had; empty for ours.
        scales: what it can be measured at.
        channels: ``y`` or ``rgb``.
        options: of our architecture, skip included.
        build: ``build(scale)`` → the network with its weights, in eval mode.
        range: what white is for it, 1 or 255.
        pre_upsampled: whether its input is upscaled already.
        multiple_of: its input's sides must be multiples of this.
        minimum: and at least this.
        square: and equal.
        receptive_radius: pixels of its input on each side that count; None where unknown or without bound.
        tiling: False where tiles are discouraged, as the network sees the whole image.
        half: whether it works in half precision.
        state: the weights in our keys; empty for other origins.
        card: of authors' weights, where the file is one.
        notes: how what is not in the file was decided.
        doubts: signs that the user takes it for something else, which must stand with every number of it.
    """

    file: WeightsFile
    model: str
    display: str
    origin: Literal["srbench", "spandrel", "onnx", "litert", "ncnn"]
    layout: str
    scales: tuple[int, ...]
    channels: Literal["y", "rgb"]
    options: Mapping[str, Any]
    build: Callable[[int], nn.Module]
    range: float = 1.0
    pre_upsampled: bool = False
    multiple_of: int = 1
    minimum: int = 1
    square: bool = False
    receptive_radius: int | None = None
    tiling: bool = True
    half: bool = True
    state: Mapping[str, Tensor] = field(default_factory=dict)
    card: PublishedCard | None = None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Match:
    """A network of ours that takes every key of a state dict."""

    model: Model
    found: Found
    state: dict[str, Tensor]
    layout: str
    notes: tuple[str, ...]


def recognise(
    file: WeightsFile,
    scale: int | None = None,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    channels: str | None = None,
    range: float | None = None,  # noqa: A002
) -> Recognised:
    """The network that a file's weights belong to.

    Args:
        file: from :func:`srbench.weights.open_weights`.
        scale: where the user said it.
        model: an architecture of the registry, where the user said it.
        options: of the architecture, where shapes do not say them.
        channels: ``y`` or ``rgb``, where the user said it.
        range: what white is for the network, where the user said it.

    Raises:
        InputError: no network is known that has these keys, with the nearest; two networks could be meant; the scale is not
            to be found; what the user said is not true of the file.
        UnknownNameError: no such model or option.
        UnavailableError: spandrel or a runtime would be needed and is not installed.
    """
    wanted = Wanted(scale, model, channels, dict(options or {}), range)
    card = published_card(file.sha256)
    if card is not None:
        wanted = replace(wanted, options={**card.options, **wanted.options}, model=wanted.model or card.model or None)
    if file.kind in PROGRAMS:
        return replace(_program(file, wanted), card=card)
    matches = list(_matches(file.state, wanted))
    if matches:
        return _ours(file, matches[0], wanted, card)
    if model is None:
        from srbench.weights.spandrel import open_spandrel

        foreign = open_spandrel(file, wanted)
        if foreign is not None:
            return replace(foreign, card=card)
    raise InputError(_unknown(file, wanted, card))


def _program(file: WeightsFile, wanted: Wanted) -> Recognised:
    """A file that holds its own network, opened by its runtime."""
    from srbench.weights.litert import open_litert
    from srbench.weights.ncnn import open_ncnn
    from srbench.weights.onnx import open_onnx

    if wanted.model is not None:
        kind = PROGRAMS[file.kind]
        raise InputError(f"{file.path} is {kind}, which holds its own network: leave out --model {wanted.model}")
    return {"onnx": open_onnx, "litert": open_litert, "ncnn": open_ncnn}[file.kind](file, wanted)


def _matches(state: State, wanted: Wanted) -> Iterator[_Match]:
    for candidate in (state, without_skip(state)):
        for layout in layouts() if candidate else ():
            translated = layout.translate(candidate or {})
            if translated is None:
                continue
            if layout.name:
                translated = without_skip(translated) or translated
            yield from _fitting(translated, wanted, layout.name, layout.notes)


def _fitting(state: dict[str, Tensor], wanted: Wanted, layout: str, notes: tuple[str, ...]) -> Iterator[_Match]:
    shapes = Shapes({key: tuple(value.shape) for key, value in state.items()})
    chosen = [get_model(wanted.model)] if wanted.model else list(MODELS)
    groups: dict[Any, list[Model]] = {}
    for model in chosen:
        if model.infer is not None:
            groups.setdefault(model.infer, []).append(model)
    for infer, members in groups.items():
        found = infer(shapes)
        if found is None:
            continue
        fitting = [scale for scale in found.scales if _has_keys(members[0], found, scale, shapes)]
        if fitting:
            found = replace(found, scales=tuple(fitting))
            yield _Match(_named(members, found), found, state, layout, (*notes, *found.notes))


def _has_keys(model: Model, found: Found, scale: int, shapes: Shapes) -> bool:
    try:
        with torch.device("meta"):
            built = create_model(model.name, scale, channels=found.channels, **found.options_at(scale)).state_dict()
    except (InputError, UnavailableError, RuntimeError, ValueError, ZeroDivisionError):
        return False
    wanted = {key: tuple(value.shape) for key, value in built.items()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    return {**{key: wanted[key] for key in counters}, **shapes} == wanted


def _named(members: list[Model], found: Found) -> Model:
    """Of models that share a network, the one whose own options these are; of two names, the one that says no loss."""
    options = found.options_at(found.scales[0])

    def distance(model: Model) -> tuple[int, bool, str]:
        differing = sum(model.options.get(key) != value for key, value in options.items())
        return differing, "gan" in model.name, model.name

    return min(members, key=distance)


# Ours


def _ours(file: WeightsFile, match: _Match, wanted: Wanted, card: PublishedCard | None) -> Recognised:
    match = _at_further_scales(match, wanted.scale, scale_in_name(file.path.name))
    model, found = match.model, match.found
    _agree(file, found, wanted)
    reader = _Reader(file, match, wanted)
    scales = reader.scales(card)
    options = {**_changed(model, found.options_at(scales[0])), **wanted.options}
    skip = reader.skip(scales[0], options)
    if skip:
        options["skip"] = skip
    match = reader.moved(scales[0], options)
    white = reader.white(scales[0], options, card)

    def build(scale: int) -> nn.Module:
        given = {**options, **{k: v for k, v in found.only.get(scale, {}).items() if k not in wanted.options}}
        network = create_model(model.name, scale, channels=found.channels, **given)
        state = match.state
        if given.get("skip") == "bicubic":
            state = {f"network.{key}": value for key, value in state.items()}
        fit(network, state, file.path)
        return network.eval()

    options |= {"kernel": 11} if match is not reader.match else {}
    with torch.device("meta"):
        radius = getattr(create_model(model.name, scales[0], **options), "receptive_radius", model.receptive_radius)
    return Recognised(
        file=file,
        model=model.name,
        display=model.display,
        origin="srbench",
        layout=match.layout,
        scales=scales,
        channels=found.channels,
        options=options,
        build=build,
        range=white,
        pre_upsampled=model.pre_upsampled,
        multiple_of=model.multiple_at(scales[0]),
        minimum=model.minimum,
        receptive_radius=radius,
        tiling=radius is not None,
        state=match.state,
        card=card,
        notes=(*file.notes, *match.notes, *reader.notes),
        doubts=tuple(reader.doubts),
    )


def _at_further_scales(match: _Match, scale: int | None, named: int | None) -> _Match:
    """For weights that say no scale: also the further ones that the network can be built for.

    Args:
        match: what was recognised at the scales that every network has.
        scale: the one asked for, which alone is left where it is a further one.
        named: the one in the file's name, by which networks are told apart whose shapes and probes are alike at every scale.
    """
    model, found = match.model, match.found
    if len(found.scales) < 2 or model.multi_scale:
        return match
    shapes = Shapes({key: tuple(tensor.shape) for key, tensor in match.state.items()})
    further = [one for one in model.further if one not in found.scales and _has_keys(model, found, one, shapes)]
    if scale in further:
        return replace(match, found=replace(found, scales=(scale,)))
    if model.pre_upsampled:
        further = [one for one in further if one == named]
    return replace(match, found=replace(found, scales=(*found.scales, *further)))


def _agree(file: WeightsFile, found: Found, wanted: Wanted) -> None:
    if wanted.scale is not None and wanted.scale not in found.scales:
        has = ", ".join(f"x{s}" for s in found.scales)
        raise InputError(f"{file.path} holds weights for {has}, as their shapes say, not for x{wanted.scale}")
    if wanted.channels is not None and wanted.channels != found.channels:
        raise InputError(f"{file.path} holds weights for {found.channels!r}, not for {wanted.channels!r}")


def _changed(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if model.options.get(key) != value}


class _Reader:
    """Finds what keys and shapes do not say, and keeps what it found how.

    Args:
        file: the weights' file.
        match: our network that takes them.
        wanted: what the user said.
    """

    def __init__(self, file: WeightsFile, match: _Match, wanted: Wanted) -> None:
        self.file, self.match, self.wanted = file, match, wanted
        self.notes: list[str] = []
        self.doubts: list[str] = []
        self.planes = 1 if match.found.channels == "y" else 3

    def scales(self, card: PublishedCard | None) -> tuple[int, ...]:
        """The scales to measure at: the user's, the card's, the only possible one, the probe's, the file name's."""
        found, model = self.match.found, self.match.model
        named = scale_in_name(self.file.path.name)
        if self.wanted.scale is not None:
            self._doubt(self.wanted.scale)
            return (self.wanted.scale,)
        if card is not None:
            return tuple(card.scales)
        if len(found.scales) == 1 or model.multi_scale:
            return found.scales
        if not model.pre_upsampled:
            seen = self._at_scales()
            if (probed := best(seen, margin=1.5)) is not None:
                self.notes.append(f"x{probed}, as a probe finds: {_gains(seen)}")
                return (probed,)
        if named in found.scales:
            self.notes.append(f"x{named}, as the file's name says; the weights themselves do not")
            return (named,)
        possible = ", ".join(f"x{s}" for s in found.scales)
        raise InputError(
            f"{self.file.path} is a {model.display} and does not say for which of {possible}: give --scale"
        )

    def _doubt(self, scale: int) -> None:
        """Shapes that fit several scales let a wrong one pass; a probe does not."""
        found, model = self.match.found, self.match.model
        if len(found.scales) < 2 or model.multi_scale or model.pre_upsampled:
            return
        seen = self._at_scales()
        probed = best(seen)
        if probed is not None and probed != scale:
            self.doubts.append(f"these look like weights for x{probed}, not for x{scale}: {_gains(seen)}")

    def _at_scales(self) -> dict[int, Seen]:
        """Each possible scale, with a bicubic skip where that is better."""
        found, model = self.match.found, self.match.model
        words = ("",) if model.has_skip else ("", "bicubic")
        seen = {
            scale: [self._look(scale, found.options_at(scale) | ({"skip": word} if word else {})) for word in words]
            for scale in found.scales
        }
        if self._may_be_moved:
            for scale, looks in seen.items():
                looks += [self._look(scale, {**found.options_at(scale), "kernel": 11}, moved(self.match.state, 1, 1))]
        return {scale: max(looks, key=lambda one: one.gain) for scale, looks in seen.items()}

    @property
    def _may_be_moved(self) -> bool:
        return "FSRCNN's authors" in self.match.layout and self.match.found.options.get("kernel") == 9

    def skip(self, scale: int, options: Mapping[str, Any]) -> str:
        """``bicubic`` where the network gives what the enlarged image lacks; empty where it gives the image."""
        model = self.match.model
        if model.has_skip or "skip" in options:
            return ""
        seen = {word: self._look(scale, {**options, **({"skip": word} if word else {})}) for word in ("", "bicubic")}
        word, prefixed = best(seen), without_skip(self.file.state) is not None and not self.match.layout
        if word is None:  # untrained weights: the prefix says what it can
            return "bicubic" if prefixed else ""
        if word and not prefixed and seen[word].gain < _BELIEVED / (2 if scale > 4 else 1):
            return ""  # of weights that make next to nothing, the enlarged image alone is the better image
        if word:
            self.notes.append(f"with a bicubic skip, as a probe finds: {seen[word].gain - seen[''].gain:+.1f} dB")
        return word

    def moved(self, scale: int, options: Mapping[str, Any]) -> _Match:
        """FSRCNN's authors' ×3 lies one pixel off: see the layout."""
        match = self.match
        if not self._may_be_moved:
            return match
        shifts = [(0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))]
        seen = {at: self._look(scale, {**options, "kernel": 11}, moved(match.state, *at)) for at in shifts}
        at = best(seen)
        if at in (None, (0, 0)):
            return match
        assert at is not None
        gain = seen[at].gain - seen[0, 0].gain
        self.notes.append(f"output moved by {at[0]} down and {at[1]} to the right, as a probe finds: {gain:+.1f} dB")
        return replace(match, state=moved(match.state, *at))

    def white(self, scale: int, options: Mapping[str, Any], card: PublishedCard | None) -> float:
        """What white is: the user's word, the card's, or 255 where a probe leaves no doubt."""
        if self.wanted.range is not None:
            return self.wanted.range
        if card is not None:
            if card.range != 1:
                self.notes.append(f"range 0–{card.range}, as the card of {card.name} says")
            return float(card.range)
        seen = {1: self._look(scale, options)}
        if seen[1].gain >= 0:
            return 1.0
        seen[WHITE] = self._look(scale, options, white=WHITE)
        if best(seen) == WHITE and seen[1].gain < 0 < seen[WHITE].gain:
            gains = f"{seen[WHITE].gain:+.1f} dB against bicubic, {seen[1].gain:+.1f} with 0–1"
            self.notes.append(f"range 0–255, as a probe finds: {gains}; --trait range=1 takes the other")
            return float(WHITE)
        return 1.0

    def _look(self, scale: int, options: Mapping[str, Any], state: State | None = None, white: float = 1.0) -> Seen:
        model = self.match.model
        network = create_model(model.name, scale, channels=self.match.found.channels, **options)
        weights = dict(state or self.match.state)
        if options.get("skip") == "bicubic":
            weights = {f"network.{key}": value for key, value in weights.items()}
        fit(network, weights, self.file.path)
        return look(network.eval(), scale, self.planes, model.pre_upsampled, white)


def _gains(seen: Mapping[int, Seen]) -> str:
    return ", ".join(f"x{scale} {one.gain:+.1f} dB" for scale, one in seen.items()) + " against bicubic"


_IN_NAME = re.compile(r"(?<![0-9])([2348])[xX×](?![0-9a-zA-Z])|(?:(?<![a-zA-Z0-9])|(?<=[A-Z_-]))[xX×]([2348])(?![0-9])")


def scale_in_name(name: str) -> int | None:
    """The enlargement that a file's name speaks of; None where it speaks of none or of several.

    >>> scale_in_name("EDSR_x4.pth"), scale_in_name("4x-UltraSharp.pth"), scale_in_name("PANx3_DF2K.pth"), scale_in_name("a.pt")
    (4, 4, 3, None)
    """
    found = {int(one or other) for one, other in _IN_NAME.findall(name)}
    return found.pop() if len(found) == 1 else None


# Unknown


def _unknown(file: WeightsFile, wanted: Wanted, card: PublishedCard | None) -> str:
    """What was tried, what came nearest, and the way that is left."""
    parts = [f"{file.path}: no network is known that has its {len(file.state)} keys ({_some(list(file.state))})"]
    if wanted.model:
        parts[0] = f"{file.path} holds no weights of {wanted.model}, in our keys or in those of its authors"
    if near := _nearest(file.state):
        parts.append(near)
    elif guess := _kind(file.state):
        parts.append(guess)
    if card is not None and card.notes:
        parts.append(f"it is {card.display} of {card.repo}")
    if len(file.tried) > 1:
        parts.append(f"it holds {', '.join(file.tried)}: --key chooses another")
    parts.append("its own class can be given: srbench eval package.module:Class --weights FILE")
    return "; ".join(parts)


def _nearest(state: State) -> str:
    """The network of ours that most of the keys belong to, and what it lacks: half of a state dict is told as such."""
    found: tuple[float, str] = (_ALIKE, "")
    bare = {key.removeprefix(SKIPPED): value for key, value in state.items()}  # ours, with a skip around them
    for layout in layouts():
        shapes = Shapes({key: tuple(value.shape) for key, value in (layout.translate(bare) or {}).items()})
        for model in {m.infer: m for m in MODELS if m.infer is not None and shapes}.values():
            wanted = _expected(model, shapes)
            shared = [key for key, shape in shapes.items() if wanted.get(key) == shape]
            share = len(shared) / len(shapes)
            if share > found[0]:
                missing = [key for key in wanted if key not in shapes]
                other = [key for key in shapes if wanted.get(key) != shapes[key]]
                lacks = [f"lacks {len(missing)} keys ({_some(missing)})"] if missing else []
                has = [f"has {len(other)} others ({_some(other)})"] if other else []
                found = (share, f"it resembles {model.display} but {' and '.join([*lacks, *has])}")
    return found[1]


def _expected(model: Model, shapes: Shapes) -> Shapes:
    """Keys and shapes of a model, with the options that the shapes speak of where they do; empty where none can be built."""
    assert model.infer is not None
    guess = model.infer(shapes) or Found(model.scales[-1:], model.channels)
    try:
        with torch.device("meta"):
            scale = guess.scales[0]
            built = create_model(model.name, scale, channels=guess.channels, **guess.options_at(scale)).state_dict()
    except (InputError, UnavailableError, RuntimeError, ValueError, ZeroDivisionError):
        return Shapes()
    return Shapes({key: tuple(value.shape) for key, value in built.items()})


def _kind(state: State) -> str:
    """What else it may be, by names that such networks have."""
    names = " ".join(state)
    last = [value for value in state.values() if value.dim() >= 2]
    if re.search(r"quant_conv|(^| )(encoder|decoder)\.(down|up|mid)|encoder\.\S+ .*decoder\.", names):
        return "it looks like an autoencoder (VAE), which makes no larger image"
    if (last and last[-1].shape[0] == 1 and last[-1].dim() == 2) or re.search(
        r"classifier|linear1|discriminator", names
    ):
        return (
            "it looks like a discriminator, which judges images and makes none; the generator is another file or --key"
        )
    if last and last[-1].dim() == 2:
        return "it looks like a classifier, which makes no image"
    return ""


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
