"""What was measured: one immutable JSON file a cell (checkpoint × dataset × scale × protocol), readable without torch.

``results/quality/<dataset>_x<scale>/<protocol>/<checkpoint>[+<variant>].json``; the path is a function of the record,
so a cell is found without an index and several processes may fill one folder. A cell without a number is a record too,
with a status and a reason. Full precision is stored; infinity is the string ``inf``, as JSON has no token for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from srbench.errors import InputError, SrbenchError, UnavailableError, UnknownNameError
from srbench.files import listed
from srbench.home import home
from srbench.records import parse, read_each, read_json, refuse_newer, unseal, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
FAULTS = ("oom", "failed")
"""Statuses of what went wrong; a command that meets one exits with 1."""

R = TypeVar("R")

Scalar = str | int | float | bool | None
Fields = Mapping[str, Scalar | list[Scalar]]
"""Names and values as JSON has them: a protocol's fields, a network's options."""


def _read_score(value: object) -> object:
    if value == "inf":
        return math.inf
    if isinstance(value, str | bool) or (isinstance(value, float) and (math.isnan(value) or value == -math.inf)):
        raise ValueError(f"{value!r} is not a score: a number, 'inf' or null is; a metric that failed has a status")
    return value


def _write_score(value: float | None) -> float | str | None:
    return "inf" if value == math.inf else value


Score = Annotated[float | None, BeforeValidator(_read_score), PlainSerializer(_write_score)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)  # true is no 1.0, "4" is no 4


class MetricScores(_Record):
    """One metric of one cell.

    Attributes:
        unit: as the metric declared it when it was measured, like the next four.
        higher_is_better: direction.
        digits: decimals to show.
        version: of the metric.
        space: what the metric saw.
        status: ``"ok"``, or why there is no mean (``unavailable``, ``failed`` …).
        reason: in words, unless the status is ok.
        values: one score an image, in the order of ``Result.images``; inf is allowed, NaN is not. All are numbers
            where the status is ok; otherwise the list is empty or has None for the images without a score.
    """

    unit: str
    higher_is_better: bool
    digits: int = Field(ge=0, le=12)
    version: int
    space: str
    status: str = "ok"
    reason: str = ""
    values: list[Score]

    @model_validator(mode="after")
    def _complete(self) -> MetricScores:
        if self.status == "ok" and (not self.values or None in self.values):
            raise ValueError("a metric with status ok needs a score for every image")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"status {self.status!r} needs a reason")
        return self


class Result(_Record):
    """Quality of one checkpoint on one dataset at one scale under one protocol.

    Attributes:
        checkpoint: ``fsrcnn_x4.tuned``; the model's name for an interpolator and for a model without weights.
        variant: what was done besides a plain pass of the network, such as ``ensemble`` or ``tile128``; "" for nothing.
        protocol: short id; ``protocol_fields`` says what it stands for.
        parameters: trainable parameters; 0 for an interpolator, None where unknown.
        options: build options that differ from the paper's, such as ``{"skip": "bicubic"}``.
        own: whether the network is the user's own, a class or a file of weights.
        data_sha256: one hash over the dataset's file names and contents.
        seconds: wall time of the cell.
        cell_hash: hash of everything that changes a number.
        created: ISO 8601, UTC.
        notes: what a reader of the numbers must know, such as SR below bicubic or shifted by a pixel; a sentence each.
        provenance: versions, commit, machine …, as text.
    """

    schema_version: Literal[1] = 1
    kind: Literal["quality"] = "quality"
    checkpoint: str = Field(min_length=1)
    model: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    scale: int = Field(ge=1)
    protocol: str = Field(min_length=1)
    protocol_fields: Fields = {}
    variant: str = ""
    status: str = "ok"
    reason: str = ""
    images: list[str] = []
    metrics: dict[str, MetricScores] = {}
    parameters: int | None = None
    channels: str = ""
    options: Fields = {}
    recipe: str = ""
    trained_on: str = ""
    weights_sha256: str = ""
    own: bool = False
    data_sha256: str = ""
    precision: str = ""
    device: str = ""
    seconds: float | None = None
    cell_hash: str = ""
    created: str = ""
    notes: list[str] = []
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Result:
        if self.status != "ok" and not self.reason:
            raise ValueError(f"status {self.status!r} needs a reason")
        if self.ok and not (self.images and self.metrics):
            raise ValueError("a result with status ok needs images and metrics")
        if len(set(self.images)) != len(self.images):
            raise ValueError("two images have one name")
        for name, scores in self.metrics.items():
            if scores.values and len(scores.values) != len(self.images):
                raise ValueError(f"{name} has {len(scores.values)} scores for {len(self.images)} images")
        return self

    @property
    def ok(self) -> bool:
        """Whether the cell has numbers (a single metric may still lack them)."""
        return self.status == "ok"

    @property
    def faults(self) -> list[str]:
        """What could have had a number and has none, each with its reason; not what is known to be impossible."""
        found = [f"{self.status}: {self.reason}"] if self.status in FAULTS else []
        return found + [f"{name} {m.status}: {m.reason}" for name, m in self.metrics.items() if m.status in FAULTS]

    @property
    def of_zoo(self) -> bool:
        """Whether it belongs in the zoo's reports: neither the network nor the images (a folder) are the user's own."""
        return not self.own and not self.dataset.startswith("dir-")

    def mean(self, metric: str) -> float:
        """Mean over the images, inf where one is infinite.

        Raises:
            UnknownNameError: the metric was not measured.
            UnavailableError: the cell or the metric has no number.
        """
        if not self.ok:
            raise UnavailableError(self.status, self.reason)
        if metric not in self.metrics:
            raise UnknownNameError("metric", metric, self.metrics, f"the result of {self.checkpoint}")
        scores = self.metrics[metric]
        if scores.status != "ok":
            raise UnavailableError(scores.status, scores.reason)
        return math.fsum(value for value in scores.values if value is not None) / len(scores.values)

    @property
    def frame(self) -> pd.DataFrame:
        """One row an image and metric; the columns are those of ``load_results``."""
        return to_frame([self])

    def _repr_html_(self) -> str:
        """A notebook's view: a line an image, a column a metric, the mean below; names are escaped."""
        import html

        title = f"{self.checkpoint}{'+' if self.variant else ''}{self.variant} on {self.dataset} ×{self.scale}, {self.protocol}"
        head = f"<p><b>{html.escape(title)}</b></p>"
        if not self.ok:
            return f"{head}<p><code>{html.escape(self.status)}</code>: {html.escape(self.reason)}</p>"
        frame = self.frame.dropna(subset=["image"])
        table = frame.pivot(index="image", columns="metric", values="value").reindex(self.images)
        table.loc["mean"] = table.mean()
        texts = {
            name: table[name].map(f"{{:.{scores.digits}f}}".format)
            for name, scores in self.metrics.items()
            if name in table
        }
        lacking = "".join(
            f"<p>{html.escape(name)}: <code>{html.escape(scores.status)}</code>, {html.escape(scores.reason)}</p>"
            for name, scores in self.metrics.items()
            if scores.status != "ok"
        )
        return head + type(table)(texts).to_html() + lacking


