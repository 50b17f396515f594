"""Which pieces of work go into which job, so that all jobs end at about the same time.

Longest processing time first: each piece, the most expensive one first, goes to the job that has least to do. The last job then
ends at most 4/3 − 1/(3m) times as late as with the best packing on m machines (Graham: Bounds on multiprocessing timing
anomalies, SIAM J. Appl. Math. 17(2), 1969, doi:10.1137/0117039); with many pieces it is within a few per cent.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def pack(costs: Sequence[float], jobs: int) -> list[list[int]]:
    """Share pieces of work out.

    Args:
        costs: of each piece, in any unit, at least 0.
        jobs: the most jobs there may be.

    Returns:
        for each job the indices of its pieces, in their own order, so that neighbours stay together; the most expensive job
        first, and no job without work.

    >>> pack([3, 1, 1, 2, 2], 2)
    [[0, 1, 2], [3, 4]]
    """
    queue = [(0.0, 0, job) for job in range(min(jobs, len(costs)))]
    packed: list[list[int]] = [[] for _ in queue]
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        load, count, job = heapq.heappop(queue)  # the fewest pieces of equal loads, for pieces that cost nothing
        packed[job].append(index)
        heapq.heappush(queue, (load + costs[index], count + 1, job))
    return sorted(map(sorted, packed), key=lambda indices: -sum(costs[index] for index in indices))


def makespan(durations: Sequence[float], speeds: Sequence[float]) -> float:
    """When the last job ends, if each worker takes the next job of the queue as soon as it is free, the fastest first.

    Args:
        durations: of the jobs in the queue's order, at speed 1.
        speeds: of each worker.
    """
    free = [(0.0, -speed) for speed in speeds]
    heapq.heapify(free)
    ends = [0.0]
    for duration in durations:
        since, speed = heapq.heappop(free)
        ends.append(since - duration / speed)
        heapq.heappush(free, (ends[-1], speed))
    return max(ends)


def least_makespan(costs: Sequence[float], speeds: Sequence[float]) -> float:
    """What no packing can beat: an equal share for each worker by its speed, or the most expensive piece on the fastest."""
    return max(sum(costs) / sum(speeds), max(costs, default=0.0) / max(speeds))
