"""What a device is called in results, and what must be known to read its times."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Device:
    """A device as a speed record names it.

    Attributes:
        slug: folder name; a CPU's includes the thread count, since times with another count are those of another device.
        type: ``cpu`` or ``cuda``.
        name: the maker's.
        driver: the GPU's, or the kernel's release.
        threads: how many torch uses.
        load: averages over 1, 5 and 15 minutes; empty if the system has none.
    """

    slug: str
    type: str
    name: str
    driver: str
    threads: int
    load: list[float]


def describe(device: torch.device) -> Device:
    """The device as it is now."""
    threads = torch.get_num_threads()
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else []
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return Device(_slug(name), "cuda", name, gpu_driver(), threads, load)
    name = cpu_name()
    release = f"{platform.system()} {platform.release()}"
    return Device(f"{_slug(name)}-{threads}-threads", "cpu", name, release, threads, load)


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return (found[1] if found else platform.processor() or platform.machine() or "cpu").strip()


def gpu_driver() -> str:
    """Version of NVIDIA's driver; empty where nvidia-smi does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    try:
        done = subprocess.run(
            [tool, "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else ""


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on the device; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _slug(name: str) -> str:
    word = re.sub(r"\((?:r|tm)\)", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", word).strip("-") or "device"
