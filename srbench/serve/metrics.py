"""What ``/metrics`` tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one server.

    Attributes:
        requests: by route and status.
        request_seconds: from the first byte to the answer, by route.
        pass_seconds: one pass of a network, by model.
        batch_size: images in a pass.
        waiting: requests in the queue.
        pixels: SR pixels made, by model.
        given_up: images that nobody waited for any more, by whether they were ``waiting`` for a pass or ``running``.
    """

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter("srbench_requests", "Requests.", ["route", "status"], registry=own)
        self.request_seconds = Histogram(
            "srbench_request_seconds", "Request to answer.", ["route"], buckets=_SECONDS, registry=own
        )
        self.pass_seconds = Histogram(
            "srbench_pass_seconds", "One pass of a network.", ["model"], buckets=_SECONDS, registry=own
        )
        self.batch_size = Histogram("srbench_batch_size", "Images in a pass.", buckets=(1, 2, 4, 8, 16), registry=own)
        self.waiting = Gauge("srbench_waiting", "Requests in the queue.", registry=own)
        self.given_up = Counter("srbench_given_up", "Images that nobody waited for any more.", ["while"], registry=own)
        for state in ("waiting", "running"):
            self.given_up.labels(state)
        self.pixels = Counter("srbench_pixels", "SR pixels made.", ["model"], registry=own)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
