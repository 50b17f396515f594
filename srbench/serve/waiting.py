"""How long a request is worked on: until its time is over, or until nobody waits for the answer any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from srbench.serve.limits import Limits, RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

_HUNG_UP = 499  # nobody reads it; requests are counted by it


async def answered(request: Request, limits: Limits, work: Coroutine[Any, Any, T]) -> T:
    """What the work on a request gives. Given up, it leaves its place in the queue at once.

    Args:
        request: its body has been read.
        limits: of the time.
        work: from the body to the answer.

    Raises:
        RefusedError: 504 where it took too long, 499 where the client has hung up.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise RefusedError(_HUNG_UP, "the client has hung up")
        raise RefusedError(504, f"no answer within {limits.seconds:g} s")
    finally:
        task.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
