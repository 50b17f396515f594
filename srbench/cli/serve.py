"""``srbench serve``: networks behind HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from srbench.cli._common import Finite
from srbench.cli._subjects import inference_options, subject_options
from srbench.inference import Inference

if TYPE_CHECKING:
    from srbench.subjects import SubjectOptions


@click.command()
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.option("--scale", type=click.IntRange(2, 8), help="For interpolators and others that work at several scales.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--max-queue", type=click.IntRange(1), default=64, show_default=True, help="Requests that may wait; 503 beyond."
)
@click.option(
    "--max-batch", type=click.IntRange(1), default=1, show_default=True, help="Images of equal size in one pass."
)
@click.option(
    "--max-pixels", type=click.IntRange(1), default=4_000_000, show_default=True, help="LR pixels of a request."
)
@click.option("--max-body", type=Finite(0, min_open=True), default=32.0, show_default=True, help="MiB of a request.")
@click.option("--timeout", type=Finite(0, min_open=True), default=60.0, show_default=True, help="Seconds to an answer.")
@click.option(
    "--read-timeout",
    type=Finite(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to a request.",
)
@subject_options
@inference_options
def command(
    subjects: tuple[str, ...],
    scale: int | None,
    host: str,
    port: int,
    max_queue: int,
    max_batch: int,
    max_pixels: int,
    max_body: float,
    timeout: float,
    read_timeout: float,
    named: SubjectOptions,
    inference: Inference,
) -> None:
    """Serve SUBJECTS (checkpoints, files of weights, interpolators, classes of your own) over HTTP.

    \b
    srbench serve fsrcnn_x4.tuned edsr_baseline_x4.tuned --port 8000
    curl --data-binary @photo.png -o big.png \\
      "localhost:8000/v1/upscale?model=fsrcnn_x4.tuned"

    POST /v1/upscale takes a PNG, JPEG or WebP file and returns PNG (format=webp: WebP); /v2/models/NAME/infer is KServe's
    protocol, /v1/models/NAME:predict TensorFlow Serving's. /docs describes all, / is a page to drop an image on, /metrics is for
    Prometheus. Without model= the first SUBJECT answers. Needs the extra: pip install 'srbench[serve]'.
    """
    from srbench.errors import InputError
    from srbench.serve.app import create_app
    from srbench.serve.limits import Limits
    from srbench.serve.server import bind, serve
    from srbench.subjects import load

    upscalers = {}
    for text in subjects:
        upscaler = load(text, scale, inference=inference, **named)
        if (name := upscaler.name or text) in upscalers:
            raise InputError(f"{text}: {name} is served already; name each once")
        upscalers[name] = upscaler
    limits = Limits(
        queue=max_queue, batch=max_batch, seconds=timeout, body=round(max_body * 2**20), pixels=max_pixels,
        read_seconds=read_timeout,
    )  # fmt: skip
    app = create_app(upscalers, limits)
    with bind(host, port) as sock:
        place = f"http://{host}:{sock.getsockname()[1]}"
        click.echo(f"serving {', '.join(upscalers)} at {place} (documentation: {place}/docs; Ctrl-C stops)", err=True)
        serve(app, sock, limits)
