"""What a card says of how its weights came to be: source, hardware, images left out."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch


def source_commit() -> str:
    """The source's commit, marked where files differ from it; empty outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def hardware(device: torch.device, processes: int = 1) -> str:
    """Such as ``AMD EPYC, 2 threads of 2 cores`` or a GPU's name; ``× 4 processes`` where there are several."""
    several = f" × {processes} processes" if processes > 1 else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + several
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, {torch.get_num_threads()} threads of {os.cpu_count()} cores{several}"


def notes(val: list[Path], too_small: tuple[str, ...], bad: tuple[str, ...]) -> str:
    """Which images were not trained on, and why."""
    lines = [f"held back: {', '.join(path.stem for path in val)}"]
    if too_small:
        lines.append(f"smaller than a crop and left out: {', '.join(too_small)}")
    if bad:
        lines.append(f"unreadable and left out: {', '.join(bad)}")
    return "; ".join(lines)