def results_root() -> Path:
    """The folder that holds quality/ and speed/."""
    return home() / "results"


def result_path(result: Result, root: Path | str | None = None) -> Path:
    """Where a record lies below ``root`` (the results folder; home's by default)."""
    return cell_path(result.checkpoint, result.dataset, result.scale, result.protocol, result.variant, root)


def cell_path(
    checkpoint: str, dataset: str, scale: int, protocol: str, variant: str = "", root: Path | str | None = None
) -> Path:
    """Where the record of a cell lies; characters that a file name cannot hold are percent-encoded."""
    folder = Path(root) if root is not None else results_root()
    return folder / _cell_name(checkpoint, dataset, scale, protocol, variant)


def record_name(result: Result) -> str:
    """Where a record lies below the results folder, such as ``quality/set5_x4/standard.v1/bicubic.json``."""
    return _cell_name(result.checkpoint, result.dataset, result.scale, result.protocol, result.variant)


def _cell_name(checkpoint: str, dataset: str, scale: int, protocol: str, variant: str) -> str:
    name = _component(checkpoint) + (f"+{_component(variant)}" if variant else "")
    return f"quality/{_component(dataset)}_x{scale}/{_component(protocol)}/{name}.json"


def write_result(result: Result, root: Path | str | None = None) -> Path:
    """Store a record in its place, whole or not at all; of several writers of one cell the last one stays."""
    path = result_path(result, root)
    write_json(path, result.model_dump(mode="json"))
    return path


def read_result(path: Path | str) -> Result:
    """One record; raises InputError that names the file and what is wrong in it."""
    record = read_json(path, "a result")
    refuse_newer(record, path, SCHEMA_VERSION)
    return parse(Result, unseal(record, path), f"{path} is not a result")


