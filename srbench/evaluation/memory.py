"""First call and peak memory of one pass in a fresh process.

Fresh, since neither can be had twice in one process: libraries warm up, and a peak is never taken back. Processes are forked
from a server that has imported torch and done nothing else, so that each starts at once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.process import keep_freed_memory

if TYPE_CHECKING:
    from srbench.subjects import Request

_STARTED = 10.0  # seconds; libraries need one or two of them to start
_FAREWELL = 10.0  # seconds; a process that has answered has only to end
_PRELOAD = [
    "srbench.subjects",
    "srbench.evaluation.timed_image",
    "srbench.evaluation.timing",
    "srbench.evaluation.variants",
]


@dataclass(frozen=True)
class Fresh:
    """What a fresh process found.

    Attributes:
        status: ``"ok"``, ``oom`` or ``failed``.
        reason: in words, unless the status is ok.
        first_call_ms: time of the first pass, with the start of libraries, compilation, and graph capture.
        pass_ms: time of a second pass, or of the first if it took so long that its start does not matter.
        peak_memory_bytes: the most that network, image and pass took: growth of the process on a CPU, what torch's
            allocator gave to the second pass on a GPU.
        process_memory_bytes: peak of the whole process, Python and torch included.
    """

    status: str = "ok"
    reason: str = ""
    first_call_ms: float | None = None
    pass_ms: float | None = None
    peak_memory_bytes: int | None = None
    process_memory_bytes: int | None = None


def in_fresh_process(request: dict[str, Any], timeout: float, work: Callable[..., Fresh] | None = None) -> Fresh:
    """Build a subject, make one or two passes, and return times and memory.

    Args:
        request: arguments of ``work``.
        timeout: seconds.
        work: ``measure_here`` by default.

    Returns:
        What ``work`` returns; status ``oom`` if the system killed the process, ``failed`` if it ended or took too long.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(_PRELOAD)
    receiver, sender = context.Pipe(duplex=False)
    here = {key: value for key, value in os.environ.items() if key.startswith("SRBENCH_")}
    process = context.Process(
        target=_answer, args=(sender, work or measure_here, request, here, str(Path.cwd())), daemon=True
    )
    process.start()
    sender.close()
    try:
        if not receiver.poll(timeout):
            return Fresh("failed", f"no pass was finished within {timeout:g} s")
        found: Fresh = receiver.recv()
        process.join(_FAREWELL)
        return found
    except EOFError:
        process.join()
        if process.exitcode == -9:
            return Fresh("oom", "the system killed the process, as it does when memory runs out")
        return Fresh("failed", f"its process ended with exit code {process.exitcode}")
    finally:
        receiver.close()
        if process.is_alive():
            process.kill()
        process.join()


def _answer(
    sender: Any, work: Callable[..., Fresh], request: dict[str, Any], environment: dict[str, str], folder: str
) -> None:
    """What the fresh process does; the server may have been started elsewhere and with other variables."""
    os.chdir(folder)
    os.environ.update(environment)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a pool of compilers would outlive the answer
    keep_freed_memory()
    sender.send(work(**request))


def measure_here(
    subject: Request, size: tuple[int, int], variant: str, device: str, threads: int
) -> Fresh:  # fmt: skip
    """One pass, or two, of a subject in this process, in a variant of ``srbench speed``."""
    import torch

    from srbench.evaluation.timed_image import network_input
    from srbench.evaluation.timing import clock_for, why
    from srbench.evaluation.variants import parse_ways, passes
    from srbench.inference import pick_device
    from srbench.subjects import find

    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    [way] = parse_ways([variant], pick_device(device))
    before = forget_peak()
    try:
        [found] = find(subject)
        upscaler = found.upscaler(subject.scale, way)
        x = network_input(upscaler, size, 1)
        clock = clock_for(torch.device(device))
        start = time.perf_counter()
        once = passes(upscaler, x)
        clock(once)
        first = time.perf_counter() - start
        if device != "cpu":  # the first pass tries cuDNN's algorithms, some of which take more memory than any image
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        second = clock(once) if first < _STARTED or way.compile or device != "cpu" else first
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
