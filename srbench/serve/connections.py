"""Connections that keep a place and do nothing, a head that does not end or an answer that nobody takes: cut off after a time.

uvicorn bounds how many connections there are and how long one may idle between requests, but waits for ever for the rest of a
head, and for a client to read; a hundred such clients would keep all others out.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Impatient(H11Protocol):
    seconds: ClassVar[float]
    _head: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _left = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._stop("_head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop("_head")
        self._stop("_taking")
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("_taking")

    def _wait_for_head(self) -> None:
        if self._head is None:  # from its first byte: one more now and then earns no more time
            self._head = self.loop.call_later(self.seconds, self.transport.abort)

    def _watch(self) -> None:
        self._left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.seconds, self._look)

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() >= self._left:
            self.transport.abort()
        else:
            self._watch()

    def _stop(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def impatient(seconds: float) -> type[H11Protocol]:
    """A protocol class for uvicorn.

    Args:
        seconds: for a request's head to arrive, and in which a client must take some of its answer.
    """
    return type("Impatient", (_Impatient,), {"seconds": seconds})
