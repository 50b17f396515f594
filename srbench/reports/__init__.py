"""reports/: what people read, rendered from results/ alone. Rounding and ranking happen here and nowhere else.

Nothing here needs torch. ``leaderboard`` makes ranked tables; ``markdown``, ``html`` and ``plots`` show them; ``files`` knows
which file holds what and whether it is stale.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "build_leaderboard": "srbench.reports.leaderboard",
    "leaderboard_rows": "srbench.reports.files",
    "print_leaderboard": "srbench.reports.files",
    "stale_files": "srbench.reports.files",
    "write_reports": "srbench.reports.files",
}

__all__ = ["build_leaderboard", "leaderboard_rows", "print_leaderboard", "stale_files", "write_reports"]

if TYPE_CHECKING:
    from srbench.reports.files import leaderboard_rows, print_leaderboard, stale_files, write_reports
    from srbench.reports.leaderboard import build_leaderboard


def __getattr__(name: str) -> Any:
    """Public names are imported when first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'srbench.reports' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
