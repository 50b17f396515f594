"""``python -m tests.serving.hostile --n 10000 --write docs/serve.md``: what strangers send, and what the server makes of it.

A case is a function of its number alone, so that what went wrong can be sent again. Beside the requests, slow clients keep
connections open: some send a head that never ends, some never take their answer.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import urllib.error
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from srbench.imagefile import encode_image
from srbench.markdown import table
from tests.builders import noise
from tests.serving import MODEL, ROOT, Running, put, serving

INFER, PREDICT = f"/v2/models/{MODEL}/infer", f"/v1/models/{MODEL}:predict"
GROWTH = 60 * 2**20  # bytes that a server may grow by once it is warm
HUNG_UP = 0
Headers = dict[str, str]
Sent = tuple[str, bytes, Headers]


def bomb(side: int = 20000) -> bytes:
    """A PNG that claims and holds ``side`` × ``side`` pixels in some 50 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(side + 1)) for _ in range(2000)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


GOOD, BOMB = encode_image(noise(16, 16), ".png"), bomb()


def _damaged(rng: np.random.Generator) -> Sent:
    if rng.integers(2):
        return "/v1/upscale", GOOD[: int(rng.integers(1, len(GOOD)))], {}
    broken = bytearray(GOOD)
    broken[int(rng.integers(8, len(GOOD)))] ^= 1 << int(rng.integers(8))
    return "/v1/upscale", bytes(broken), {}


def _no_image(rng: np.random.Generator) -> Sent:
    bodies = (
        rng.bytes(int(rng.integers(1, 3000))),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"GIF89a" + rng.bytes(50),
        b"RIFF",
        b"\0" * 999,
    )
    return "/v1/upscale", bodies[int(rng.integers(len(bodies)))], {}


def _bomb(rng: np.random.Generator) -> Sent:
    return "/v1/upscale", BOMB, {}


def _path(rng: np.random.Generator) -> Sent:
    paths = (
        "/v1/upscale?model=../../etc/passwd", "/v2/models/..%2f..%2fx/infer", "/docs/..%2f..%2fapp.py", "/docs/%2e%2e/server.py",
        "/../../etc/passwd", "//etc/passwd", "/page.js/../../x", "/v1/models/%00:predict", "/v1/upscale?format=exe",
        "/v1/upscale?size=9999999x1", "/v1/upscale?scale=1e999", "/v1/upscale?scale=nan", "/v1/upscale?model=" + "a" * 5000,
    )  # fmt: skip
    return paths[int(rng.integers(len(paths)))], GOOD, {}


_SHAPES = (
    (INFER, b'{"inputs": [{"shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [1, 2]}]}'),
    (INFER, b'{"inputs": [{"shape": [1, -2, 2, 3], "datatype": "UINT8", "data": [1]}]}'),
    (INFER, b'{"inputs": [{"shape": [1, 99999, 99999, 3], "datatype": "FP32", "data": [1]}]}'),
    (INFER, b'{"inputs": [{"shape": [1, 1, 1, 3], "datatype": "FP32", "data": [1e999, 0, 0]}]}'),
    (INFER, b'{"inputs": [{"shape": [1, 1, 1, 3], "datatype": ["UINT8"], "data": {"a": 1}}]}'),
    (INFER, b'{"inputs": [{"shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [[1, 2], [3]]}]}'),
    (INFER, b'{"inputs": [7]}'),
    (INFER, b"[" * 100_000),
    (INFER, b'{"a":' * 50_000),
    (PREDICT, b'{"instances": [[[["a", "b", "c"]]]]}'),
    (PREDICT, b'{"instances": [[[[1, 2, 3], [1]]]]}'),
    (PREDICT, b'{"instances": [[[[NaN, 0, 0]]]]}'),
    (PREDICT, b'{"instances": [[[[1e400, 0.5, 0]]]]}'),
    (PREDICT, b'{"instances": [[[[300, 0, 0]]]]}'),
    (PREDICT, b'{"instances": [[[[' + b"9" * 5000 + b", 0, 0]]]]}"),
    (PREDICT, b'{"instances": null}'),
    (PREDICT, b"\xff\xfe"),
)


def _shape(rng: np.random.Generator) -> Sent:
    path, body = _SHAPES[int(rng.integers(len(_SHAPES)))]
    return path, body, {}


def _split(rng: np.random.Generator) -> Sent:
    lengths = ("99999999999", "-1", "abc", "7", "²", "0")
    return (
        INFER,
        b'{"inputs": "no"}' + rng.bytes(20),
        {"Inference-Header-Content-Length": lengths[int(rng.integers(5))]},
    )


# What no well-behaved client library sends


def _cut_off(rng: np.random.Generator) -> bytes:
    heads = ("Content-Length: 500", "Transfer-Encoding: chunked")
    return _head(heads[int(rng.integers(2))]) + b"5\r\nab"


def _huge(rng: np.random.Generator) -> bytes:
    return _head(f"Content-Length: {10 ** int(rng.integers(9, 14))}") + b"x"


def _no_http(rng: np.random.Generator) -> bytes:
    lines = (
        rng.bytes(200), b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/upscale HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        _head("Content-Length: 5\r\nContent-Length: 6"), _head("Transfer-Encoding: chunked") + b"zz\r\n", b"\r\n" * 50,
        _head("Content-Length: -1"), _head("Upgrade: websocket\r\nConnection: Upgrade"),
    )  # fmt: skip
    return lines[int(rng.integers(len(lines)))]


