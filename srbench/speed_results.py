"""What was timed: one JSON file a device × checkpoint (or model) × scale, readable without torch.

``results/speed/<device>/<name>_x<scale>.json``; ``…@<H>x<W>.json`` where the input was not that of 1280×720 output. Ratios
hold within one record, and between records of one ``run`` and ``group``, which were measured interleaved. Nothing here may
be compared across devices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

from srbench.errors import SrbenchError
from srbench.files import listed
from srbench.records import parse, read_json, unseal, write_json
from srbench.results import Fields, read_all, results_root

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
BASE = "eager"
FULL_OUTPUT = (720, 1280)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


Size = Annotated[tuple[StrictInt, StrictInt], Field(strict=False)]  # of an image; JSON has lists alone


class Batch(_Record):
    """One step of a batch sweep: ``n`` passes of ``batch`` images."""

    batch: int = Field(ge=1)
    n: int = Field(ge=1)
    median_ms: float
    images_per_s: float


class VariantSpeed(_Record):
    """One way of running a network; times are of one pass over one image.

    Attributes:
        status: ``"ok"``, or why there is no time (``unavailable``, ``oom``, ``failed``).
        reason: in words, unless the status is ok.
        n: number of counted passes.
        times_ms: every counted pass, in order.
        median_ms: of these.
        p10_ms: None if there are fewer than ten passes.
        p90_ms: None if there are fewer than ten passes.
        spread: (p90 − p10) / median, from the extremes if there are fewer than ten passes; None for a single one.
        noisy: whether the spread is over the run's limit.
        images_per_s: from the median.
        megapixels_per_s: of output.
        ratio: the base's median / this one's, in the same run.
        first_call_ms: in a fresh process, with the start of libraries, compilation, and graph capture.
        peak_memory_bytes: the most that network, image and pass took in a fresh process: its growth on a CPU, torch's
            allocator on a GPU.
        process_memory_bytes: peak of the whole process.
        psnr_change: mean change in dB against the base on the record's ``psnr_set``; None for random weights.
        max_difference: largest change of an output sample against the base, on the 0–255 scale.
        sweep: larger and larger batches.
        sweep_end: why the sweep ended.
    """

    status: str = "ok"
    reason: str = ""
    n: int = 0
    times_ms: list[float] = []
    median_ms: float | None = None
    p10_ms: float | None = None
    p90_ms: float | None = None
    spread: float | None = None
    noisy: bool = False
    images_per_s: float | None = None
    megapixels_per_s: float | None = None
    ratio: float | None = None
    first_call_ms: float | None = None
    peak_memory_bytes: int | None = None
    process_memory_bytes: int | None = None
    psnr_change: float | None = None
    max_difference: float | None = None
    sweep: list[Batch] = []
    sweep_end: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> VariantSpeed:
        if self.status != "ok" and not self.reason:
            raise ValueError(f"status {self.status!r} needs a reason")
        if self.status == "ok" and (self.median_ms is None or not self.n or len(self.times_ms) != self.n):
            raise ValueError("a variant with status ok needs its times")
        return self

    @property
    def ok(self) -> bool:
        """Whether it was timed."""
        return self.status == "ok"


class SpeedResult(_Record):
    """Speed of one checkpoint, or of a model with random weights, at one scale and input size on one device.

    Attributes:
        name: checkpoint or model.
        random_weights: whether there was no checkpoint; the times are just as good, but there is no PSNR change.
        device: name of the device's folder.
        device_name: of the machine.
        driver: of the machine.
        torch: its version.
        threads: how many torch used.
        load_average: of the machine, at the start.
        input: height and width of the LR image.
        output: height and width of the SR image.
        timed: what one pass is.
        psnr_set: images and protocol of ``psnr_change``.
        run: the run's id, which is when it began.
        group: names whose passes were interleaved with this one's.
        seconds: time after which a variant was stopped.
        spread_limit: the spread above which a row is noisy.
        quick: whether only a glance was asked for.
        same_as: name of the same network, whose times these are.
        again_ms: the base, timed once more at the end.
        drift: again_ms / the base's median − 1.
        cost: ``mult_adds``, ``paper_mult_adds``, ``flops``, ``parameters``, ``activations``, ``weight_bytes`` …
        variants: by name, the base ``eager`` first.
    """

    schema_version: Literal[1] = 1
    kind: Literal["speed"] = "speed"
    name: str = Field(min_length=1)
    model: str = Field(min_length=1)
    scale: int = Field(ge=1)
    random_weights: bool
    weights_sha256: str = ""
    options: Fields = {}
    channels: str = ""
    device: str = Field(min_length=1)
    device_type: str
    device_name: str
    driver: str = ""
    torch: str
    threads: int
    load_average: list[float] = []
    input: Size
    output: Size
    timed: str = "network"
    psnr_set: str = ""
    run: str
    group: list[str] = []
    seconds: float
    spread_limit: float
    quick: bool = False
    same_as: str = ""
    again_ms: float | None = None
    drift: float | None = None
    cost: dict[str, int | float | None] = {}
    variants: dict[str, VariantSpeed]
    created: str = ""
    provenance: dict[str, str] = {}

    @property
    def base(self) -> VariantSpeed:
        """Eager float32."""
        return self.variants[BASE]

    @property
    def fastest(self) -> str:
        """Name of the variant with the smallest median, which may be the base; empty if nothing was timed."""
        timed = {name: v.median_ms for name, v in self.variants.items() if v.ok and v.median_ms is not None}
        return min(timed, key=lambda name: timed[name]) if timed else ""


def speed_path(
    device: str, name: str, scale: int, size: tuple[int, int], root: Path | str | None = None
) -> Path:  # fmt: skip
    """Where a record lies below ``root`` (the results folder; home's by default). ``size``: the input's height and width."""
    folder = Path(root) if root is not None else results_root()
    usual = tuple(math.ceil(side / scale) for side in FULL_OUTPUT)
    suffix = "" if tuple(size) == usual else f"@{size[0]}x{size[1]}"
    return folder / "speed" / quote(device, safe="") / f"{quote(name, safe='')}_x{scale}{suffix}.json"


def is_usual(result: SpeedResult) -> bool:
    """Whether its input is what gives 1280×720."""
    return tuple(result.input) == tuple(math.ceil(side / result.scale) for side in FULL_OUTPUT)


def write_speed(result: SpeedResult, root: Path | str | None = None) -> Path:
    """Store a record in its place, whole or not at all."""
    path = speed_path(result.device, result.name, result.scale, result.input, root)
    write_json(path, result.model_dump(mode="json"))
    return path


def read_speed(path: Path | str) -> SpeedResult:
    """One record; raises InputError that names the file and what is wrong in it."""
    values = unseal(read_json(path, "a speed record"), path)
    return parse(SpeedResult, values, f"{path} is not a speed record")


def find_speed(
    device: str, name: str, scale: int, size: tuple[int, int], root: Path | str | None = None
) -> SpeedResult | None:  # fmt: skip
    """The record of this device, name, scale and input size, or None."""
    try:
        return read_speed(speed_path(device, name, scale, size, root))
    except FileNotFoundError:
        return None


def read_speeds(root: Path | str | None = None, broken: list[SrbenchError] | None = None) -> list[SpeedResult]:
    """Every speed record below ``root``, sorted by path; ``broken`` and errors as in ``read_results``."""
    folder = Path(root) if root is not None else results_root()
    paths = listed(folder / "speed", "*/*.json")
    return read_all(paths, read_speed, lambda r: speed_path(r.device, r.name, r.scale, r.input, folder), broken)


def load_speed_results(root: Path | str | None = None) -> pd.DataFrame:
    """Every stored time: one row a record and variant."""
    return speed_frame(read_speeds(root))


def speed_frame(records: Iterable[SpeedResult]) -> pd.DataFrame:
    """Records as the DataFrame of ``load_speed_results``: the record's fields, ``variant``, and the variant's fields.

    Costs become columns ``cost_…``; times and sweeps stay out; ``best_images_per_s`` is the sweep's greatest.
    """
    import pandas as pd

    rows = []
    for record in records:
        common = record.model_dump(exclude={"variants", "cost", "provenance", "options", "group"})
        common |= {f"cost_{key}": value for key, value in record.cost.items()}
        for name, variant in record.variants.items():
            row = variant.model_dump(exclude={"times_ms", "sweep"})
            row["best_images_per_s"] = throughput(variant)
            rows.append({**common, "variant": name, **row})
    return pd.DataFrame(rows)


def throughput(variant: VariantSpeed) -> float | None:
    """Images a second at the best batch that was tried."""
    rates = [step.images_per_s for step in variant.sweep]
    return max([*rates, variant.images_per_s or 0.0]) or None
