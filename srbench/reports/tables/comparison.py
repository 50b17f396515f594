"""Two checkpoints on the same images: how much one is better, how sure that is, and on which images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from srbench.errors import InputError, UnavailableError, UnknownNameError, counted
from srbench.power import MOST_IMAGES, Power, power_of
from srbench.reports.units import share, short
from srbench.results import Result
from srbench.stats import (
    ALPHA,
    Effect,
    Floats,
    differences,
    effect_size,
    holm,
    least_p,
    mean_interval,
    paired_test,
)
from srbench.zoo import Card

BESIDE = ("hallucination", "omission", "improvement", "lr-psnr")
"""What stands beside any comparison where both records have it: what each network invents, and whether it keeps to its LR."""


@dataclass(frozen=True)
class Beside:
    """Another metric of the same two cells.

    Attributes:
        metric: its name.
        unit: as it was declared.
        digits: decimals to show.
        a: mean of a and standard deviation between its images (n − 1; None of one image).
        b: likewise.
        p: of the paired test.
    """

    metric: str
    unit: str
    digits: int
    a: tuple[float, float | None]
    b: tuple[float, float | None]
    p: float


@dataclass(frozen=True)
class Comparison:
    """What a paired comparison found; scores and differences are in the metric's unit, a − b.

    Attributes:
        images: name, score of a, score of b, in the order of the dataset.
        difference: mean of a − b.
        interval: its 95 % interval (``stats.mean_interval``), None if it is undefined.
        p: that of the Wilcoxon signed-rank test, two-sided.
        least_p: the smallest p that this number of images can give.
        wins: images where a is better, as the metric's direction says.
        losses: where b is.
        ties: where they are equal.
        effect: how large the difference is beside its spread.
        power: what this number of images can show, None where that is undefined.
        beside: other metrics of ``BESIDE`` that both cells have.
    """

    a: str
    b: str
    dataset: str
    scale: int
    protocol: str
    metric: str
    unit: str
    digits: int
    higher_is_better: bool
    images: list[tuple[str, float, float]]
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float] | None
    p: float
    least_p: float
    wins: int
    losses: int
    ties: int
    effect: Effect
    power: Power | None
    beside: tuple[Beside, ...] = ()

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.p <= ALPHA:
            better = self.a if (self.difference > 0) == self.higher_is_better else self.b
            low, high = self.interval or (1.0, 1.0)
            torn = " by the test, but the interval holds 0" if low <= 0 <= high else ""
            return f"{better} is better{torn} (p = {self.p:.2g})"
        if self.least_p > ALPHA:
            n = len(self.images)
            return f"{counted(n, 'image')} cannot tell them apart: the least p is {self.least_p:.3g}"
        return f"the images do not tell them apart (p = {self.p:.2g})"

    @property
    def warning(self) -> str:
        """How many images the difference in question needs; "" where these are enough or it is undefined."""
        if self.power is None or self.power.enough:
            return ""
        needed = f"about {self.power.needed}" if self.power.needed else f"more than {MOST_IMAGES}"
        return f"to tell {self._in_question} apart you need {needed} images; {self._found}"

    @property
    def power_text(self) -> str:
        """What the images can show of the difference in question; the warning where they are too few, "" if undefined."""
        if self.power is None or not self.power.enough:
            return self.warning
        return f"about {self.power.needed} images tell {self._in_question} apart; {self._found}"

    @property
    def _in_question(self) -> str:
        assert self.power is not None
        size = short(self.power.difference) if self.power.difference >= 0.1 else f"{self.power.difference:.1g}"
        return f"{size} {self.unit}" if self.unit else size

    @property
    def _found(self) -> str:
        assert self.power is not None
        return f"{self.power.images} find it {share(self.power.power)} of the time"


def compare(
    results: Iterable[Result],
    a: str,
    b: str,
    dataset: str,
    metric: str = "psnr",
    scale: int | None = None,
    protocol: str = "standard",
    apart: float | None = None,
) -> Comparison:
    """Compare two stored cells image by image.

    Args:
        results: the records to look in.
        a: a checkpoint as results name it; ``name+variant`` for a variant such as ``edsr_x4.tuned+ensemble``.
        b: the other one.
        dataset: a dataset that both were measured on.
        metric: a metric that both were measured with.
        scale: needed only if both were measured at several scales.
        protocol: a name, of which the newest version counts that both have, or an id such as ``standard.v1``.
        apart: the mean difference that matters, in the metric's unit: how many images does it take to tell it? None asks
            that of the difference found.

    Raises:
        UnknownNameError: no such checkpoint, dataset or metric among the records.
        InputError: several scales without a choice, cells of different images, or ``apart`` is 0.
        UnavailableError: a cell without a number, with its reason.
    """
    found = [r for r in results if _is_protocol(r.protocol, protocol)]
    if not found:
        raise InputError(
            f"results/ has nothing under protocol {protocol!r}: srbench eval {a} {b} --protocol {protocol}"
        )
    if dataset not in {r.dataset for r in found}:
        raise UnknownNameError("dataset", dataset, {r.dataset for r in found}, "results/")
    found = [r for r in found if r.dataset == dataset]
    cells = {name: {(r.scale, r.protocol): r for r in found if _name(r) == name} for name in (a, b)}
    for name, those in cells.items():
        if not those:
            raise UnknownNameError("checkpoint", name, {_name(r) for r in found}, f"the results on {dataset}")
    common = {key for key in cells[a].keys() & cells[b].keys() if scale in (None, key[0])}
    scales = sorted({key[0] for key in common})
    if not common:
        at = f" at x{scale}" if scale else ""
        raise InputError(f"{a} and {b} have no result{at} on {dataset} under one version of protocol {protocol}")
    if len(scales) > 1:
        raise InputError(f"both were measured at x{', x'.join(map(str, scales))}: choose with --scale")
    key = max(common, key=lambda key: int(key[1].rpartition(".v")[2] or 0))
    return _compare(a, b, cells[a][key], cells[b][key], metric, apart)


@dataclass(frozen=True)
class Ranking:
    """Several cells on the same images, best mean first, each compared with the best.

    Attributes:
        best: the one of the best mean.
        others: comparisons of each of the others with it (``a`` is the other one), best mean first.
        holm: of each of these the p that allows for their number (Holm's step-down method).
    """

    best: str
    others: tuple[Comparison, ...]
    holm: tuple[float, ...]


def rank_all(
    results: Sequence[Result],
    names: Sequence[str],
    dataset: str,
    metric: str = "psnr",
    scale: int | None = None,
    protocol: str = "standard",
    apart: float | None = None,
) -> Ranking:
    """Compare any number of stored cells, two or more, with the best of them; arguments and errors as ``compare``.

    The power of each test is that at the level that Holm's method leaves it.
    """
    first, *rest = dict.fromkeys(names)
    if not rest:
        raise InputError(f"a comparison needs two different models, not {first} alone")
    found = [compare(results, name, first, dataset, metric, scale, protocol) for name in rest]
    means = {first: found[0].mean_b} | {one.a: one.mean_a for one in found}
    order = sorted(means, key=lambda name: -means[name] if found[0].higher_is_better else means[name])
    others = [compare(results, name, order[0], dataset, metric, scale, protocol, apart) for name in order[1:]]
    for place, i in enumerate(sorted(range(len(others)), key=lambda i: others[i].p)):
        gaps = differences([x for _, x, _ in others[i].images], [y for _, _, y in others[i].images])
        others[i] = replace(others[i], power=power_of(gaps, apart, ALPHA / (len(others) - place)))
    return Ranking(order[0], tuple(others), holm([one.p for one in others]))


def mean_score(
    results: Iterable[Result], card: Card, dataset: str, protocol: str, metric: str = "psnr"
) -> float | None:
    """The mean of one stored cell of a checkpoint, without variant; None where these weights have no number there."""
    wanted = (card.name, card.sha256, dataset, card.scales[0], protocol, "")
    for r in results:
        if (r.checkpoint, r.weights_sha256, r.dataset, r.scale, r.protocol, r.variant) == wanted:
            try:
                return r.mean(metric)
            except (UnavailableError, UnknownNameError):
                return None
    return None


def _compare(a: str, b: str, first: Result, second: Result, metric: str, apart: float | None) -> Comparison:
    for name, cell in ((a, first), (b, second)):
        try:
            cell.mean(metric)
        except UnavailableError as error:
            raise UnavailableError(error.status, f"{name} has no {metric}: {error.status}, {error}") from None
    facts, other = first.metrics[metric], second.metrics[metric]
    if set(first.images) != set(second.images) or first.data_sha256 != second.data_sha256:
        raise InputError(f"{a} and {b} were measured on different images of {first.dataset}: measure them again")
    if facts.version != other.version:
        raise InputError(f"{a} has version {facts.version} of {metric}, {b} has {other.version}: measure them again")
    by_name = dict(zip(second.images, other.values, strict=True))
    pairs = [(n, float(x or 0), float(by_name[n] or 0)) for n, x in zip(first.images, facts.values, strict=True)]
    one, two = (np.array([pair[i] for pair in pairs], dtype=np.float64) for i in (1, 2))
    difference = differences(one, two)
    better = difference if facts.higher_is_better else -difference
    return Comparison(
        a=a,
        b=b,
        dataset=first.dataset,
        scale=first.scale,
        protocol=first.protocol,
        metric=metric,
        unit=facts.unit,
        digits=facts.digits,
        higher_is_better=facts.higher_is_better,
        images=pairs,
        mean_a=first.mean(metric),
        mean_b=second.mean(metric),
        difference=float(difference.mean()),
        interval=mean_interval(difference),
        p=paired_test(one, two),
        least_p=least_p(len(pairs)),
        wins=int((better > 0).sum()),
        losses=int((better < 0).sum()),
        ties=int((better == 0).sum()),
        effect=effect_size(one, two),
        power=power_of(difference, apart),
        beside=tuple(_beside(first, second, metric)),
    )


def _beside(first: Result, second: Result, besides: str) -> Iterator[Beside]:
    """Other metrics that say what a network invents, where both cells have numbers of one version."""
    for name in BESIDE:
        one, two = first.metrics.get(name), second.metrics.get(name)
        if name == besides or one is None or two is None or one.version != two.version:
            continue
        if one.status == two.status == "ok":
            by_name = dict(zip(second.images, two.values, strict=True))
            a = np.array([float(x or 0) for x in one.values])
            b = np.array([float(by_name[n] or 0) for n in first.images])
            yield Beside(name, one.unit, one.digits, _spread(a), _spread(b), paired_test(a, b))


def _spread(values: Floats) -> tuple[float, float | None]:
    usable = values.size > 1 and bool(np.isfinite(values).all())
    return float(values.mean()), float(values.std(ddof=1)) if usable else None


def _name(result: Result) -> str:
    return f"{result.checkpoint}+{result.variant}" if result.variant else result.checkpoint


def _is_protocol(found: str, wanted: str) -> bool:
    return found == wanted or re.fullmatch(rf"{re.escape(wanted)}\.v\d+", found) is not None
