"""Frames through a network: the next ones are read and converted, and the last ones written, while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_DEEP = 2  # frames read ahead, and frames that wait to be written: a few large arrays, however long the clip


class Ahead:
    """Reads in a thread of its own.

    Args:
        pool: one thread.
        read: the next item; None at the end.
    """

    def __init__(self, pool: ThreadPoolExecutor, read: Callable[[], Any]) -> None:
        self._pool, self._read = pool, read

    def take(self, most: int) -> Iterator[Any]:
        """At most so many items. What is asked of ``read`` is always given out, so that another ``take`` goes on behind it."""
        asked: deque[Future[Any]] = deque()
        left = most
        while True:
            while left and len(asked) < _DEEP:
                asked.append(self._pool.submit(self._read))
                left -= 1
            if not asked or (item := asked.popleft().result()) is None:
                return
            yield item


class Behind:
    """Writes in a thread of its own, in order; what goes wrong is raised by a later call here, and nothing is written after it.

    Args:
        pool: one thread.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._asked: deque[Future[None]] = deque()
        self._failed = False

    def put(self, write: Callable[..., None], *what: Any) -> None:
        """Have something written; waits while too much waits already."""
        while len(self._asked) >= _DEEP:
            self._asked.popleft().result()
        self._asked.append(self._pool.submit(self._write, write, *what))

    def _write(self, write: Callable[..., None], *what: Any) -> None:
        if self._failed:
            return
        try:
            write(*what)
        except BaseException:
            self._failed = True
            raise

    def end(self) -> None:
        """Wait for all of it."""
        while self._asked:
            self._asked.popleft().result()
