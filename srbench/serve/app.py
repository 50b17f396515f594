"""The routes: images in and images out, KServe's V2, TensorFlow Serving's V1, health, metrics, documentation and a small page."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import srbench
from srbench.errors import InputError, UnavailableError, unknown
from srbench.photos import Wanted, decode_photo, encode_photo, finished, for_format, network_inputs
from srbench.serve.bodies import read_body
from srbench.serve.limits import Limits, RefusedError
from srbench.serve.metrics import Metrics
from srbench.serve.tensors import (
    HEADER,
    INPUT,
    OUTPUT,
    answer_v1,
    answer_v2,
    read_v1,
    read_v2,
)
from srbench.serve.waiting import answered
from srbench.serve.worker import Worker
from srbench.upscaler import Upscaler

Array = npt.NDArray[Any]

FORMATS = {"png": "image/png", "webp": "image/webp"}
_CSP = "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'"
_LOG = logging.getLogger("srbench.serve")
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/docs": ("docs.html", "text/html"),
    "/docs.js": ("docs.js", "text/javascript"),
}
_SWAGGER = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
_QUERY = ("model", "format", "scale", "size")
_MOST = 8  # that an image is enlarged by, as on the command line
_ENOUGH = 8  # names of models that a message lists

_BYTES = {
    "requestBody": {
        "required": True,
        "description": "A PNG, JPEG, WebP, BMP or TIFF file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_IMAGES, _HEALTH, _KSERVE, _TENSORFLOW = "images", "health", "KServe V2", "TensorFlow Serving V1"
_TAGS = [
    {"name": _IMAGES, "description": "Image files in and out, and what is served."},
    {"name": _HEALTH, "description": "For whatever watches over the server; /metrics is for Prometheus."},
    {"name": _KSERVE, "description": "The Open Inference Protocol: tensors as JSON, or as bytes after it."},
    {"name": _TENSORFLOW, "description": "TensorFlow Serving's REST form: tensors as JSON, row or column format."},
]
_OBJECT = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}

_Model = Annotated[str, Query(description="A name of /v1/models; the first of them where it is left out.")]
_Format = Annotated[str, Query(description="png, or webp (lossless).")]
_Scale = Annotated[
    str, Query(description="A factor such as 2 or 3.5, up to the network's own, which is what is used without it.")
]
_Size = Annotated[str, Query(description="The SR image's size instead of a factor, such as 1920x1080.")]


class Service:
    """What the routes share.

    Args:
        upscalers: by the name that clients call them.
        limits: what the server bears.
    """

    def __init__(self, upscalers: Mapping[str, Upscaler], limits: Limits) -> None:
        self.upscalers, self.limits = dict(upscalers), limits
        self.metrics = Metrics()
        self.worker = Worker(limits, self.metrics)

    def model(self, name: str) -> Upscaler:
        """The network called so; the first one for an empty name; RefusedError 404 with the nearest."""
        if not name:
            return next(iter(self.upscalers.values()))
        if name not in self.upscalers:
            raise RefusedError(404, unknown("model", name[:80], list(self.upscalers)[:_ENOUGH]))
        return self.upscalers[name]

    async def image(
        self, upscaler: Upscaler, body: bytes, suffix: str, wanted: Wanted
    ) -> tuple[bytes, tuple[str, ...]]:
        """An image file's bytes → those of its SR image, and what a client should know of it."""
        photo = await asyncio.to_thread(decode_photo, body, "the image", self.limits.pixels)
        size = _exact_size(photo.pixels.shape, upscaler.scale, wanted)
        parts = await asyncio.to_thread(network_inputs, photo, size is not None)
        made = [await self.worker.submit(upscaler, part) for part in parts]

        def end() -> tuple[bytes, tuple[str, ...]]:
            sr = for_format(finished(photo, made, size), suffix)
            self.metrics.pixels.labels(upscaler.name).inc(sr.pixels.shape[0] * sr.pixels.shape[1])
            return encode_photo(sr, suffix), sr.notes

        return await asyncio.to_thread(end)

    async def tensor(self, upscaler: Upscaler, batch: Array) -> Array:
        """``(N, h, w, C)`` uint8 or float32 in [0, 1] → SR of the same kind."""
        if batch.dtype == np.uint8:
            pixels = [one[..., 0] if one.shape[2] == 1 else one for one in batch]
            # Alone an image may share a pass with those of other requests; several wait, and are answered, as one.
            alone = len(pixels) == 1
            made = await self.worker.submit(upscaler, pixels[0] if alone else pixels)
            sr: Array = np.stack([one[..., None] if one.ndim == 2 else one for one in ([made] if alone else made)])
        else:
            x = torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).contiguous()
            sr = (await self.worker.submit(upscaler, x)).permute(0, 2, 3, 1).contiguous().numpy()
        self.metrics.pixels.labels(upscaler.name).inc(sr.shape[0] * sr.shape[1] * sr.shape[2])
        return sr


