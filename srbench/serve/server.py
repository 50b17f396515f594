"""uvicorn around the application: the port is tried first, and a stop lets what runs end while what waits gets 503."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from srbench.errors import InputError
from srbench.serve.connections import impatient
from srbench.serve.limits import Limits
from srbench.serve.worker import Worker

_OPEN = 64  # connections beyond those that may wait


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, worker: Worker) -> None:
        super().__init__(config)
        self._worker = worker

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        asyncio.get_event_loop().call_soon_threadsafe(self._worker.stop)
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; InputError where the port is taken or not to be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --host and --port"
        ) from None
    return made


def serve(app: FastAPI, sock: socket.socket, limits: Limits, log_level: str = "warning") -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: of ``create_app``.
        sock: of ``bind``.
        limits: connections are limited a little above the requests that may wait, so that memory stays bounded; a client that
            sends or takes nothing is cut off.
        log_level: of uvicorn.
    """
    config = uvicorn.Config(
        app, log_level=log_level, limit_concurrency=limits.queue + _OPEN, timeout_keep_alive=5, timeout_graceful_shutdown=60,
        server_header=False, h11_max_incomplete_event_size=2**16, http=impatient(limits.read_seconds), ws="none",
    )  # fmt: skip
    _Server(config, app.state.service.worker).run(sockets=[sock])
