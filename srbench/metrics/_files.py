"""Files of numbers that a metric needs besides the image: weights, models, statistics. Each is used only if its sha256 is known.

They are looked for in the folder ``SRBENCH_WEIGHTS``, in an installed package (which is not imported for it), and where the file
has a public address, there.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from srbench.errors import UnavailableError
from srbench.files import sha256


@dataclass(frozen=True)
class DataFile:
    """One file.

    Attributes:
        name: what it is called in the folder ``SRBENCH_WEIGHTS``.
        sha256: of its content, as somebody read it.
        package: the package that ships it.
        inside: its path there.
        install: the command that installs the package.
        licence: of the file.
    """

    name: str
    sha256: str
    package: str
    inside: str
    install: str
    licence: str

    def find(self, metric: str) -> Path:
        """Where it lies; UnavailableError, status ``unavailable``, with every place that was tried and how to get it."""
        tried = []
        if folder := os.environ.get("SRBENCH_WEIGHTS"):
            own = Path(folder).expanduser() / self.name
            if (wrong := _wrong(own, self.sha256)) is None:
                return own
            tried.append(f"{self.name} in the folder SRBENCH_WEIGHTS {wrong}")
        else:
            tried.append("SRBENCH_WEIGHTS is not set")
        folders = package_folders(self.package)
        if not folders:
            tried.append(f"the package {self.package} is not installed")
        for place in folders:
            if (wrong := _wrong(place / self.inside, self.sha256)) is None:
                return place / self.inside
            tried.append(f"{self.inside} of the package {self.package} {wrong}")
        raise UnavailableError(
            "unavailable",
            f"{metric} needs {self.name} ({'; '.join(tried)}): {self.install}, or set SRBENCH_WEIGHTS to a folder that has it",
        )


def package_folders(name: str) -> list[Path]:
    """Folders of an installed package, without importing it; empty where it is not installed."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    return [Path(place) for place in (found.submodule_search_locations or ())] if found else []


def _wrong(path: Path, expected: str) -> str | None:
    """Why a file does not serve; None where it does."""
    if not path.is_file():
        return "is not there"
    found = known_sha256(path)
    return None if found == expected else f"has sha256 {found[:16]}…, expected {expected[:16]}…"


def known_sha256(path: Path) -> str:
    """sha256 of a file, which is read once as long as its time of change is the same."""
    return _sha256(path, path.stat().st_mtime_ns)


@cache
def _sha256(path: Path, _changed: int) -> str:
    return sha256(path)
