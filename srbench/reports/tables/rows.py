"""What a leaderboard holds, typed: entrants, scores, ranks, speeds and the cells that have no number. Nothing is rounded here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from srbench.reports.tables.published import Figure
from srbench.results import Fields

Kind = Literal["network", "interpolator", "published"]
Interval = tuple[float, float]
_WORDS = frozenset({"hallucination", "improvement", "lattice", "omission"})


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown: as it was declared when it was measured.

    Attributes:
        name: such as ``psnr``.
        unit: such as ``dB``, or "".
        higher_is_better: its direction.
        digits: decimals of a mean.
        least: the smallest value it can have, None where there is none.
        greatest: the greatest, likewise.
    """

    name: str
    unit: str
    higher_is_better: bool
    digits: int
    least: float | None = None
    greatest: float | None = None

    @property
    def display(self) -> str:
        """``PSNR``; a metric whose name is a word stays one."""
        return self.name if self.name in _WORDS else self.name.upper()

    @property
    def title(self) -> str:
        """``PSNR (dB) ↑``."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.display}{unit} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class Entrant:
    """Who was measured: a checkpoint in one way of running it, an interpolator, or a network that only papers measured.

    Attributes:
        checkpoint: name in records, ``fsrcnn_x4.tuned``; the model's name where there are no weights.
        variant: what an image went through besides the network, such as ``ensemble``; "" for nothing.
        model: architecture, ``fsrcnn``.
        display: its name for people, ``FSRCNN``.
        kind: what it is.
        marks: what differs from the paper's network or from a plain run, for small type: ``bicubic skip``, ``bf16``.
        recipe: what trained it, without the seed: ``tuned``.
        seed: of its training; None where that is unknown.
        family: equal for trainings that differ in the seed alone, run in the same way.
        options: build options that differ from the paper's.
        channels: ``y``, ``rgb``, ``any`` or "" (unknown).
        parameters: trainable ones, None where unknown.
        adversarial: whether a discriminator took part in its training.
        trained_on: names of the training sets.
        minutes: what its training took, None where unknown.
        steps: how many it took, None where unknown.
        precision: number format of the network's arithmetic.
        weights_sha256: of its weights.
        own: whether it is the user's (a class or a file of weights) rather than part of the zoo.
        year: that of its paper; None if unknown.
        paper: the paper's address.
    """

    checkpoint: str
    model: str
    display: str
    kind: Kind = "network"
    variant: str = ""
    marks: tuple[str, ...] = ()
    recipe: str = ""
    seed: int | None = None
    family: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    channels: str = ""
    parameters: int | None = None
    adversarial: bool = False
    trained_on: tuple[str, ...] = ()
    minutes: float | None = None
    steps: int | None = None
    precision: str = ""
    weights_sha256: str = ""
    own: bool = False
    year: int | None = None
    paper: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells the rows of a table apart."""
        return self.checkpoint, self.variant

    @property
    def name(self) -> str:
        """``fsrcnn_x4.tuned+ensemble``, as a command takes it."""
        return f"{self.checkpoint}+{self.variant}" if self.variant else self.checkpoint

    @property
    def label(self) -> str:
        """``FSRCNN · tuned · bicubic skip · seed 1``: enough to tell it from every other row."""
        seed = (f"seed {self.seed}",) if self.seed and self.recipe and not self.checkpoint.endswith(self.recipe) else ()
        return " · ".join(part for part in (self.display, self.recipe, *self.marks, *seed) if part)


@dataclass(frozen=True)
class Difference:
    """A paired difference, image by image, to the best row of a column: ours minus the best.

    Attributes:
        mean: in the metric's unit.
        interval: its 95 % interval (Student's t) below ten images, where it stands in the place of the mean's; None from ten on
            and where it is undefined.
    """

    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class Score:
    """One metric of one row.

    Attributes:
        mean: over the images, inf allowed; None where the status is not ok.
        interval: 95 % interval of the mean within the metric's range, None where it is undefined.
        values: one an image, in the order of ``Table.images``; empty where the status is not ok.
        best: whether its mean, rounded, is the best of the column.
        behind: difference to the best row of the column; None in the best row itself and where the status is not ok.
        published: the figure measured under the same protocol, of the same network.
        status: ``ok``, or why there is no mean.
        reason: in words.
    """

    mean: float | None = None
    interval: Interval | None = None
    values: tuple[float, ...] = ()
    best: bool = False
    behind: Difference | None = None
    published: Figure | None = None
    status: str = "ok"
    reason: str = ""

    @property
    def delta(self) -> float | None:
        """Ours minus the published figure."""
        return None if self.mean is None or self.published is None else self.mean - self.published.value


@dataclass(frozen=True)
class Rank:
    """Where a row stands by the mean of the table's first metric.

    Attributes:
        place: 1 is the best mean; equal means share a place.
        low: best place of the 95 % interval from a paired bootstrap over the images; None if there are too few images to
            tell any two models apart.
        high: worst place of that interval, or None.
        first: share of the resamples in which it is the best, P(best); None likewise.
        alike: place of the best row that the paired test cannot tell it from; equal to ``place`` where there is none.
        p: of the paired test against the best row, raised by Holm's method for the number of rows tested; None for the best
            row itself, and where there are too few images to tell any two models apart.
    """

    place: int
    low: int | None = None
    high: int | None = None
    first: float | None = None
    alike: int = 0
    p: float | None = None


