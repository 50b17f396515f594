"""Networks and interpolators: one paper, one file.

A network maps LR images ``(N, C, H, W)``, float in [0, 1], to SR images ``(N, C, scale·H, scale·W)``, not clamped.
C is 1 (luma) or 3 (RGB). A pre-upsampled network is given the image at its final size, upscaled by bicubic. Networks never
pad, crop or convert colours; ``srbench.upscaler`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import nn

from srbench.errors import InputError, UnavailableError
from srbench.facts import display_name
from srbench.models._shapes import Found, Shapes
from srbench.registry import Registry

Channels = Literal["y", "rgb"]


@dataclass(frozen=True)
class Paper:
    """Where an architecture was published.

    Attributes:
        title: of the paper.
        year: of publication.
        url: its arXiv or DOI address.
    """

    title: str
    year: int
    url: str


@dataclass(frozen=True)
class Model:
    """What a caller needs to know about an architecture.

    Attributes:
        name: its usual name, in lower case.
        display: its name as papers print it; ``EDSR-baseline`` of ``edsr_baseline`` where it is left out.
        build: ``build(scale, **options)`` → a freshly initialised network; each option's default is the paper's.
        paper: its source.
        channels: what it was published on; a recipe may choose the other through the ``channels`` option.
        scales: the scales that it was published for.
        further: others that it can be built and trained for; nothing is published of them.
        parameters: exact number of trainable parameters per scale, of the default options.
        receptive_radius: pixels of its input, on each side, that can change one output pixel (a safe upper bound);
            tiles overlap by as much. It holds for the default options; a network whose options change it has an
            attribute of this name, which takes precedence. None where there is no bound, as of a network that pools over the
            whole image.
        multiple_of: its input's height and width must be multiples of this; a mapping from scale where scales differ.
        minimum: its input's height and width must be at least this.
        pre_upsampled: its input is already upscaled, by bicubic, to the output's size.
        has_skip: the published network already adds its output to the upscaled input.
        interpolator: it has no weights and works at any scale in ``scales``.
        multi_scale: one network serves every scale in ``scales``; its ``set_scale`` chooses.
        options: build options besides ``channels`` and ``skip``, with their defaults.
        counted: regular expression for the submodules that the paper's mult-adds count; empty for all.
        infer: what the shapes of a state dict with this network's keys say of it, or None where they are another network's;
            a model without it is not found from its weights. Models that share a network share this function.
    """

    name: str
    build: Callable[..., nn.Module]
    paper: Paper
    channels: Channels
    scales: tuple[int, ...]
    parameters: Mapping[int, int]
    receptive_radius: int | None
    multiple_of: int | Mapping[int, int] = 1
    minimum: int = 1
    pre_upsampled: bool = False
    has_skip: bool = False
    interpolator: bool = False
    multi_scale: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    counted: str = ""
    infer: Callable[[Shapes], Found | None] | None = None
    display: str = ""
    further: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.display:
            object.__setattr__(self, "display", display_name(self.name))

    def multiple_at(self, scale: int) -> int:
        """What the input's height and width must be multiples of at this scale."""
        return self.multiple_of if isinstance(self.multiple_of, int) else self.multiple_of.get(scale, 1)


MODELS: Registry[Model] = Registry("model", "srbench.models", "srbench.models")


def register_size(  # noqa: PLR0913  (a keyword a fact of the model)
    name: str,
    network: Callable[..., nn.Module],
    parameters: Mapping[int, int],
    *,
    paper: Paper,
    receptive_radius: int | None,
    options: Mapping[str, Any],
    infer: Callable[[Shapes], Found | None],
    multiple_of: int | Mapping[int, int] = 1,
    minimum: int = 1,
    multi_scale: bool = False,
    channels: Channels = "rgb",
    display: str = "",
    further: tuple[int, ...] = (),
) -> Model:
    """Register one size of a network of which there are several, and return it.

    Args:
        name: of this size.
        network: ``network(scale, **options)``.
        parameters: exact number per scale; its keys are the scales.
        paper: the one of all sizes.
        receptive_radius: of this size.
        options: what makes this size, such as ``{"features": 64, "blocks": 16}``; they can be changed like any option.
        infer: as in :class:`Model`.
        multiple_of: as in :class:`Model`.
        minimum: as in :class:`Model`.
        multi_scale: as in :class:`Model`.
        channels: as in :class:`Model`.
        display: as in :class:`Model`.
        further: as in :class:`Model`.
    """
    return MODELS.register(
        Model(
            name=name,
            build=partial(network, **options),
            paper=paper,
            channels=channels,
            scales=tuple(parameters),
            parameters=parameters,
            receptive_radius=receptive_radius,
            multiple_of=multiple_of,
            minimum=minimum,
            multi_scale=multi_scale,
            options=options,
            infer=infer,
            display=display,
            further=further,
        )
    )


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that match a shell pattern.

    >>> list_models("*srcnn")
    ['fsrcnn', 'srcnn']
    """
    return MODELS.names(pattern)


def get_model(name: str) -> Model:
    """The description of a model; raises UnknownNameError with the nearest name."""
    return MODELS.get(name)


def create_model(name: str | Model, scale: int, **options: Any) -> nn.Module:
    """A freshly initialised network.

    Args:
        name: a registered model, or the description of any.
        scale: one of the model's scales, or of its further ones.
        options: the model's own options; ``channels="y"`` or ``"rgb"``; and ``skip="bicubic"``, which adds the network's
            output to its bicubically upscaled input.

    Raises:
        UnknownNameError: no such model.
        InputError: no such option.
        UnavailableError: the model cannot be built at this scale.
    """
    from srbench.models._skip import BicubicSkip

    model = get_model(name) if isinstance(name, str) else name
    if scale not in (*model.scales, *model.further):
        scales = ", ".join(f"x{s}" for s in (*model.scales, *model.further))
        raise UnavailableError("unsupported_scale", f"{model.name} cannot be built at x{scale}; it has {scales}")
    skip = options.pop("skip", None)
    allowed = {"channels", *model.options}
    for option in options:
        if option not in allowed:
            raise InputError(f"{model.name} has no option {option!r}; it has {', '.join(sorted(allowed | {'skip'}))}")
    network = model.build(scale, **options)
    if skip in (None, "none"):
        return network
    if skip != "bicubic":
        raise InputError(f"skip must be 'bicubic' or 'none', not {skip!r}")
    if model.has_skip or model.interpolator:
        raise InputError(f"{model.name} already adds its output to the upscaled input: leave out skip={skip!r}")
    return BicubicSkip(network, 1 if model.pre_upsampled else scale)
