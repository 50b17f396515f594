"""One queue and one thread in front of a device: what waits is bounded, what runs is never two things at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from srbench.images import planar, to_array
from srbench.serve.limits import Limits, RefusedError
from srbench.serve.metrics import Metrics
from srbench.upscaler import Upscaler, upscale, upscale_array, while_wanted


@dataclass(eq=False)
class Job:
    """One image, or all images of one request, on their way through a network.

    Attributes:
        upscaler: the network.
        image: uint8 ``(h, w, 3)`` or ``(h, w)``, a list of such, or a float tensor ``(N, C, h, w)`` in [0, 1].
        running: whether its pass has begun.
        answer: SR of the same kind, or what went wrong.
    """

    upscaler: Upscaler
    image: Any
    running: bool = False
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def goes_with(self, other: Job) -> bool:
        """Whether one pass can take both."""
        same = self.upscaler is other.upscaler and isinstance(self.image, np.ndarray) and self.image.ndim == 3
        return same and isinstance(other.image, np.ndarray) and self.image.shape == other.image.shape


class Worker:
    """Runs jobs one pass after another.

    Args:
        limits: of the queue, the batch and the time.
        metrics: told how long passes take.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._jobs: list[Job] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "network")
        self._task: asyncio.Task[None] | None = None
        self.stopping = False

    def start(self) -> None:
        """Begin to take jobs; called in the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def submit(self, upscaler: Upscaler, image: Any) -> Any:
        """SR of one image.

        Raises:
            RefusedError: 503 where the queue is full or the server stops.
            UnavailableError: of the network.
            InputError: of the network.
        """
        if self.stopping:
            raise RefusedError(503, "the server is stopping")
        if len(self._jobs) >= self._limits.queue:
            raise RefusedError(503, f"{self._limits.queue} requests are waiting already; try again")
        job = Job(upscaler, image)
        self._jobs.append(job)
        self._metrics.waiting.set(len(self._jobs))
        self._arrived.set()
        try:
            return await job.answer
        except asyncio.CancelledError:
            self._metrics.given_up.labels("running" if job.running else "waiting").inc()
            raise
        finally:
            if job in self._jobs:  # given up: its place is another's at once, however long the pass before it takes
                self._jobs.remove(job)
                self._metrics.waiting.set(len(self._jobs))

    def stop(self) -> None:
        """What runs ends; what waits is answered 503, and so is what comes."""
        self.stopping = True
        waiting, self._jobs = self._jobs, []
        for job in waiting:
            if not job.answer.done():
                job.answer.set_exception(RefusedError(503, "the server is stopping"))
        self._arrived.set()

    async def close(self) -> None:
        """Stop and wait for what runs."""
        self.stop()
        if self._task:
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping:
            batch = self._next()
            if not batch:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            began = time.perf_counter()
            answers = await loop.run_in_executor(self._thread, _pass, batch, self._limits.batch)
            self._metrics.pass_seconds.labels(batch[0].upscaler.name).observe(time.perf_counter() - began)
            self._metrics.batch_size.observe(len(batch))
            for job, answer in zip(batch, answers, strict=True):
                if job.answer.done():  # given up in the meantime
                    continue
                if isinstance(answer, Exception):
                    job.answer.set_exception(answer)
                else:
                    job.answer.set_result(answer)

    def _next(self) -> list[Job]:
        """The oldest job that somebody still waits for, and those that go with it."""
        self._jobs = [job for job in self._jobs if not job.answer.done()]
        if not self._jobs:
            self._metrics.waiting.set(0)
            return []
        first = self._jobs[0]
        batch = [first, *(job for job in self._jobs[1:] if first.goes_with(job))][: self._limits.batch]
        self._jobs = [job for job in self._jobs if job not in batch]
        self._metrics.waiting.set(len(self._jobs))
        for job in batch:
            job.running = True
        return batch


def _pass(batch: Sequence[Job], most: int) -> list[Any]:
    """The answers of one batch; an exception stands in the place of an answer. It ends where nobody waits for any of them.

    Args:
        batch: jobs that go together, or a single one.
        most: images that share a pass of the network, where one job has several.
    """
    try:
        with while_wanted(lambda: not all(job.answer.done() for job in batch)):
            return _answers(batch, most)
    except Exception as error:  # the queue goes on, whatever a network does, or where all have given up
        return [error] * len(batch)


def _answers(batch: Sequence[Job], most: int) -> list[Any]:
    upscaler = batch[0].upscaler
    if len(batch) > 1:
        return _together(upscaler, [job.image for job in batch])
    image = batch[0].image
    if isinstance(image, list):
        parts = [image[start : start + most] for start in range(0, len(image), most)]
        return [[one for part in parts for one in _together(upscaler, part)]]
    made = upscaler(image) if isinstance(image, torch.Tensor) else upscale_array(upscaler, image)
    return [made]


def _together(upscaler: Upscaler, images: Sequence[Any]) -> list[Any]:
    """SR of images of one size, in one pass where they are several and have colours."""
    if len(images) == 1 or images[0].ndim == 2:
        return [upscale_array(upscaler, one) for one in images]
    x = torch.cat([planar(one) for one in images]).to(torch.float32).div_(255.0)
    return [to_array(one[None]) for one in upscale(upscaler, x)]
