"""Where zoo/, results/, reports/ and runs/ lie.

``SRBENCH_HOME`` names the folder; without it, the current folder if it holds ``zoo`` or ``results``; else the source
checkout that the package was installed from (``pip install -e``); else the current folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder that holds zoo/, results/ and reports/ (it need not exist)."""
    if named := os.environ.get("SRBENCH_HOME"):
        return Path(named).expanduser()
    here = Path.cwd()
    checkout = Path(__file__).resolve().parent.parent
    for folder in (here, checkout):
        if (folder / "zoo").is_dir() or (folder / "results").is_dir():
            return folder
    return here
