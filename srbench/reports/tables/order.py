"""The order of the architectures that one recipe trained, with paired tests, beside the order that was published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from srbench.errors import InputError, UnavailableError
from srbench.reports.tables.comparison import Comparison, compare, mean_score
from srbench.reports.tables.published import Figure, is_published_form, published_figure
from srbench.results import Result
from srbench.zoo import Card

PROTOCOL = "standard.v1"
DATASETS = ("set5", "set14")
"""The last one orders and tests: Set5 is too small for that."""


@dataclass(frozen=True)
class Place:
    """One architecture in the order.

    Attributes:
        means: PSNR (dB) by dataset, None where it was not measured.
        above: the comparison with the one above it, None of the first and where there is none.
        published: its published PSNR on the last dataset.
        protocol: which that was measured under.
        published_place: its place in the order of the published figures.
    """

    card: Card
    means: tuple[float | None, ...]
    above: Comparison | None
    published: Figure | None = None
    protocol: str = ""
    published_place: int | None = None


def order_of(cards: Iterable[Card], results: Sequence[Result], scale: int = 4) -> list[Place]:
    """Networks of the ``tuned`` recipe by their PSNR on Set14, each tested against the one above it.

    Args:
        cards: any; other recipes, seeds and scales are left out.
        results: where a network's scores under ``standard`` are; without them it has no place.
        scale: of all networks.
    """
    measured = []
    for card in cards:
        if card.trained_by == "tuned" and card.seed == 0 and card.scales == [scale]:
            means = tuple(mean_score(results, card, dataset, PROTOCOL) for dataset in DATASETS)
            if means[-1] is not None:
                own = is_published_form(card.options)
                measured.append((card, means, published_figure(card.model, scale, DATASETS[-1]) if own else None))
    measured.sort(key=lambda entry: (-(entry[1][-1] or 0.0), entry[0].name))
    known = sorted((found[0].value for _, _, found in measured if found), reverse=True)
    places, above = [], ""
    for card, means, found in measured:
        test = _test(results, above, card.name, scale) if above else None
        figure, protocol = found or (None, "")
        places.append(Place(card, means, test, figure, protocol, known.index(figure.value) + 1 if figure else None))
        above = card.name
    return places


def _test(results: Sequence[Result], above: str, below: str, scale: int) -> Comparison | None:
    try:
        return compare(results, above, below, DATASETS[-1], scale=scale, protocol=PROTOCOL)
    except (InputError, UnavailableError):
        return None