@dataclass(frozen=True)
class Seeds:
    """Several trainings that differ in the seed alone.

    Attributes:
        count: how many have a number here.
        mean: of their means, by metric.
        spread: standard deviation of their means (n − 1), by metric.
    """

    count: int
    mean: Mapping[str, float]
    spread: Mapping[str, float]


@dataclass(frozen=True)
class Speed:
    """What one network costs in one way of running it on one device, for an image of 1280×720 output unless ``size`` differs.

    Attributes:
        name: checkpoint, or model with random weights.
        model: of the network.
        scale: of the network.
        variant: how it was run; "" is eager float32.
        device: folder below results/speed.
        device_text: the device in words.
        latency_ms: median of one pass.
        p10_ms: None if there are fewer than ten passes.
        p90_ms: None if there are fewer than ten passes.
        n: number of passes.
        images_per_s: at the best batch that was tried for this variant; it means the same everywhere in reports.
        memory_mb: the most that network, image and pass took in a fresh process (MB = 1e6 bytes).
        mult_adds: those that are really done.
        paper_mult_adds: those that papers count.
        weight_mb: of the stored weights.
        psnr_change: dB against eager float32; None if the weights are random, or not the zoo's.
        size: height and width of the LR image.
        usual: whether it is that of 1280×720 output.
        glance: whether it was measured in seconds (``--quick``).
        random_weights: whether there was no checkpoint.
        doubts: why to read the times with care: ``n = 5``, ``drift −30 %``, ``spread over 25 %``, ``a glance``.
    """

    name: str
    model: str
    scale: int
    variant: str
    device: str
    device_text: str
    latency_ms: float
    n: int
    p10_ms: float | None = None
    p90_ms: float | None = None
    images_per_s: float | None = None
    memory_mb: float | None = None
    mult_adds: float | None = None
    paper_mult_adds: float | None = None
    weight_mb: float | None = None
    psnr_change: float | None = None
    size: tuple[int, int] = (0, 0)
    usual: bool = True
    glance: bool = False
    random_weights: bool = False
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How a record came about; empty texts where it does not say.

    Attributes:
        record: its path below results/.
        created: UTC, ISO 8601.
        seconds: wall time of the cell.
    """

    record: str
    created: str = ""
    device: str = ""
    seconds: float | None = None
    srbench: str = ""
    commit: str = ""
    torch: str = ""
    python: str = ""
    threads: str = ""
    machine: str = ""
    gpu: str = ""
    data_sha256: str = ""
    cell_hash: str = ""
    tiling: str = ""


@dataclass(frozen=True)
class Row:
    """A row with numbers.

    Attributes:
        who: what was measured.
        scores: every metric of the table, by name.
        rank: None where the table's first metric has no number here.
        seeds: of its family; None where fewer than two trainings have a number here.
        speeds: by device, of this very checkpoint, scale and variant.
        provenance: of its record.
        notes: what makes its numbers doubtful, of its record.
    """

    who: Entrant
    scores: Mapping[str, Score]
    rank: Rank | None
    seeds: Seeds | None
    speeds: Mapping[str, Speed]
    provenance: Provenance
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Absent:
    """A cell without number.

    Attributes:
        status: ``no_weights``, ``unsupported_protocol``, ``oom``, ``failed``, ``other_data``, ``outdated`` … reason: in words.
        derived: whether it follows from the zoo and the protocol, without a record.
    """

    who: Entrant
    status: str
    reason: str
    derived: bool = False


@dataclass(frozen=True)
class PublishedRow:
    """A network that only papers measured under this protocol; ``figures`` by metric."""

    who: Entrant
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Table:
    """One dataset, scale and protocol.

    Attributes:
        protocol: id such as ``standard.v1``.
        protocol_fields: what it stands for, as the records say it.
        images: names, in the order of every ``Score.values``; empty where no cell has a number.
        metrics: in the order shown; the first one ranks.
        rows: ranked rows by place, then those without rank.
        absent: cells without number.
        published: networks that only papers measured, best first.
        separable: whether the paired test could tell two models apart with so few images.
        device: folder name of the device whose times the tables show, "" where nothing was timed.
    """

    dataset: str
    scale: int
    protocol: str
    protocol_fields: Fields
    images: tuple[str, ...]
    metrics: tuple[MetricInfo, ...]
    rows: tuple[Row, ...]
    absent: tuple[Absent, ...] = ()
    published: tuple[PublishedRow, ...] = ()
    separable: bool = False
    device: str = ""

    @property
    def primary(self) -> MetricInfo | None:
        """The metric that ranks."""
        return self.metrics[0] if self.metrics else None

    @property
    def title(self) -> str:
        """``set5 ×4, standard.v1``."""
        return f"{self.dataset} ×{self.scale}, {self.protocol}"

    @property
    def protocol_name(self) -> str:
        """``standard`` of ``standard.v1``."""
        return str(self.protocol_fields.get("name") or self.protocol.rpartition(".v")[0])

    def metric(self, name: str) -> MetricInfo | None:
        """A metric of the table by name."""
        return next((info for info in self.metrics if info.name == name), None)

    def row(self, checkpoint: str, variant: str = "") -> Row | None:
        """A row with numbers by its key."""
        return next((row for row in self.rows if row.who.key == (checkpoint, variant)), None)

    def speed(self, row: Row) -> Speed | None:
        """A row's times on the table's device."""
        return row.speeds.get(self.device)


def finite(values: Sequence[float]) -> bool:
    """Whether all are finite."""
    return all(math.isfinite(value) for value in values)
