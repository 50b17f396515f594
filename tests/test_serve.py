"""A real server and real clients: answers are ``upscale``'s bytes, hostile requests cost nothing, what runs at a stop ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import srbench
from srbench.cli import main
from srbench.errors import InputError
from srbench.imagefile import decode_image, encode_image
from srbench.images import as_rgb

pytest.importorskip("fastapi", reason="needs the extra serve")

from srbench.serve.app import Service
from srbench.serve.limits import Limits, RefusedError
from srbench.serve.metrics import Metrics
from srbench.serve.server import bind
from srbench.serve.tensors import read_v1, read_v2
from srbench.serve.waiting import answered
from srbench.serve.worker import Worker
from tests.builders import noise
from tests.serving import MODEL, Running, serving, start
from tests.serving.hostile import hammer, slow_clients


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving("--max-body", "2", "--max-pixels", "100000") as running:
        yield running
    assert running.process.returncode in (0, -signal.SIGTERM)


@pytest.fixture(scope="module")
def upscaler() -> srbench.Upscaler:
    import torch

    torch.set_num_threads(1)
    return srbench.load(MODEL)


# What is answered


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp"])
@pytest.mark.parametrize("gray", [False, True])
def test_an_answer_is_what_upscale_writes(server: Running, upscaler: Any, suffix: str, gray: bool) -> None:
    sent = encode_image(noise(23, 31)[..., 0] if gray else noise(23, 31), suffix)
    status, body, headers = server.request(f"/v1/upscale?model={MODEL}", sent)
    expected = upscaler(decode_image(sent, "sent"))
    assert (status, headers["content-type"], body) == (200, "image/png", encode_image(expected, ".png"))
    status, body, headers = server.request("/v1/upscale?format=webp", sent)
    assert headers["content-type"] == "image/webp"
    assert np.array_equal(decode_image(body, "webp"), as_rgb(expected))


@pytest.mark.slow
def test_images_as_people_have_them_come_back_as_from_upscale(server: Running, upscaler: Any) -> None:
    from srbench.photos import Photo, decode_photo, encode_photo
    from srbench.upscale_files import upscale_photo

    deep = noise(20, 24).astype(np.uint16) * 200
    for photo in (Photo(noise(20, 24), noise(20, 24)[..., 0], dpi=(300, 300)), Photo(deep), Photo(deep[..., 0])):
        sent = encode_photo(photo, ".png")
        status, body, _ = server.request("/v1/upscale", sent)
        assert (status, body) == (200, encode_photo(upscale_photo(upscaler, decode_photo(sent, "sent")), ".png"))
    status, body, headers = server.request("/v1/upscale?format=webp&size=70x50", encode_photo(Photo(deep), ".png"))
    assert status == 200
    assert decode_image(body, "made").shape == (50, 70, 3)
    assert "8 bits" in headers["x-srbench-note"]
    for query in ("size=700x50", "scale=x", "scale=5", "size=4", "scale=2&size=4x4"):
        assert server.request(f"/v1/upscale?{query}", encode_photo(Photo(deep), ".png"))[0] == 400


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("fromat=webp", "unknown parameter 'fromat'. Did you mean 'format'? Known: format, model, scale, size"),
        ("scale=2.5&scale=4", "scale is given 2 times"),
        *(
            (f"scale={text}", f"scale '{text}': expected a factor above 1 and at most 8")
            for text in ("1", "0.5", "9", "nan")
        ),
    ],
)
def test_a_query_is_heard_or_refused(upscaler: Any, query: str, said: str) -> None:
    from srbench.serve.app import create_app

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/upscale", "query_string": query.encode(), "headers": []}
    played(lambda: create_app({MODEL: upscaler})(scope, receive, send))
    assert sent[0]["status"] == 400
    assert said in json.loads(sent[1]["body"])["error"]


@pytest.mark.slow
def test_kserve_takes_json_and_bytes(server: Running, upscaler: Any) -> None:
    batch = np.stack([noise(9, 8, seed=seed) for seed in (1, 2)])
    expected = np.stack([upscaler(one) for one in batch])
    tensor = {"name": "image", "shape": list(batch.shape), "datatype": "UINT8"}
    status, body, _ = server.request(
        f"/v2/models/{MODEL}/infer",
        json.dumps({"id": "7", "inputs": [tensor | {"data": batch.ravel().tolist()}]}).encode(),
    )
    told = json.loads(body)
    assert (status, told["id"], told["outputs"][0]["shape"]) == (200, "7", [2, 36, 32, 3])
    assert np.array_equal(np.array(told["outputs"][0]["data"]).reshape(expected.shape), expected)
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    status, body, headers = server.request(
        f"/v2/models/{MODEL}/infer", head + batch.tobytes(), {"Inference-Header-Content-Length": str(len(head))}
    )
    raw = body[int(headers["inference-header-content-length"]) :]
    assert np.array_equal(np.frombuffer(raw, np.uint8).reshape(expected.shape), expected)


@pytest.mark.slow
def test_tensorflow_servings_form(server: Running, upscaler: Any) -> None:
    image = noise(6, 7)
    path = f"/v1/models/{MODEL}:predict"
    status, body, _ = server.request(path, json.dumps({"instances": [image.tolist()]}).encode())
    assert status == 200
    assert np.array_equal(np.array(json.loads(body)["predictions"][0]), upscaler(image))
    floats = {"inputs": (image[None] + 0.0).tolist(), "signature_name": "serving_default"}
    _, body, _ = server.request(path, json.dumps(floats).encode())
    found = np.array(json.loads(body)["outputs"][0])
    assert np.abs(np.clip(found, 0, 255) - upscaler(image)).max() <= 0.5 + 1e-3
    assert json.loads(server.request(f"/v1/models/{MODEL}")[1])["model_version_status"][0]["state"] == "AVAILABLE"


@pytest.mark.slow
def test_what_stands_around_it(server: Running) -> None:
    server.request("/v1/upscale", encode_image(noise(8, 8), ".png"))
    metrics = server.request("/metrics")[1].decode()
    assert 'srbench_requests_total{route="/v1/upscale",status="200"}' in metrics
    assert json.loads(server.request("/v2/health/ready")[1]) == {"ready": True}
    assert json.loads(server.request(f"/v2/models/{MODEL}")[1])["inputs"][0]["datatype"] == "UINT8"
    described = json.loads(server.request("/openapi.json")[1])
    paths = described["paths"]
    tags = {tag["name"] for tag in described["tags"]}
    for path, kinds in paths.items():
        for kind, route in kinds.items():
            assert set(route["tags"]) <= tags, f"{kind} {path}"
            assert route["description"], f"{kind} {path}"
            assert all(p["in"] == "path" or p["description"] for p in route.get("parameters", ())), f"{kind} {path}"
    assert {"/v1/upscale", "/v2/models/{name}/infer", "/v1/models/{name}:predict"} <= set(paths)
    for path in ("/", "/page.js", "/page.css", "/docs", "/docs.js", "/docs/swagger-ui-bundle.js"):
        status, body, headers = server.request(path)
        assert status == 200
        assert b"//cdn" not in body[:5000]
        assert "default-src 'self'" in headers["content-security-policy"]


# Under load


@pytest.mark.slow
def test_two_hundred_requests_from_eight_clients(server: Running, upscaler: Any) -> None:
    image = noise(64, 64)
    sent = encode_image(image, ".png")
    expected = encode_image(upscaler(image), ".png")
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: server.request("/v1/upscale", sent)[:2], range(200)))
    assert {status for status, _ in answers} == {200}
    assert {body for _, body in answers} == {expected}


# What strangers send


@pytest.mark.slow
def test_hostile_requests_are_refused(server: Running) -> None:
    """Of every kind, with slow clients beside them; ``python -m tests.serving.hostile`` sends ten thousand."""
    outcome = hammer(server, int(os.environ.get("SRBENCH_HOSTILE", "540")))
    assert outcome.wrong == []
    answered = {status for found in outcome.statuses.values() for status in found}
    assert answered <= {0, 200, 400, 404, 405, 413, 431, 503}


@pytest.mark.slow
def test_clients_that_dawdle_lose_their_place() -> None:
    """More unfinished heads than connections, and answers that nobody takes, keep others out for a time and no longer."""
    good = encode_image(noise(8, 8), ".png")
    with serving("--read-timeout", "2", "--max-queue", "4") as running, slow_clients(running, 160):
        time.sleep(0.3)
        assert running.request("/v1/upscale", good)[0] == 503
        deadline = time.monotonic() + 60
        while running.request("/v1/upscale", good)[0] != 200:
            assert time.monotonic() < deadline, "they still hold their places"
            time.sleep(0.5)


@pytest.mark.slow
def test_a_head_that_comes_slowly_and_an_answer_that_is_read_slowly_are_served() -> None:
    image = encode_image(noise(64, 64), ".png")
    head = f"POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: {len(image)}\r\nConnection: close\r\n\r\n".encode()
    with serving("--read-timeout", "2") as running, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", running.port))
        for piece in (head[:20], head[20:], image[:99], image[99:]):
            sock.sendall(piece)
            time.sleep(0.4)
        found = b""
        while piece := sock.recv(3000):
            found += piece
            time.sleep(0.02)
    assert found.startswith(b"HTTP/1.1 200")
    assert found.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("content-type", "multipart/form-data; boundary=x", "curl --data-binary @FILE"),
        ("content-encoding", "gzip", "content-encoding 'gzip'; expected the bytes as they are"),
    ],
)
def test_wrapped_bodies_are_told_what_is_expected(header: str, value: str, said: str) -> None:
    """Not that the image is none: that is true and helps nobody who sends it as a form."""
    from starlette.requests import Request

    from srbench.serve.bodies import read_body

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"image", "more_body": False}

    def body(*headers: tuple[bytes, bytes]) -> Any:
        request = Request({"type": "http", "method": "POST", "headers": list(headers)}, receive)
        return played(lambda: read_body(request, Limits()))

    assert body((header.encode(), b"identity")) == body() == b"image"
    with pytest.raises(RefusedError, match=re.escape(said)) as caught:
        body((header.encode(), value.encode()))
    assert caught.value.status == 415


@pytest.mark.slow
def test_large_announcements_and_cut_off_bodies(server: Running) -> None:
    for head, rest in (
        ("Content-Length: 1000000000", b"x"),
        ("Content-Length: 500", b"cut off"),
        ("Transfer-Encoding: chunked", b"5\r\nab"),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
            sock.sendall(f"POST /v1/upscale HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + rest)
            if "1000000000" in head:
                assert b" 413 " in sock.recv(4096).split(b"\r\n")[0]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        found = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(200):  # 13 MB of an endless body
                sock.sendall(chunk)
        with contextlib.suppress(ConnectionError):
            found = sock.recv(4096)
        assert b" 413 " in found.split(b"\r\n")[0] or found == b""
    assert server.request("/v1/upscale", encode_image(noise(8, 8), ".png"))[0] == 200


@pytest.mark.slow
def test_a_full_queue_and_a_stop() -> None:
    running = start("--max-queue", "2")
    sent = encode_image(noise(400, 400), ".png")
    statuses: list[int] = []

    def ask() -> None:
        try:
            statuses.append(running.request("/v1/upscale", sent)[0])
        except (ConnectionError, urllib.error.URLError):
            statuses.append(0)

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(0.6)
    running.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(120)
    assert running.process.wait(60) in (0, -signal.SIGTERM)
    assert len(statuses) == 8
    assert 503 in statuses  # those beyond the queue, or that waited when it stopped
    assert set(statuses) <= {200, 503, 0}


# What waits


def image_of(width: int) -> Any:
    return np.full((4, width, 3), 90, np.uint8)


def played(scene: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What ``scene`` returns, in a thread and a loop of its own.

    The main thread has a loop that runs, and allows no other, once a browser test was before this one.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(scene())).result()


def test_what_is_given_up_leaves_its_place_in_the_queue(upscaler: Any) -> None:
    async def scene() -> None:
        worker = Worker(Limits(queue=1), Metrics())  # not started, as if a pass took for ever
        first = asyncio.ensure_future(worker.submit(upscaler, image_of(4)))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="waiting already"):
            await worker.submit(upscaler, image_of(4))
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        second = asyncio.ensure_future(worker.submit(upscaler, image_of(4)))
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()

    played(scene)


def given_up(metrics: Metrics) -> dict[str, float]:
    """What ``/metrics`` says of it."""
    lines = [line for line in metrics.text().decode().splitlines() if line.startswith("srbench_given_up_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


@pytest.mark.parametrize("kind", ["tiles", "ensemble", "list"])
def test_a_pass_that_nobody_waits_for_ends_early(kind: str) -> None:
    """Before its next tile; and what waits behind it is never begun where it was given up, too."""
    import torch

    from srbench.models import create_model, get_model
    from srbench.upscaler import for_model

    begun, hold, passes = threading.Event(), threading.Event(), []

    class Slow(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = create_model("espcn", 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            passes.append(tuple(x.shape))
            begun.set()
            assert hold.wait(60)
            return self.inner(x)

    how = {"tiles": {"tile": 4}, "ensemble": {"ensemble": True}, "list": {}}[kind]
    slow = for_model(get_model("espcn"), Slow().eval(), 2).with_(srbench.inference.Inference(**how))
    image: Any = [noise(16, 16)] * 5 if kind == "list" else noise(16, 16)

    async def scene() -> dict[str, float]:
        metrics = Metrics()
        worker = Worker(Limits(), metrics)
        worker.start()
        asked = [asyncio.ensure_future(worker.submit(slow, image)) for _ in range(2)]
        assert await asyncio.to_thread(begun.wait, 60)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
        hold.set()
        last = await worker.submit(slow, noise(4, 4))
        assert last.shape == (8, 8, 3)
        await worker.close()
        return given_up(metrics)

    assert played(scene) == {"waiting": 1, "running": 1}
    assert len(passes) <= 1 + (8 if kind == "ensemble" else 1), (
        "one pass of the first, none of the second, and the last"
    )


def test_a_batch_of_several_goes_on_while_anyone_waits(upscaler: Any) -> None:
    """What one client gave up is still another's."""

    async def scene() -> Any:
        worker = Worker(Limits(batch=2), Metrics())
        asked = [asyncio.ensure_future(worker.submit(upscaler, noise(6, 8, seed=seed))) for seed in (1, 2)]
        await asyncio.sleep(0)
        worker.start()
        await asyncio.sleep(0)
        asked[0].cancel()
        made = await asked[1]
        await worker.close()
        return made

    assert np.abs(played(scene).astype(int) - upscaler(noise(6, 8, seed=2))).max() <= 1


