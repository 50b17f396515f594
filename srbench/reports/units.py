"""Numbers as people read them: rounded, with a unit's prefix, or a dash. The only place that rounds."""

from __future__ import annotations

import math

NONE = "–"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """A rounded number, ∞, or a dash where there is none.

    >>> number(-0.004, 2, sign=True), number(31.456, 2), number(None, 2)
    ('0.00', '31.46', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def amount(value: float | None) -> str:
    """A count with its prefix: parameters, mult-adds, bytes.

    >>> amount(12_809), amount(1_517_571), amount(127_780_761_600), amount(0), amount(999_960)
    ('12.8 K', '1.5 M', '127.8 G', '0', '1.0 M')
    """
    if value is None:
        return NONE
    for size, prefix in _PREFIXES:
        if round(value / size, 1) >= 1:
            return f"{value / size:.1f} {prefix}"
    return f"{value:.0f}"


def short(value: float | None) -> str:
    """Three figures that count: milliseconds, megabytes, images a second.

    >>> short(3.623), short(31.46), short(638.6), short(3279.7), short(0.4312)
    ('3.62', '31.5', '639', '3280', '0.431')
    """
    if value is None:
        return NONE
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(digits, 0), 3)}f}"


def interval(ends: tuple[float, float] | None, digits: int, sign: bool = False) -> str:
    """``[28.9, 33.1]``, or "" where there is none."""
    return "" if ends is None else f"[{number(ends[0], digits, sign)}, {number(ends[1], digits, sign)}]"


def chance(p: float | None) -> str:
    """A p-value: two digits that count, ``< .001`` below that.

    >>> chance(0.0312), chance(0.54), chance(1.0), chance(0.00012), chance(None)
    ('.031', '.54', '1', '< .001', '–')
    """
    if p is None:
        return NONE
    return "< .001" if p < 0.001 else f"{p:.2g}".removeprefix("0")


def share(value: float | None) -> str:
    """A share in percent: ``97 %``, ``< 1 %``."""
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return "< 1 %"
    if 0.99 < value < 1:
        return "> 99 %"
    return f"{value:.0%}".replace("%", " %")