def _exact_size(shape: tuple[int, ...], scale: int, wanted: Wanted) -> tuple[int, int] | None:
    """The size to resize SR to; None for the network's own. RefusedError 400 where the network does not enlarge so far."""
    height, width = shape[:2]
    if wanted.open:
        return None
    if (factor := wanted.network_factor(height, width)) > scale + 1e-6:
        raise RefusedError(400, f"that enlarges by {factor:.3g}; the network enlarges by {scale}")
    size = wanted.size(height, width)
    return None if size == (height * scale, width * scale) else size


def create_app(upscalers: Mapping[str, Upscaler], limits: Limits | None = None) -> FastAPI:
    """The application, ready for any ASGI server.

    Args:
        upscalers: what is served, by name.
        limits: what it bears.

    Raises:
        InputError: nothing to serve.
    """
    if not upscalers:
        raise InputError("nothing to serve: name a checkpoint")
    service = Service(upscalers, limits or Limits())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        yield
        await service.worker.close()

    app = FastAPI(
        title="srbench", version=srbench.__version__, description="Super-resolution of images.",
        docs_url=None, redoc_url=None, lifespan=lifespan, openapi_tags=_TAGS,
    )  # fmt: skip
    app.openapi_version = "3.0.3"  # the bundled Swagger UI refuses 3.1, and all that is said here 3.0 can say
    app.state.service = service
    app.add_middleware(_Watched, metrics=service.metrics)
    _add_errors(app)
    _add_images(app, service)
    _add_kserve(app, service)
    _add_tensorflow(app, service)
    _add_pages(app, service)
    return app


class _Watched:
    """Counts and times every request and adds headers that keep browsers careful."""

    def __init__(self, app: Callable[..., Awaitable[None]], metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"], (b"x-content-type-options", b"nosniff"), (b"content-security-policy", _CSP.encode()),
                ]  # fmt: skip
            await send(message)

        await self._app(scope, receive, watched)
        path = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(path, str(status)).inc()
        self._metrics.request_seconds.labels(path).observe(time.perf_counter() - began)


def _add_errors(app: FastAPI) -> None:
    def say(status: int, message: str) -> JSONResponse:
        headers = {"retry-after": "1"} if status == 503 else {}
        return JSONResponse({"error": message}, status, headers)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return say(error.status, error.message)

    @app.exception_handler(InputError)
    async def unusable(_: Request, error: InputError) -> JSONResponse:
        return say(400, str(error))

    @app.exception_handler(UnavailableError)
    async def unavailable(_: Request, error: UnavailableError) -> JSONResponse:
        return say(507 if error.status == "oom" else 422, error.reason)

    @app.exception_handler(HTTPException)
    async def unknown_route(_: Request, error: HTTPException) -> JSONResponse:
        return say(error.status_code, str(error.detail))

    @app.exception_handler(MemoryError)
    async def full(_: Request, error: MemoryError) -> JSONResponse:  # noqa: ARG001
        return say(507, "out of memory")

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        _LOG.error("a request failed", exc_info=error)
        return say(500, "internal error")


def _add_images(app: FastAPI, service: Service) -> None:
    @app.post("/v1/upscale", tags=[_IMAGES], summary="An image in, its SR image out", openapi_extra=_BYTES)
    async def upscale_image(
        request: Request,
        model: _Model = "",
        format: _Format = "png",  # noqa: A002
        scale: _Scale = "",
        size: _Size = "",
    ) -> Response:
        """The answer's header x-srbench-model names the network; x-srbench-note says what the image lost, if anything."""
        _check_query(request)
        if format not in FORMATS:
            raise RefusedError(400, unknown("format", format[:40], FORMATS))
        upscaler, wanted = service.model(model), _wanted(scale, size)
        body = await read_body(request, service.limits)
        work = service.image(upscaler, body, f".{format}", wanted)
        made, notes = await answered(request, service.limits, work)
        headers = {"x-srbench-model": upscaler.name}
        if notes:
            headers["x-srbench-note"] = "; ".join(notes).encode("ascii", "replace").decode()
        return Response(made, media_type=FORMATS[format], headers=headers)

    @app.get("/v1/models", tags=[_IMAGES], summary="What is served")
    async def models() -> list[dict[str, Any]]:
        """Every network's name, by which requests call it, its scale, channels and number of parameters."""
        return [
            {"name": name, "scale": one.scale, "channels": one.channels, "parameters": one.parameters}
            for name, one in service.upscalers.items()
        ]


def _check_query(request: Request) -> None:
    """RefusedError 400 for a parameter that there is not, and for one that is given twice: neither may go unheard."""
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in _QUERY:
            raise RefusedError(400, unknown("parameter", name[:40], _QUERY))
        if (times := given.count(name)) > 1:
            raise RefusedError(400, f"{name} is given {times} times: give it once")