@pytest.mark.parametrize("most", [1, 4])
def test_a_batch_waits_as_one_request(upscaler: Any, most: int) -> None:
    """However many images it has, it is never too many for the queue."""
    batch = np.stack([noise(6, 8, seed=seed) for seed in range(7)])

    async def scene() -> Any:
        service = Service({"a": upscaler}, Limits(queue=1, batch=most))
        service.worker.start()
        made = [await service.tensor(upscaler, one) for one in (batch, batch[..., :1])]
        await service.worker.close()
        return made

    colours, gray = played(scene)
    expected = np.stack([upscaler(one) for one in batch])
    assert np.abs(colours.astype(int) - expected).max() <= (0 if most == 1 else 1)
    assert np.array_equal(gray[..., 0], [upscaler(one[..., 0]) for one in batch])


@pytest.mark.parametrize(("hangs_up", "status"), [(True, 499), (False, 504)])
def test_work_ends_with_its_time_and_with_its_client(hangs_up: bool, status: int) -> None:
    ended: list[str] = []

    class Asking:
        async def receive(self) -> dict[str, str]:
            await asyncio.sleep(0 if hangs_up else 60)
            return {"type": "http.disconnect"}

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("work")

    async def scene() -> None:
        with pytest.raises(RefusedError) as caught:
            await answered(Asking(), Limits(seconds=30 if hangs_up else 0.01), work())  # type: ignore[arg-type]
        assert caught.value.status == status

    played(scene)
    assert ended == ["work"]


