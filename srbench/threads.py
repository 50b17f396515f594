"""Work on one image shared out among threads in a few large parts.

torch's own threads meet at the end of every operation. A strip takes some twenty short operations, so on a machine that does
anything else the threads mostly wait for one another: a 256×256 pair took 100 ms instead of 3. Here a thread works through its
part alone, and they meet once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")

_LEAST = 2**18  # samples, 512×512: one thread does less in a few milliseconds, which a second would hardly shorten
_ALONE = 2**14  # samples that stay in cache and that torch does not share out, which it does from 2**15 on
_LONE = 2**16  # samples that stay in cache, where there is one thread: operations are shared out with nobody
_MOST = 8  # past this, Python's lock is what the threads wait for


def share_out(work: Callable[[Sequence[T]], list[R]], items: Sequence[T], samples: int) -> list[R]:
    """``work(items)``, done in as many parts as torch may use threads; the results stand in the order of the items.

    Args:
        work: takes some of the items and returns one result for each. Its operations run on one thread each.
        items: at least one.
        samples: size of the whole; a small one is not worth a second thread.
    """
    if torch.get_num_threads() == 1:
        return work(items)
    threads = min(torch.get_num_threads(), _MOST, len(items)) if samples >= _LEAST else 1
    length = -(-len(items) // threads)
    parts = [items[first : first + length] for first in range(0, len(items), length)]
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def as_here(part: Sequence[T]) -> list[R]:
        """The caller's modes are its thread's: without them a worker may not write what was made under ``inference_mode``."""
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients and not inference):
            return work(part)

    return [result for done in _pool(threads, os.getpid()).map(as_here, parts) for result in done]


def strips(*tensors: Tensor, dim: int = 0) -> Iterator[tuple[Tensor, ...]]:
    """The tensors strip by strip, so that on a CPU no operation on a strip is shared out among torch's threads.

    torch's threads meet after every operation, and on a busy machine they wait for one another ten times as long as they work.

    Args:
        tensors: of one length along ``dim``; the first one's size decides. Views of them are given out.
        dim: the axis to cut.

    Yields:
        the same strip of each; on another device the whole tensors, once.
    """
    first = tensors[0]
    if first.device.type != "cpu" or not first.numel():
        yield tensors
        return
    most = _LONE if torch.get_num_threads() == 1 else _ALONE
    lines = max(1, most * first.shape[dim] // first.numel())
    yield from zip(*(torch.split(tensor, lines, dim) for tensor in tensors), strict=True)


@cache
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    """Threads that use one thread in torch each; a forked process needs its own, for threads are not inherited."""
    before = torch.get_num_threads()
    started = Barrier(threads)
    pool = ThreadPoolExecutor(threads, "srbench-metrics", initializer=_work_alone)
    list(pool.map(lambda _: started.wait(), range(threads)))
    torch.set_num_threads(before)  # what a worker sets holds for it and, until here, for threads that begin later
    return pool


def _work_alone() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread takes the setting over when it first asks, and keeps it
