"""Where a number or a checkpoint came from: the source's commit, the versions of what computed it, the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import srbench
from srbench.errors import InputError

if TYPE_CHECKING:
    import torch

EDITED = "+edited"


@cache
def source_commit() -> str:
    """The commit of the source checkout, such as ``cd43e26b5a1d``; with ``+edited`` where the package's files differ from it.

    Files outside the package (records, reports, the zoo) change with every run and mark nothing. Asked once a process, as the
    code that runs was read at its start. An archive that git made of a commit knows it, but not whether it was edited since.
    Empty for an installed package and where git does not answer.
    """
    package = Path(srbench.__file__).resolve().parent
    if not (package.parent / ".git").exists():
        return _archived(package / "_commit.txt")
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    edited = _git(package, "status", "--porcelain", "--", ".")
    if not commit or edited is None:
        return ""
    return commit + (EDITED if edited else "")


def _archived(file: Path) -> str:
    """The commit that ``git archive``, and so a download of a source archive, wrote into ``file``; empty elsewhere."""
    try:
        commit = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return commit[:12] if re.fullmatch("[0-9a-f]{40}", commit) else ""


def source() -> str:
    """What a card calls the code: its commit; the version of an installed package, which is code that anyone can get."""
    if commit := source_commit():
        return commit
    checkout = (Path(srbench.__file__).resolve().parent.parent / ".git").exists()
    return f"srbench {srbench.__version__}{', commit unknown' if checkout else ''}"


def is_edited() -> bool:
    """Whether the package's files differ from their commit."""
    return source_commit().endswith(EDITED)


def refuse_edited_code(allowed: bool) -> None:
    """Raise InputError where the package's files differ from their commit: nobody could make the same weights again.

    Args:
        allowed: not here, nor where ``SRBENCH_DIRTY`` is set, as in tests; what is made then says so.
    """
    if is_edited() and not (allowed or os.environ.get("SRBENCH_DIRTY")):
        raise InputError(
            f"the package's files differ from commit {source_commit().removesuffix(EDITED)} (see git status): no card names "
            "such code; commit it, or --dirty trains all the same and the card says so"
        )


def _git(folder: Path, *arguments: str) -> str | None:
    """The answer of git about the repository of ``folder``; None where there is none. A hook's ``GIT_DIR`` says nothing here."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        run = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def versions() -> dict[str, str]:
    """srbench, its commit, torch and Python, as text."""
    import torch

    return {
        "srbench": srbench.__version__,
        "commit": source_commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def machine(device: torch.device) -> dict[str, str]:
    """Threads and kind of machine, and the GPU's name where one computes, as text."""
    import torch

    found = {"threads": str(torch.get_num_threads()), "machine": platform.machine()}
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def hardware(device: torch.device, processes: int = 1) -> str:
    """One line for a card.

    Args:
        device: what computes.
        processes: how many of them share the work.

    Returns:
        such as ``AMD EPYC, 2 threads of 2 cores`` or a GPU's name; ``× 4 processes`` where there are several.
    """
    import torch

    several = f" × {processes} processes" if processes > 1 else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + several
    return f"{processor()}, {torch.get_num_threads()} threads of {os.cpu_count()} cores{several}"


def processor() -> str:
    """The name of the CPU."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
