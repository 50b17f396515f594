"""A table of zoo/README.md: the order of the architectures that one recipe trained."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.markdown import table
from srbench.reports.tables.order import Place
from srbench.reports.units import NONE, number

_HEADS = (
    "place",
    "checkpoint",
    "minutes",
    "Set5",
    "Set14",
    "behind the one above",
    "published, Set14",
    "place",
)


def render_order(places: Sequence[Place]) -> str:
    """One table, a row an architecture."""
    if not places:
        return "Nothing that the tuned recipe trained has been measured on Set14 yet.\n"
    return table(_HEADS, [_row(i, place) for i, place in enumerate(places, 1)], "rlrrrrrr")


def _row(number_: int, place: Place) -> list[str]:
    test = place.above
    return [
        str(number_),
        place.card.name,
        f"{place.card.wall_time_s / 60:.0f}",
        *(number(mean, 2) for mean in place.means),
        number(test.difference, 2) if test else NONE,  # no p: each network has one seed here
        *(
            (f"{place.published.value:.2f} ({place.protocol})", str(place.published_place))
            if place.published
            else (NONE, NONE)
        ),
    ]
