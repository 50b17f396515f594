"""What is true: stored scores and times as ranked, typed rows. Nothing here rounds or words anything, and nothing needs torch.

``rows`` are the types; ``leaderboard`` builds the tables from ``cells``, ``scores``, ``seeds``, ``absent``, ``published`` and
``speed``; ``overview`` takes the best checkpoint an architecture; ``comparison`` compares two or more; ``order`` is the
order of the architectures that one recipe trained.
"""

from __future__ import annotations

from srbench.reports.tables.leaderboard import build_tables
from srbench.reports.tables.overview import overview
from srbench.reports.tables.speed import speeds

__all__ = ["build_tables", "overview", "speeds"]
