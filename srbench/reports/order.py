"""The order of the architectures that one recipe trained, with paired tests, beside the order that was published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from srbench.errors import InputError, UnavailableError
from srbench.reports.comparison import Comparison, compare, mean_score
from srbench.reports.markdown import grid
from srbench.reports.published import find_figure
from srbench.reports.view import NONE, number
from srbench.results import Result
from srbench.zoo import Card

PROTOCOL = "standard.v1"
_PUBLISHED = (PROTOCOL, "classic.v1")
_DATASETS = ("set5", "set14")  # the last one orders and tests: Set5 is too small for that


def render_order(cards: Iterable[Card], results: Sequence[Result], scale: int = 4) -> str:
    """One table: networks of the ``common`` recipe by their PSNR on Set14, each tested against the one above it.

    Args:
        cards: any; other recipes, seeds and scales are left out.
        results: where a network's scores under ``standard`` are; without them it is not in the table.
    """
    measured = []
    for card in cards:
        if card.recipe == "common" and card.scales == [scale]:
            scores = [mean_score(results, card, dataset, PROTOCOL) for dataset in _DATASETS]
            if scores[-1] is not None:
                measured.append((card, scores))
    if not measured:
        return "Nothing that the common recipe trained has been measured on Set14 yet.\n"
    measured.sort(key=lambda entry: (-(entry[1][-1] or 0.0), entry[0].name))
    published = [published_figure(card.model, scale, _DATASETS[-1]) for card, _ in measured]
    known = sorted((figure for figure, _ in filter(None, published)), reverse=True)
    rows, above = [], ""
    for place, ((card, scores), found) in enumerate(zip(measured, published, strict=True), 1):
        test = _test(results, above, card.name, scale) if above else None
        rows.append(
            [
                str(place),
                card.name,
                f"{card.wall_time_s / 60:.0f}",
                *(number(score, 2) for score in scores),
                *((number(test.difference, 2), f"{test.p:.2g}") if test else (NONE, NONE)),
                *((f"{found[0]:.2f} ({found[1]})", str(known.index(found[0]) + 1)) if found else (NONE, NONE)),
            ]
        )
        above = card.name
    heads = [
        "place",
        "checkpoint",
        "minutes",
        "Set5",
        "Set14",
        "behind the one above",
        "p",
        "published, Set14",
        "place",
    ]
    return grid(heads, rows, {1})


def _test(results: Sequence[Result], above: str, below: str, scale: int) -> Comparison | None:
    try:
        return compare(results, above, below, _DATASETS[-1], scale=scale, protocol=PROTOCOL)
    except (InputError, UnavailableError):
        return None


def published_figure(model: str, scale: int, dataset: str) -> tuple[float, str] | None:
    """A network's published PSNR (dB) and the protocol it was measured under, ``standard`` or else ``classic``."""
    for protocol in _PUBLISHED:
        if found := find_figure(model, dataset, scale, protocol, "psnr"):
            return found.value, protocol.partition(".")[0]
    return None