def _head(more: str) -> bytes:
    return f"POST /v1/upscale HTTP/1.1\r\nHost: a\r\n{more}\r\n\r\n".encode()


REQUESTS: dict[str, Callable[[np.random.Generator], Sent]] = {
    "damaged and cut images": _damaged,
    "bodies that are no image": _no_image,
    "decompression bombs": _bomb,
    "paths, names and sizes": _path,
    "JSON of other shapes": _shape,
    "lengths that lie": _split,
}
RAW: dict[str, Callable[[np.random.Generator], bytes]] = {
    "bodies cut off": _cut_off,
    "1 GB and more announced": _huge,
    "no proper HTTP": _no_http,
}
KINDS = (*REQUESTS, *RAW)


@dataclass
class Outcome:
    """What a server answered.

    Attributes:
        statuses: counts by kind and status; 0 where the server hung up, or we did.
        grown: bytes of memory after the warm-up.
        wrong: what must not happen, a line each.
    """

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    grown: int = 0
    wrong: list[str] = field(default_factory=list)


def _raw(server: Running, data: bytes) -> tuple[int, bytes]:
    """The status of an answer to bytes, after which we hang up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        found = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            found = sock.recv(65536)
    words = found.split(b" ", 2)
    return (int(words[1]), found) if found.startswith(b"HTTP/") else (HUNG_UP, found)


def _one(server: Running, number: int) -> tuple[str, int, str]:
    """Kind, status, and what is wrong with the answer."""
    rng, kind = np.random.default_rng(number), KINDS[number % len(KINDS)]
    try:
        if kind in RAW:
            status, text = _raw(server, RAW[kind](rng))
        else:
            status, text, _ = server.request(*REQUESTS[kind](rng))
    except (ConnectionError, urllib.error.URLError):  # the server hung up while we were still sending
        return kind, HUNG_UP, ""
    leak = b"Traceback" in text or str(ROOT).encode() in text
    fault = "tells of this machine" if leak else f"status {status}" if status >= 500 and status != 503 else ""
    return kind, status, fault and f"{number} ({kind}): {fault}"


@contextlib.contextmanager
def slow_clients(server: Running, count: int) -> Iterator[list[socket.socket]]:
    """Connections that send a byte of a head and no more, and as many that ask for an image and never take it."""
    image = encode_image(noise(150, 150), ".png")
    asked = f"POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: {len(image)}\r\n\r\n".encode() + image
    with contextlib.ExitStack() as stack:
        found = []
        for index in range(count):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"P" if index % 2 else asked)
            found.append(sock)
        yield found


def hammer(server: Running, count: int, clients: int = 8, slow: int = 20) -> Outcome:
    """Send hostile requests from several clients at once, with slow clients beside them."""
    outcome = Outcome()
    warm = min(count, 400)
    with ThreadPoolExecutor(clients) as pool, slow_clients(server, slow):
        for first, last in ((0, warm), (warm, count)):
            for kind, status, fault in pool.map(lambda number: _one(server, number), range(first, last)):
                outcome.statuses[kind][status] += 1
                outcome.wrong += [fault] if fault else []
            if not first:
                outcome.grown = -server.memory
    outcome.grown += server.memory
    if outcome.grown > GROWTH:
        outcome.wrong.append(f"the server grew by {outcome.grown / 2**20:.0f} MiB")
    if (status := server.request("/v1/upscale", GOOD)[0]) != 200:
        outcome.wrong.append(f"a good request is answered {status} afterwards")
    return outcome


def show(outcome: Outcome) -> str:
    """A row a kind."""
    rows = []
    for kind, found in outcome.statuses.items():
        refused = sum(count for status, count in found.items() if 400 <= status < 500)
        internal = sum(count for status, count in found.items() if status >= 500 and status != 503)
        cells = (sum(found.values()), refused, found[503], found[HUNG_UP], found[200], internal)
        rows.append([kind, *(f"{cell:,}" for cell in cells)])
    total = [sum(int(row[place].replace(",", "")) for row in rows) for place in range(1, 7)]
    rows.append(["all", *(f"{cell:,}" for cell in total)])
    return table(["sent", "requests", "refused (4xx)", "503", "cut off", "answered", "500"], rows, "lrrrrrr")


@click.command()
@click.option("--n", "count", default=10_000, show_default=True, help="Requests.")
@click.option("--write", type=click.Path(path_type=Path, exists=True), help="A page whose marked table is replaced.")
def main(count: int, write: Path | None) -> None:
    """Send hostile requests to a real server; exit 1 where it breaks, tells of itself or grows."""
    with serving("--max-body", "2", "--max-pixels", "100000", "--read-timeout", "5") as server:
        outcome = hammer(server, count)
    text = show(outcome)
    grown = f"Memory of the server grew by {outcome.grown / 2**20:.1f} MiB after the first 400 requests."
    click.echo(f"{text}\n{grown}")
    for line in outcome.wrong[:50]:
        click.echo(line, err=True)
    if write:
        put(write, "hostile", f"\n{text}\n{grown}\n")
    sys.exit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
