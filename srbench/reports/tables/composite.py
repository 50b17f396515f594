"""A composite score of every row of a table, from the stored scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from srbench.composites import COSTS, Composite
from srbench.errors import InputError, UnknownNameError
from srbench.facts import read_facts
from srbench.formula import Values
from srbench.reports.tables.rows import Entrant, Row, Table
from srbench.reports.tables.speed import device_text, doubts
from srbench.speed_results import SpeedResult, is_usual
from srbench.stats import ALPHA, Interval, holm, least_p, mean_interval, paired_test


@dataclass(frozen=True)
class CompositeScore:
    """A composite of one row.

    Attributes:
        who: what was measured.
        value: the formula of the means; None where the status is not ok.
        terms: the mean or cost that it was made of, by the formula's names; those that are there.
        interval: 95 % interval over the images, from the jackknife's pseudo-values; None where it is undefined.
        p: of the paired test against the best row, by Holm's method over all rows; None for the best row, and where there are
            too few images.
        each: the pseudo-values, one an image: ``n·f(all) − (n − 1)·f(all but this one)``, whose mean is the formula's up to its
            curvature. Of a linear formula they are its values image by image.
        status: ``ok``, or why there is no number.
        reason: in words.
    """

    who: Entrant
    value: float | None = None
    terms: Mapping[str, float] | None = None
    interval: Interval | None = None
    p: float | None = None
    each: tuple[float, ...] = ()
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True)
class Reference:
    """A timed network that others are compared with.

    Attributes:
        name: as its speed record has it.
        device: in words.
        constants: the composite's constants that are its costs.
        doubts: why to read its time with care.
    """

    name: str
    device: str
    constants: Mapping[str, float]
    doubts: tuple[str, ...] = ()


def reference(composite: Composite, records: Sequence[SpeedResult], name: str, scale: int, device: str) -> Reference:
    """The costs of a network as a composite's ``reference_…`` constants.

    Args:
        composite: with such constants.
        records: where the network's may stand.
        name: of a record, such as ``rlfn_s`` or ``srresnet_x4.tuned-nearest``.
        scale: the upscaling factor.
        device: folder of the device that the rows' times are of; "" where none is timed.

    Raises:
        InputError: the composite has no such constant, or the record lacks a cost.
        UnknownNameError: there is no record of this name for 1280×720 output at this scale on this device.
    """
    if not composite.references:
        raise InputError(f"{composite.name} compares with no network: it has no constant such as reference_ms")
    here = [one for one in records if one.scale == scale and is_usual(one) and device in ("", one.device)]
    record = next((one for one in here if one.name == name), None)
    if record is None:
        where = (
            f"the speed records of {device or 'results/'} at x{scale} (`srbench speed NAME --scale {scale}` makes one)"
        )
        raise UnknownNameError("reference", name, {one.name for one in here}, where)
    found = {
        "ms": record.base.median_ms,
        "mult_adds": None if (adds := record.cost.get("mult_adds")) is None else adds / 1e9,
        "parameters": record.cost.get("parameters"),
        "memory_mb": None if (peak := record.base.peak_memory_bytes) is None else peak / 1e6,
    }
    constants = {constant: found[cost] for constant, cost in composite.references.items()}
    for constant, value in constants.items():
        if value is None:
            why = f": {record.base.reason}" if record.base.reason else ""
            raise InputError(
                f"the speed record of {name} on {record.device} has no {composite.references[constant]}{why}"
            )
    values = {constant: float(value) for constant, value in constants.items() if value is not None}
    return Reference(name, device_text(record), values, doubts(record, record.base))


def composite_scores(table: Table, composite: Composite) -> list[CompositeScore]:
    """Every row's composite, the best first, then those that have none with the reason.

    Args:
        table: of ``build_tables``.
        composite: with all its constants, see ``Composite.with_constants``.

    Raises:
        UnknownNameError: the formula has a name that is neither a metric, a cost nor a constant.
        InputError: a constant has no value.
    """
    if composite.asked:
        raise InputError(f"{composite.name} needs values of {', '.join(composite.asked)}")
    metrics = _metrics(table, composite)
    scores = [_score(table, row, composite, metrics) for row in table.rows]
    numbered = [one for one in scores if one.value is not None]
    numbered.sort(key=lambda one: (-one.value if composite.higher_is_better else one.value, one.who.name))  # type: ignore[operator]
    return _tested(numbered) + [one for one in scores if one.value is None]


def _metrics(table: Table, composite: Composite) -> dict[str, str]:
    """The names of metrics by what the formula calls them."""
    known = {name.replace("-", "_"): name for name in (*read_facts().metrics, *(info.name for info in table.metrics))}
    for name in composite.metrics:
        if name not in known:
            raise UnknownNameError(
                "name", name, [*known, *COSTS, *composite.constants], f"the formula of {composite.name}"
            )
    return {name: known[name] for name in composite.metrics}


def _score(table: Table, row: Row, composite: Composite, metrics: Mapping[str, str]) -> CompositeScore:
    images: dict[str, Values] = {}
    costs = {
        name: value for name in composite.terms if name in COSTS and (value := _cost(table, row, name)) is not None
    }
    lacking: list[tuple[str, str]] = []
    never: list[str] = []
    for name, metric in metrics.items():
        score = row.scores.get(metric)
        if score is None or score.status == "not_measured":
            never.append(metric)
        elif score.mean is None:
            lacking.append((score.status, f"{metric}: {score.reason}"))
        else:
            images[name] = np.array(score.values, dtype=np.float64)
    if never:
        command = f"srbench eval NAME --datasets {table.dataset} --scale {table.scale} --metrics {','.join(never)}"
        lacking.append(("not_measured", f"{', '.join(never)} not asked for: `{command}`"))
    terms = {name: float(images[name].mean()) if name in images else costs[name] for name in (*images, *costs)}
    lacking += [("not_measured", _no_cost(name)) for name in composite.terms if name in COSTS and name not in costs]
    if lacking:
        reasons = "; ".join(reason for _, reason in lacking)
        return CompositeScore(row.who, terms=terms, status=lacking[0][0], reason=reasons)
    value = _formula(composite, terms)
    if not math.isfinite(value):
        return CompositeScore(row.who, terms=terms, status="failed", reason="the formula has no finite value here")
    each = _pseudo_values(composite, images, terms, value)
    return CompositeScore(row.who, value, terms, _around(value, each), each=tuple(each.tolist()))


def _formula(composite: Composite, terms: Mapping[str, float | Values]) -> float:
    given = {name: np.asarray(value, dtype=np.float64) for name, value in (composite.constants | dict(terms)).items()}
    return float(composite.parsed(given))


def _pseudo_values(
    composite: Composite, images: Mapping[str, Values], terms: Mapping[str, float], value: float
) -> Values:
    """Of the jackknife over the images; empty where the formula has no metric, or one image alone."""
    n = next((values.size for values in images.values()), 0)
    if n < 2:
        return np.empty(0)
    without = {name: (values.sum() - values) / (n - 1) for name, values in images.items()}
    given = {name: np.asarray(v, dtype=np.float64) for name, v in (composite.constants | dict(terms) | without).items()}
    return n * value - (n - 1) * np.broadcast_to(composite.parsed(given), (n,))


def _around(value: float, each: Values) -> Interval | None:
    """The interval of the pseudo-values' mean, moved to the formula's own value."""
    if not each.size or not np.isfinite(each).all():
        return None
    found = mean_interval(each)
    shift = value - float(each.mean())
    return None if found is None else (found[0] + shift, found[1] + shift)


def _tested(scores: Sequence[CompositeScore]) -> list[CompositeScore]:
    """With each row's p against the first, where the images suffice for one."""
    usable = [bool(one.each) and np.isfinite(one.each).all() for one in scores]
    if len(scores) < 2 or not all(usable) or least_p(len(scores[0].each)) > ALPHA:
        return list(scores)
    raised = holm([paired_test(one.each, scores[0].each) for one in scores[1:]])
    return [scores[0], *(replace(one, p=p) for one, p in zip(scores[1:], raised, strict=True))]


def _cost(table: Table, row: Row, name: str) -> float | None:
    if name == "parameters":
        return None if row.who.parameters is None else float(row.who.parameters)
    speed = table.speed(row)
    if speed is None:
        return None
    if name == "mult_adds":
        return None if speed.mult_adds is None else speed.mult_adds / 1e9
    return speed.latency_ms if name == "ms" else speed.memory_mb


def _no_cost(name: str) -> str:
    return f"no {name}" if name == "parameters" else f"no {name}: `srbench speed NAME` measures it"