def _wanted(scale: str, size: str) -> Wanted:
    """How large SR shall be; RefusedError 400 for what is no factor or size, InputError for a text of no size."""
    if size and scale:
        raise RefusedError(400, "scale and size both say how large: give one")
    if size:
        return Wanted.of_size(size[:20])
    try:
        factor = float(scale[:20] or 0)
    except ValueError:
        factor = -1.0
    if scale and not 1 < factor <= _MOST:
        raise RefusedError(
            400, f"scale {scale[:20]!r}: expected a factor above 1 and at most {_MOST}, such as 2 or 3.5"
        )
    return Wanted(factor=factor)


def _add_kserve(app: FastAPI, service: Service) -> None:
    @app.get("/v2", tags=[_KSERVE], summary="The server")
    async def server() -> dict[str, Any]:
        """Its name, version and extensions of the protocol."""
        return {"name": "srbench", "version": srbench.__version__, "extensions": ["binary_tensor_data"]}

    @app.get("/v2/health/live", tags=[_HEALTH], summary="Whether the process answers")
    async def live() -> dict[str, bool]:
        """Always 200; a server that does not answer is to be started anew."""
        return {"live": True}

    @app.get("/v2/health/ready", tags=[_HEALTH], summary="Whether it takes requests")
    async def ready() -> Response:
        """200 with ``{"ready": true}``; 503 from when the server was told to stop."""
        return JSONResponse({"ready": not service.worker.stopping}, 503 if service.worker.stopping else 200)

    @app.get("/v2/models/{name}", tags=[_KSERVE], summary="A model's inputs and outputs")
    async def metadata(name: str) -> dict[str, Any]:
        """Names, types and shapes of its tensors, -1 for any size; 404 for a name that is not served."""
        service.model(name)
        tensor = {"datatype": "UINT8", "shape": [-1, -1, -1, 3]}
        return {
            "name": name, "versions": ["1"], "platform": "srbench",
            "inputs": [{"name": INPUT, **tensor}], "outputs": [{"name": OUTPUT, **tensor}],
        }  # fmt: skip

    @app.get("/v2/models/{name}/ready", tags=[_HEALTH], summary="Whether a model takes requests")
    async def model_ready(name: str) -> dict[str, Any]:
        """200 for every model that is served, as all are loaded before the server answers; 404 for any other."""
        service.model(name)
        return {"name": name, "ready": True}

    @app.post(
        "/v2/models/{name}/infer", tags=[_KSERVE], summary="A tensor in, its SR tensor out", openapi_extra=_OBJECT
    )
    async def infer(request: Request, name: str) -> Response:
        """One input ``(N, h, w, C)``, UINT8 or FP32 in [0, 1]; the output is of the same type."""
        upscaler = service.model(name)
        body = await read_body(request, service.limits)

        async def work() -> tuple[bytes, dict[str, str]]:
            asked = await asyncio.to_thread(read_v2, body, request.headers.get(HEADER), service.limits)
            made = await service.tensor(upscaler, asked.batch)
            return await asyncio.to_thread(answer_v2, asked, name, made)

        content, headers = await answered(request, service.limits, work())
        return Response(content, headers=headers)


def _add_tensorflow(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/models/{name}:predict", tags=[_TENSORFLOW], summary="Numbers in, SR numbers out", openapi_extra=_OBJECT
    )
    async def predict(request: Request, name: str) -> Response:
        """A batch as ``instances`` or ``inputs``; the answer has ``predictions`` or ``outputs``."""
        upscaler = service.model(name)
        body = await read_body(request, service.limits)

        async def work() -> bytes:
            asked = await asyncio.to_thread(read_v1, body, service.limits)
            made = await service.tensor(upscaler, asked.batch)
            return await asyncio.to_thread(answer_v1, asked, made)

        content = await answered(request, service.limits, work())
        return Response(content, media_type="application/json")

    @app.get("/v1/models/{name}", tags=[_TENSORFLOW], summary="A model's state")
    async def state(name: str) -> dict[str, Any]:
        """AVAILABLE for every model that is served; 404 for any other."""
        service.model(name)
        ok = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": ok}]}


def _add_pages(app: FastAPI, service: Service) -> None:
    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def page(file: str, kind: str) -> Response:
        return Response(files("srbench.serve").joinpath("page", file).read_bytes(), media_type=kind)

    for path, (file, kind) in _PAGE.items():
        app.add_api_route(path, partial(page, file, kind), include_in_schema=False)

    @app.get("/docs/{file}", include_in_schema=False)
    async def swagger(file: str) -> Response:
        if file not in _SWAGGER:
            raise RefusedError(404, "Not Found")
        from swagger_ui_bundle import swagger_ui_path

        return Response((swagger_ui_path / file).read_bytes(), media_type=_SWAGGER[file])
