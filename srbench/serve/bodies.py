"""Reading what strangers send: cut at a limit while it arrives, and within a time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from srbench.serve.limits import Limits, RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, limits: Limits) -> bytes:
    """A request's body.

    Raises:
        RefusedError: 413 above ``limits.body`` bytes (by the header before a byte is read, else as they arrive), 408 if it takes
            longer than ``limits.read_seconds``, 415 if it is a form or compressed, 400 if the client hung up or sent nothing.
    """
    _check_kind(request)
    too_large = RefusedError(413, f"the request is larger than {limits.body:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.body:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body:
                    raise too_large
                parts.append(part)
    except TimeoutError:
        raise RefusedError(408, f"the request did not arrive within {limits.read_seconds:g} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "the request was cut off") from None
    if not size:
        raise RefusedError(400, "the request has no body")
    return b"".join(parts)


def _check_kind(request: Request) -> None:
    """RefusedError 415 for a body whose content is wrapped in something that nobody here takes off."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise RefusedError(415, f"a form ({kind[:40]}); expected the bytes themselves, as of curl --data-binary @FILE")
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise RefusedError(415, f"content-encoding {packed[:40]!r}; expected the bytes as they are")


def read_json(body: bytes) -> dict[str, object]:
    """A JSON object; RefusedError 400 for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise RefusedError(400, f"expected a JSON object, not {type(found).__name__}")
    return found