def test_a_taken_port_is_one_line() -> None:
    with bind("127.0.0.1", 0) as sock:
        sock.listen()
        with pytest.raises(InputError, match=r"cannot listen on 127.0.0.1 port \d+: .*choose another"):
            bind("127.0.0.1", sock.getsockname()[1])
        taken = ["serve", "bicubic", "--scale", "2", "--port", str(sock.getsockname()[1])]
        done = CliRunner().invoke(main, taken)
        assert (done.exit_code, done.output.count("\n")) == (1, 1)
        assert "choose another with --host and --port" in done.output
    with pytest.raises(InputError, match=r"cannot listen on no-such-host\.invalid"):
        bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "instances"),
        ({"instances": 3}, "list of numbers"),
        ({"instances": [[1, 2]]}, "4 dimensions"),
        ({"instances": [[[[1, 2]]]]}, "shape"),
        ({"instances": [[[[True, False, True]]]]}, "no number"),
    ],
)
def test_wrong_arrays_say_what_was_expected(body: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said) as caught:
        read_v1(json.dumps(body).encode(), Limits())
    assert caught.value.status == 400


def test_bytes_become_an_array_that_torch_takes() -> None:
    head = json.dumps({"inputs": [{"shape": [1, 2, 2, 3], "datatype": "UINT8"}]}).encode()
    batch = read_v2(head + bytes(range(12)), str(len(head)), Limits()).batch
    assert batch.flags.writeable
    assert batch.ravel().tolist() == list(range(12))


def test_a_batch_is_limited_by_all_its_pixels() -> None:
    request = {"inputs": [{"shape": [8, 100, 100, 3], "datatype": "UINT8", "data": [0]}]}
    with pytest.raises(RefusedError) as caught:
        read_v2(json.dumps(request).encode(), None, Limits(pixels=50_000))
    assert caught.value.status == 413
