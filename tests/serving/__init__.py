"""A real server in a process of its own, and what clients do to it: ``load`` asks much, ``hostile`` asks for trouble."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from srbench.errors import InputError
from srbench.files import write_text
from srbench.markdown import with_part

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = "fsrcnn_x4.tuned"


@dataclass
class Running:
    """A server process."""

    process: subprocess.Popen[str]
    port: int

    def request(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, Any]:
        """Status, body and headers of one answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @property
    def processor_seconds(self) -> float:
        """Of all its threads so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


def start(*more: str) -> Running:
    """Start a server and wait until it answers; ``more`` are its options."""
    command = [sys.executable, "-m", "srbench", "serve", MODEL, "--port", "0", "--device", "cpu", *more]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SRBENCH_HOME": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "serving" in line, line + process.stderr.read()
    threading.Thread(target=process.stderr.read, daemon=True).start()
    running = Running(process, int(line.partition("127.0.0.1:")[2].split()[0]))
    for _ in range(100):
        try:
            running.request("/v2/health/live")
            return running
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


@contextmanager
def serving(*more: str) -> Iterator[Running]:
    """A server for the block, stopped at its end whatever happens in it."""
    running = start(*more)
    try:
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(90)


def put(page: Path, name: str, text: str) -> None:
    """Replace the part of a page between its marks ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``."""
    try:
        write_text(page, with_part(page.read_text(encoding="utf-8"), name, f"{text}\n", page))
    except InputError as error:
        raise SystemExit(str(error)) from None
