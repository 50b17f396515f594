"""Where zoo/, results/, reports/ and runs/ lie.

``SRBENCH_HOME`` names the folder; without it, the current folder if it holds srbench's files: ``zoo/`` with recipes or cards
(``zoo/recipes``, ``zoo/MODEL/*.toml``) or ``results/quality``; else the source checkout that the package was installed from
(``pip install -e``); else the current folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from srbench.files import listed


def home() -> Path:
    """The folder that holds zoo/, results/ and reports/ (it need not exist)."""
    if named := os.environ.get("SRBENCH_HOME"):
        return Path(named).expanduser()
    here = Path.cwd()
    checkout = Path(__file__).resolve().parent.parent
    for folder in (here, checkout):
        if _holds_ours(folder):
            return folder
    return here


def _holds_ours(folder: Path) -> bool:
    """Whether a folder has srbench's own files; many projects have a ``results/`` or a ``zoo/`` of another kind."""
    return (folder / "results" / "quality").is_dir() or bool(listed(folder / "zoo", "*/*.toml"))
