"""What the registries of models and metrics say, readable without torch: ``facts.json`` beside this module.

The facts' home is the model's and the metric's own file. ``python -m tests.make_facts`` copies them, and a test fails where the
copy is not theirs. A model or metric of another package has no entry here; records and cards say what a report needs of it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ModelFacts:
    """What a report says of an architecture; as in ``srbench.models.Model``.

    Attributes:
        name: the field's name in lower case.
        display: the name for people.
        title: of its paper.
        year: of its paper.
        url: of its paper.
        channels: ``y`` or ``rgb``.
        interpolator: whether it has no weights.
        parameters: trainable ones, by scale; the scales are those that it can be built for.
    """

    name: str
    display: str
    title: str = ""
    year: int | None = None
    url: str = ""
    channels: Literal["y", "rgb"] = "rgb"
    interpolator: bool = False
    parameters: dict[int, int] = field(default_factory=dict)

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that it can be built for."""
        return tuple(self.parameters)


@dataclass(frozen=True)
class MetricFacts:
    """What a report says of a metric; as in ``srbench.metrics.Metric``."""

    name: str
    summary: str = ""
    least: float | None = None
    greatest: float | None = None
    tolerance: float = 1e-3


@dataclass(frozen=True)
class Facts:
    """Everything in ``facts.json``."""

    models: dict[str, ModelFacts]
    metrics: dict[str, MetricFacts]


@functools.cache
def read_facts() -> Facts:
    """The facts of every registered model and metric of this package."""
    from pydantic import TypeAdapter

    text = Path(__file__).with_name("facts.json").read_text(encoding="utf-8")
    return TypeAdapter(Facts).validate_python(json.loads(text))


def model_facts(name: str) -> ModelFacts:
    """What is known of a model; its display name alone where it is not of this package."""
    return read_facts().models.get(name) or ModelFacts(name, display_name(name))


def metric_facts(name: str) -> MetricFacts:
    """What is known of a metric; the usual tolerance and no range where it is not of this package."""
    return read_facts().metrics.get(name) or MetricFacts(name)


def display_name(name: str) -> str:
    """How papers print a name, where nothing else is said.

    >>> display_name("edsr_baseline"), display_name("fsrcnn_s")
    ('EDSR-baseline', 'FSRCNN-s')
    >>> display_name("srresnet_s"), display_name("MyNet")
    ('SRResNet-s', 'MyNet')
    """
    if name != name.lower():
        return name
    first, *rest = name.split("_")
    return "-".join([first.upper().replace("RESNET", "ResNet"), *rest])
