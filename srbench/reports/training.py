"""What training time bought, from the curves on the cards: the tables of zoo/README.md."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.markdown import bold, table
from srbench.reports.units import NONE, number
from srbench.zoo import Card

MINUTES = (1, 2, 5, 10, 20, 60)
_SLACK = 5.0  # seconds by which a validation may come late


def render_curves(cards: Sequence[Card]) -> str:
    """A table a scale: PSNR on validation images after so many minutes of each run of the ``tuned`` recipe.

    Args:
        cards: any; those without a timed curve, adversarial ones and those of other recipes are left out.
    """
    timed = [c for c in cards if c.trained_by == "tuned" and _points(c)]
    if not timed:
        return "Nothing has been trained by the tuned recipe yet: `srbench train fsrcnn` is the first.\n"
    parts = []
    for scale in sorted({card.scales[0] for card in timed}, reverse=True):
        here = sorted((c for c in timed if c.scales[0] == scale), key=lambda c: (-_best(c), c.name))
        rows = [_row(card) for card in here]
        heads = ["checkpoint", *(f"{m} min" for m in MINUTES), "kept", "minutes", "steps", "batch × patch", "hardware"]
        align = "l" + "r" * (len(heads) - 2) + "l"
        parts.append(f"×{scale}:\n\n{table(heads, rows, align)}")
    return "\n".join(parts)


def _points(card: Card) -> list[tuple[float, float]]:
    return [(point["seconds"], point["val_psnr"]) for point in card.curve if {"seconds", "val_psnr"} <= set(point)]


def _best(card: Card) -> float:
    return max(psnr for _, psnr in _points(card))


def _row(card: Card) -> list[str]:
    points = _points(card)
    end = points[-1][0]
    cells = []
    for minutes in MINUTES:
        seen = [psnr for seconds, psnr in points if seconds <= 60 * minutes + _SLACK]
        running = end + _SLACK >= 60 * minutes
        cells.append(number(max(seen), 2) if seen and running else NONE)
    crops = f"{card.config.get('batch', '?')} × {card.config.get('patch', '?')}²"
    kept = bold(number(_best(card), 2))
    return [card.name, *cells, kept, f"{end / 60:.1f}", f"{card.steps:,}", crops, card.hardware]