def read_results(root: Path | str | None = None, broken: list[SrbenchError] | None = None) -> list[Result]:
    """Every quality record below ``root``, sorted by path.

    Args:
        root: the results folder; home's by default.
        broken: takes what is wrong with each broken or misplaced file, which is then left out.

    Raises:
        InputError: names the first such file, where ``broken`` is not given.
    """
    folder = Path(root) if root is not None else results_root()
    paths = listed(folder / "quality", "*/*/*.json")
    return read_all(paths, read_result, lambda result: result_path(result, folder), broken)


def read_all(
    paths: Iterable[Path], read: Callable[[Path], R], place: Callable[[R], Path], broken: list[SrbenchError] | None
) -> list[R]:
    """The records of some files, each in the place that it says itself; see :func:`read_results`."""

    def in_its_place(path: Path) -> R:
        record = read(path)
        if path != (expected := place(record)):
            raise InputError(f"{path} holds the record of {expected}: move or remove it")
        return record

    return read_each(paths, in_its_place, broken)


def read_dataset(dataset: str, root: Path | str | None = None) -> list[Result]:
    """The quality records of one dataset at all scales and under all protocols; broken ones are left out."""
    folder = Path(root) if root is not None else results_root()
    paths = listed(folder / "quality", f"{glob_escape(_component(dataset))}_x[0-9]*/*/*.json")
    return read_all(paths, read_result, lambda result: result_path(result, folder), [])


def find_result(
    checkpoint: str, dataset: str, scale: int, protocol: str, variant: str = "", root: Path | str | None = None
) -> Result | None:
    """The record of a cell, or None where there is none yet."""
    try:
        return read_result(cell_path(checkpoint, dataset, scale, protocol, variant, root))
    except FileNotFoundError:
        return None


def load_results(root: Path | str | None = None, *, provenance: bool = False) -> pd.DataFrame:
    """Every stored score as a tidy DataFrame: one row an image and metric.

    A cell, or a metric of a cell, without numbers is one row with its status and reason, no image and the value NaN.

    Args:
        root: the results folder; home's by default.
        provenance: also everything else that a record holds: hashes, options (``option_…``), the protocol's fields
            (``protocol_…``), versions and machine (``provenance_…``), and how each metric was declared.
    """
    return to_frame(read_results(root), provenance=provenance)


FRAME_COLUMNS = (
    "image", "metric", "value", "unit", "checkpoint", "variant", "model", "dataset", "scale", "protocol", "status", "reason",
)  # fmt: skip
"""Columns of every frame, in this order."""


def to_frame(results: Iterable[Result], *, provenance: bool = False) -> pd.DataFrame:
    """Records as the tidy DataFrame of ``load_results``; without records it has no rows but the usual columns."""
    import pandas as pd

    rows = [row for result in results for row in _rows(result)]
    columns = list(FRAME_COLUMNS)
    if provenance:
        more = [
            *(name for name in Result.model_fields if name not in {"images", "metrics", *_NESTED}),
            *_METRIC_COLUMNS,
        ]
        columns = list(dict.fromkeys([*columns, *more, *(key for row in rows for key in row)]))
    frame = pd.DataFrame(rows, columns=columns)
    numbers = {"value": "float64", "scale": "int64"}
    frame = frame.astype({name: numbers.get(name, "string") for name in FRAME_COLUMNS})
    return frame.astype({"parameters": "Int64"}) if provenance else frame


_NESTED = {"protocol_fields": "protocol", "options": "option", "provenance": "provenance"}
_METRIC_COLUMNS = ("higher_is_better", "digits", "metric_version", "space")


def _rows(result: Result) -> Iterator[dict[str, object]]:
    """A row an image and metric, with everything that the record holds."""
    common: dict[str, object] = {
        name: getattr(result, name) for name in Result.model_fields if name not in {"images", "metrics", *_NESTED}
    }
    for field, prefix in _NESTED.items():
        common |= {f"{prefix}_{key}": value for key, value in getattr(result, field).items()}
    if not result.ok or not result.metrics:
        yield common | {"image": None, "metric": None, "value": math.nan}
        return
    for name, scores in result.metrics.items():
        row = common | {"metric": name, "metric_version": scores.version, "unit": scores.unit}
        row |= {key: getattr(scores, key) for key in ("higher_is_better", "digits", "space")}
        if scores.status != "ok":
            yield row | {"image": None, "value": math.nan, "status": scores.status, "reason": scores.reason}
            continue
        for image, value in zip(result.images, scores.values, strict=True):
            yield row | {"image": image, "value": value}


def _component(name: str) -> str:
    encoded = quote(name, safe="")
    return "%2E" + encoded[1:] if encoded.startswith(".") else encoded
