"""First call and peak memory of one pass in a fresh process: ``python -m srbench.evaluation.memory`` with JSON on stdin.

Fresh, since neither can be had twice in one process: libraries warm up, and a peak is never taken back.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from srbench.allocation import keep_freed_memory

_STARTED = 10.0  # seconds; libraries need one or two of them to start


@dataclass(frozen=True)
class Fresh:
    """What a fresh process found.

    Attributes:
        first_call_ms: of the first pass: libraries that start, compilation, graph capture.
        pass_ms: of a second one; of the first where that took so long that its start is nothing.
        peak_memory_bytes: what network, picture and pass took at most: growth of the process on a CPU, torch's allocator on
            a GPU. process_memory_bytes: peak of the whole process, Python and torch included.
    """

    status: str = "ok"
    reason: str = ""
    first_call_ms: float | None = None
    pass_ms: float | None = None
    peak_memory_bytes: int | None = None
    process_memory_bytes: int | None = None


def in_fresh_process(request: dict[str, Any], timeout: float) -> Fresh:
    """Build a subject, make one pass, come back with its time and memory.

    Args:
        request: name, scale, size, variant, device and threads, as ``measure_here`` takes them.
        timeout: seconds.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "srbench.evaluation.memory"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return Fresh("failed", f"no pass was finished within {timeout:g} s")
    if done.returncode == 0:
        return Fresh(**json.loads(done.stdout.splitlines()[-1]))
    if done.returncode == -9:
        return Fresh("oom", "the system killed the process, as it does when memory runs out")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Fresh("failed", last[:200])


def measure_here(
    name: str, scale: int, size: tuple[int, int], variant: str, device: str, threads: int
) -> Fresh:  # fmt: skip
    """What the fresh process does."""
    import torch

    from srbench.evaluation.subjects import find_subject
    from srbench.evaluation.timing import clock_for, why
    from srbench.evaluation.variants import parse_variant, passes, vary

    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    chosen = parse_variant(variant)
    before = forget_peak()
    try:
        subject = find_subject(name, scale)
        upscaler = vary(subject.upscaler(torch.device(device)), chosen)
        x = subject.picture(size, 1).to(device)
        if device != "cpu":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        clock = clock_for(torch.device(device))
        start = time.perf_counter()
        once = passes(upscaler, chosen, x)
        clock(once)
        first = time.perf_counter() - start
        second = clock(once) if first < _STARTED or chosen.compiled else first
    except Exception as error:
        status, reason = why(error)
        return Fresh(status, reason)
    whole = peak_bytes()
    peak = whole - before if device == "cpu" else int(torch.cuda.max_memory_allocated())
    return Fresh("ok", "", first * 1e3, second * 1e3, peak, whole)


def peak_bytes() -> int:
    """Greatest resident memory of this process since ``forget_peak``, or since its start.

    From /proc where there is one: ``ru_maxrss`` starts at the parent's size, as the kernel carries it over exec.
    """
    found = _status("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak() -> int:
    """Start the peak anew where the system can (Linux); resident memory now, or the peak where only that is known."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    now = _status("VmRSS")
    return now if now is not None else peak_bytes()


def _status(field: str) -> int | None:
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def main() -> None:
    """Read a request, print what was found; memory is kept as `srbench` keeps it."""
    keep_freed_memory()
    request = json.load(sys.stdin)
    request["size"] = tuple(request["size"])
    sys.stdout.write(json.dumps(asdict(measure_here(**request))) + "\n")


if __name__ == "__main__":
    main()
