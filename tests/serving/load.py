"""``python -m tests.serving.load --write docs/serve.md``: what a server adds to the bare network, under load and alone.

Rounds of the bare network in this process, of images and of raw tensors take turns, so that a busy machine slows all alike; what
is said are ratios within a round, and their median. Every answer is compared with what ``srbench upscale`` writes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import requests
import torch

import srbench
from srbench.datasets.local import find_dataset
from srbench.images import imresize, read_image
from srbench.markdown import table
from srbench.photos import Photo, encode_photo
from tests.serving import MODEL, Running, put, serving

SIDE = 256
ROUNDS = 8
U8 = npt.NDArray[np.uint8]


@dataclass
class Way:
    """One way to ask.

    Attributes:
        name: in the table.
        clients: at once.
        ask: sends a request in a session; the answer's body, or None for an error.
        expected: every body.
        bare: seconds of a pass of the bare network, by round.
        each: seconds from answer to answer, by round.
        processor: the server's processor time for a request in passes of the bare network's, by round.
        waits: seconds from request to answer, in bare passes of the round.
        errors: answers that are none.
        other: answers that differ.
    """

    name: str
    clients: int
    ask: Callable[[requests.Session], bytes | None]
    expected: bytes
    bare: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors: int = 0
    other: int = 0

    @property
    def overhead(self) -> float:
        """Median over the rounds of what a request takes beyond a pass, as a share of the pass."""
        return statistics.median(each / bare - 1 for each, bare in zip(self.each, self.bare, strict=True))


def lr_image() -> U8:
    """A photograph of 256×256: the astronaut of scikit-image, reduced."""
    path = next(path for path in find_dataset("sample").paths if path.stem == "astronaut")
    made: U8 = imresize(np.ascontiguousarray(read_image(path)[:512, :512]), 0.5)
    return made


def ways(server: Running, image: U8, upscaler: srbench.Upscaler) -> list[Way]:
    """Images as PNG and as raw tensors, from eight clients and from one."""
    made = upscaler(image)
    sent, expected = encode_photo(Photo(image), ".png"), encode_photo(Photo(made), ".png")
    tensor = {"name": "image", "shape": [1, *image.shape], "datatype": "UINT8"}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    base = f"http://127.0.0.1:{server.port}"

    def by_image(session: requests.Session) -> bytes | None:
        answer = session.post(f"{base}/v1/upscale", data=sent, timeout=120)
        return answer.content if answer.status_code == 200 else None

    def by_tensor(session: requests.Session) -> bytes | None:
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = session.post(
            f"{base}/v2/models/{MODEL}/infer", data=head + image.tobytes(), headers=headers, timeout=120
        )
        if answer.status_code != 200:
            return None
        return answer.content[int(answer.headers["inference-header-content-length"]) :]

    return [
        Way(f"{kind}, {clients} client{'s' if clients > 1 else ''}", clients, ask, bytes_)
        for kind, ask, bytes_ in (("PNG", by_image, expected), ("KServe, raw tensor", by_tensor, made.tobytes()))
        for clients in (8, 1)
    ]


def bare_pass(upscaler: srbench.Upscaler, image: U8, count: int) -> tuple[float, float]:
    """Median seconds of a pass by the clock, and seconds of processor time of one."""
    seconds, before = [], time.process_time()
    for _ in range(count):
        began = time.perf_counter()
        upscaler(image)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), (time.process_time() - before) / count


def ask_all(server: Running, way: Way, count: int, bare: tuple[float, float]) -> None:
    """One round of one way."""

    def one(session: requests.Session) -> tuple[float, bytes | None]:
        began = time.perf_counter()
        body = way.ask(session)
        return time.perf_counter() - began, body

    sessions = [requests.Session() for _ in range(way.clients)]
    before, began = server.processor_seconds, time.perf_counter()
    with ThreadPoolExecutor(way.clients) as pool:
        shares: Sequence[int] = [len(range(first, count, way.clients)) for first in range(way.clients)]
        found = [one_ for part in pool.map(lambda s, n: [one(s) for _ in range(n)], sessions, shares) for one_ in part]
    way.bare.append(bare[0])
    way.each.append((time.perf_counter() - began) / count)
    way.processor.append((server.processor_seconds - before) / count / bare[1])
    way.waits += [seconds / bare[0] for seconds, _ in found]
    way.errors += sum(body is None for _, body in found)
    way.other += sum(body is not None and body != way.expected for _, body in found)


def measure(server: Running, count: int, rounds: int = ROUNDS, kind: str = "") -> list[Way]:
    """All ways in turns, or those whose name begins so: ``count`` requests from eight clients and a quarter of that from one."""
    torch.set_num_threads(1)
    image, upscaler = lr_image(), srbench.load(MODEL)
    found = [way for way in ways(server, image, upscaler) if way.name.startswith(kind)]
    bare_pass(upscaler, image, 3)
    for way in found:
        ask_all(server, Way(way.name, way.clients, way.ask, way.expected), way.clients, (1.0, 1.0))
    for _ in range(rounds):
        for way in found:
            many = count // rounds if way.clients > 1 else max(1, count // rounds // 4)
            ask_all(server, way, many, bare_pass(upscaler, image, 5))
    return found


def show(found: Sequence[Way]) -> str:
    """A row a way."""
    rows = []
    for way in found:
        p50, p95 = np.percentile(way.waits, (50, 95))
        cells: list[Any] = [way.name, len(way.waits), way.errors, way.other, f"{way.overhead:+.0%}"]
        cells += [f"{statistics.median(way.processor):.2f}", f"{p50:.1f}", f"{p95:.1f}"]
        rows.append([str(cell) for cell in cells])
    heads = [
        "asked by",
        "requests",
        "errors",
        "other bytes",
        "over a pass",
        "processor",
        "median wait",
        "p95 wait",
    ]
    return table(heads, rows, "lrrrrrrr")


def conditions(load: float) -> str:
    """Where and how it was measured."""
    cores = os.cpu_count() or 1
    return (
        f"{MODEL}, {SIDE}×{SIDE} → {4 * SIDE}×{4 * SIDE}, one thread for the network, {cores} cores, load average {load:.1f} at "
        "the start, which lengthens waits most. “Over a pass” is the time from answer to answer beyond a bare pass of the "
        "same round (median of rounds), “processor” the server's processor time for a request, and waits are from request to "
        "answer, both in bare passes; with eight clients eight requests wait for one network."
    )


@click.command()
@click.option("--n", "count", default=200, show_default=True, help="Requests of each kind from eight clients.")
@click.option("--write", type=click.Path(path_type=Path, exists=True), help="A page whose marked table is replaced.")
def main(count: int, write: Path | None) -> None:
    """Ask a real server much; exit 1 where an answer is an error or differs from what `srbench upscale` writes."""
    load = os.getloadavg()[0]
    with serving() as server:
        found = measure(server, count)
    text = f"{show(found)}\n{conditions(load)}\n"
    click.echo(text)
    if write:
        put(write, "load", f"\n{text}")
    sys.exit(1 if any(way.errors or way.other for way in found) else 0)


if __name__ == "__main__":
    main()
