"""One thing that can be measured, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypedDict

from srbench.errors import InputError, UnavailableError
from srbench.inference import Inference, InferenceOptions
from srbench.keywords import part_of
from srbench.models import Model
from srbench.protocol import Protocol
from srbench.upscaler import Channels, Traits, Upscaler

OptionValue = str | int | float | bool | None
Options = Mapping[str, OptionValue]
Kind = Literal["checkpoint", "interpolator", "network", "file", "class", "module"]
_KEPT = 4  # upscalers that a subject keeps ready


class SubjectOptions(TypedDict, total=False):
    """What goes with a text that names a subject; see :class:`Request`, whose fields they are."""

    channels: str | None
    weights: str | Path | None
    model: str | None
    options: Options | None
    traits: Traits | Mapping[str, object] | None
    zoo: str | Path | None
    key: str


class LoadOptions(SubjectOptions, InferenceOptions, total=False):
    """What goes with a text, and how the subject is applied."""


@dataclass(frozen=True)
class Request:
    """What names a subject: a text and what goes with it. It can be sent to another process, which finds the same there.

    Attributes:
        text: see :func:`srbench.subjects.resolve`.
        scale: the upscaling factor, where the text leaves it open.
        channels: ``y`` or ``rgb``, of files and classes.
        weights: file of weights for a class, or for the model that the text names.
        model: architecture of a file of weights.
        options: for the constructor of a class or of a model.
        traits: what a caller must know: all of it, or by name what goes before what a class declares.
        zoo: folder of the checkpoints; zoo/ by default.
        untrained: a model's name stands for the network with random weights, and not for its checkpoints.
        key: which state dict of a file of weights, where it holds several.
    """

    text: str
    scale: int | None = None
    channels: str | None = None
    weights: Path | None = None
    model: str | None = None
    options: Options = field(default_factory=dict)
    traits: Traits | Mapping[str, object] | None = None
    zoo: Path | None = None
    untrained: bool = False
    key: str = ""

    @classmethod
    def of(cls, text: str, scale: int | None, given: SubjectOptions, untrained: bool = False) -> Request:
        """From keyword arguments."""
        weights, zoo = given.get("weights"), given.get("zoo")
        return cls(
            text,
            scale,
            given.get("channels"),
            Path(weights) if weights is not None else None,
            given.get("model"),
            given.get("options") or {},
            given.get("traits"),
            Path(zoo) if zoo is not None else None,
            untrained,
            given.get("key") or "",
        )


def split_options(given: LoadOptions) -> tuple[SubjectOptions, Inference]:
    """What names the subject, and how it is applied."""
    named: SubjectOptions = part_of(given, SubjectOptions)
    return named, Inference.of({name: value for name, value in given.items() if name not in named})


@dataclass(frozen=True, eq=False)
class Subject:
    """What can be measured, timed, counted, applied.

    Attributes:
        name: the name that its results have, such as ``fsrcnn_x4.tuned``.
        model: its architecture: a name of the registry, or of a class.
        kind: where it came from.
        scales: that it works at.
        channels: ``y``, ``rgb`` or ``any``.
        make: ``make(scale)`` → the plain Upscaler.
        identity: what tells its weights from all others; empty where that is unknown, and results are never reused then.
        parameters: trainable ones; None where they depend on the scale, and of a program of another runtime.
        recipe: that it was trained by.
        trained_on: training sets, joined by ``+``.
        options: of its architecture, where they are not the paper's.
        weights_sha256: of the file of a checkpoint, or of all weights of a module.
        weights_file: the file of its weights.
        random_weights: its output means nothing; its times and counts do.
        architecture: what the registry knows of it; None for a network of the user.
        structure: equal for subjects whose networks differ in their weights alone; empty where that is unknown.
        request: what it was found by; None for a module in memory, which no other process can find.
        notes: how what is not in a file of weights was found, such as its scale.
        data: training sets of a checkpoint → digest of their files.
        overlaps: what its card says that it was trained on of test sets, such as ``dir-x/1 is set5/baby``.
        left_out: images of ``data`` that it was not trained on.
        untold: training data that cannot be compared with test images, as its card says.
        doubts: what stands with its numbers: signs that it is used as something that it is not.
    """

    name: str
    model: str
    kind: Kind
    scales: tuple[int, ...]
    channels: Channels
    make: Callable[[int], Upscaler]
    identity: str = ""
    parameters: int | None = None
    recipe: str = ""
    trained_on: str = ""
    options: Options = field(default_factory=dict)
    weights_sha256: str = ""
    weights_file: Path | None = None
    random_weights: bool = False
    architecture: Model | None = None
    structure: str = ""
    request: Request | None = None
    notes: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    overlaps: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    _ready: dict[tuple[int, Inference], Upscaler] = field(default_factory=dict, init=False, repr=False)

    @property
    def own(self) -> bool:
        """Whether it is the user's own and no part of the zoo: a file, a class, a module."""
        return self.kind in ("file", "class", "module")

    @property
    def scale(self) -> int:
        """Its only scale; InputError where it works at several."""
        if len(self.scales) > 1:
            raise InputError(f"{self.name} works at {_several(self.scales)}: give one with scale= or --scale")
        return self.scales[0]

    def at(self, scale: int) -> Subject:
        """The same at one scale alone; raises UnavailableError (``unsupported_scale``)."""
        if scale not in self.scales:
            raise self._not_at(scale)
        return replace(self, scales=(scale,))

    def obstacle(self, scale: int, protocol: Protocol | None = None) -> UnavailableError | None:
        """Why it can have no quality at a scale under a protocol, ready to be raised; None where it can.

        Statuses are ``unsupported_scale``, ``unsupported_protocol`` and ``no_weights``; this is the one place where they are
        decided.
        """
        if scale not in self.scales:
            return self._not_at(scale)
        if protocol is not None and (reason := protocol.not_at(scale)):
            return UnavailableError("unsupported_scale", reason)
        if protocol is not None and protocol.y_only and self.channels == "rgb":
            reason = f"{protocol.id} gives networks luma alone; {self.name} works on RGB"
            return UnavailableError("unsupported_protocol", reason)
        if self.random_weights:
            reason = f"the zoo has no checkpoint of {self.name}; `srbench train {self.name}` makes one"
            return UnavailableError("no_weights", reason)
        return None

    def upscaler(self, scale: int | None = None, inference: Inference | None = None) -> Upscaler:
        """Ready to run; random weights are the same each time.

        Args:
            scale: one of its scales; its only one by default.
            inference: how it is applied; plainly on the CPU by default.

        Raises:
            InputError: weights that cannot be read.
            UnavailableError: ``unsupported_scale``.
        """
        chosen = self.scale if scale is None else scale
        if chosen not in self.scales:
            raise self._not_at(chosen)
        key = (chosen, inference or Inference())
        if key not in self._ready:
            while len(self._ready) >= _KEPT:
                del self._ready[next(iter(self._ready))]
            self._ready[key] = self.make(chosen).with_(key[1])
        return self._ready[key]

    def _not_at(self, scale: int) -> UnavailableError:
        return UnavailableError("unsupported_scale", f"{self.name} works at {_several(self.scales)}, not x{scale}")


def _several(scales: tuple[int, ...]) -> str:
    return ", ".join(f"x{scale}" for scale in scales)


def named_with(name: str, options: Options) -> str:
    """A name that says the options, too, such as ``btsrn-width64``."""
    return word("-".join([name, *(f"{key}{value}" for key, value in sorted(options.items()))]))


def word(text: str) -> str:
    """A text as part of a name: letters, digits, ``.``, ``_`` and ``-``."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text)
