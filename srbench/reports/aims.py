"""Two tables of zoo/README.md: what was aimed at and what was reached, and what adversarial training did to its parents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from srbench.markdown import bold, table
from srbench.records import parse, read_toml
from srbench.reports.tables.comparison import mean_score
from srbench.reports.tables.order import PROTOCOL
from srbench.reports.tables.published import is_published_form, published_figure
from srbench.reports.units import NONE, number
from srbench.results import Result
from srbench.zoo import Card


class Aim(BaseModel):
    """One entry of ``zoo/aims.toml``.

    Attributes:
        checkpoint: its name; trainings that differ in the seed alone count with it.
        psnr: dB on Set5 under ``standard``.
        remark: what stands in the way where it falls short, and what more would take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str
    psnr: float = Field(gt=0)
    remark: str = ""


class _Aims(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    aim: list[Aim] = []


def read_aims(path: Path) -> list[Aim]:
    """The entries ``[[aim]]`` of a file, in its order; none where there is no file.

    Raises:
        InputError: not TOML, an unknown key, or an entry that cannot be used.
    """
    if not path.is_file():
        return []
    return parse(_Aims, read_toml(path, "a list of aims"), str(path)).aim


def render_aims(aims: Sequence[Aim], cards: Sequence[Card], results: Sequence[Result]) -> str:
    """A row an aim: the published figure, the aim, what its checkpoint and its other seeds reached, and the remark."""
    if not aims:
        return "Nothing was aimed at: `zoo/aims.toml` has no entry.\n"
    rows = []
    for aim in aims:
        own = next((c for c in cards if c.name == aim.checkpoint), None)
        alike = [c for c in cards if own and c.family == own.family]
        set5 = [score for c in alike if (score := _mean(results, c, "set5")) is not None]
        set14 = [score for c in alike if (score := _mean(results, c, "set14")) is not None]
        met = bool(set5) and len(set5) == len(alike) and round(min(set5), 2) >= aim.psnr
        reached = _range(set5)
        found = published_figure(own.model, own.scales[0], "set5") if own and is_published_form(own.options) else None
        rows.append(
            [
                aim.checkpoint,
                f"{found[0].value:.2f} ({found[1]})" if found else NONE,
                number(aim.psnr, 2),
                bold(reached) if met else reached,
                _range(set14),
                _range([c.wall_time_s / 60 for c in alike], 0),
                "" if met else aim.remark,
            ]
        )
    heads = ["checkpoint", "published", "aim", "Set5", "Set14", "minutes", "why not, and what more would take"]
    return table(heads, rows, "lrrrrrl")


def render_adversarial(cards: Sequence[Card], results: Sequence[Result]) -> str:
    """Two rows an adversarial checkpoint, one a test set: its parent's LPIPS, DISTS and lattice → its own, and its LR-PSNR."""
    rows = []
    by_name = {card.name: card for card in cards}
    for card in cards:
        if not card.adversarial:
            continue
        parent = by_name.get(card.init_from or "")
        if parent and (parent.sha256 != card.init_sha256 if card.init_sha256 else parent.created > card.created):
            parent = None  # another network bears the parent's name by now
        named = card.init_from or NONE
        named = named if parent or named == NONE else f"{named} (replaced since)"
        for dataset, shown in (("set5", "Set5"), ("set14", "Set14")):
            cells = [card.name, named, f"{card.wall_time_s / 60:.0f}", shown]
            for metric, digits in (("lpips", 3), ("dists", 3), ("lattice", 1)):
                before = _mean(results, parent, dataset, metric) if parent else None
                cells.append(f"{_shown(before, digits)} → {_shown(_mean(results, card, dataset, metric), digits)}")
            cells.append(_shown(_mean(results, card, dataset, "lr-psnr"), 1))
            rows.append(cells)
    if not rows:
        return "Nothing has been trained against a discriminator yet: `srbench train srgan_s --recipe srgan-v2`.\n"
    heads = ["checkpoint", "parent", "minutes", "images", "LPIPS ↓", "DISTS ↓", "lattice (dB) ↓", "LR-PSNR (dB)"]
    return table(heads, rows, "llrlrrrr")


def _mean(results: Iterable[Result], card: Card, dataset: str, metric: str = "psnr") -> float | None:
    return mean_score(results, card, dataset, PROTOCOL, metric)


def _shown(value: float | None, digits: int) -> str:
    return NONE if value is None else number(value, digits)


def _range(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return NONE
    ends = list(dict.fromkeys(number(value, digits) for value in (min(values), max(values))))
    return " to ".join(ends)
