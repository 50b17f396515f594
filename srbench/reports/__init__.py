"""reports/: what people read, rendered from results/ alone. Rounding, wording and ranking happen here and nowhere else.

Nothing here needs torch. ``tables`` is what is true, as typed rows; ``markdown``, ``html``, ``terminal`` and ``plots``
show it; ``files`` knows which file holds what and whether it is stale.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "build_tables": "srbench.reports.tables",
    "leaderboard": "srbench.reports.notebook",
    "stale_files": "srbench.reports.files",
    "write_reports": "srbench.reports.files",
}

__all__ = ["build_tables", "leaderboard", "stale_files", "write_reports"]

if TYPE_CHECKING:
    from srbench.reports.files import stale_files, write_reports
    from srbench.reports.notebook import leaderboard
    from srbench.reports.tables import build_tables


def __getattr__(name: str) -> Any:
    """Public names are imported when first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'srbench.reports' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
