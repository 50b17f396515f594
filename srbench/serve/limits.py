"""What a server bears, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass, fields

from srbench.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What a server bears.

    Attributes:
        queue: requests that may wait for the network; one more is answered 503.
        batch: images of equal size that one pass may take together. 1 by default: answers are then the very bytes that
            ``srbench upscale`` writes, and a CPU gains nothing from larger batches.
        seconds: from the whole request to its answer; 504 after that.
        body: bytes of a request; reading stops there with 413.
        pixels: LR pixels of a request, over all images of a batch; looked at before anything is decoded.
        read_seconds: for a client to send its request; 408 after that. A client whose request's head takes longer, or that takes
            nothing of its answer for so long, is cut off.

    Raises:
        InputError: one of them is not above 0.
    """

    queue: int = 64
    batch: int = 1
    seconds: float = 60.0
    body: int = 32 * 2**20
    pixels: int = 4_000_000
    read_seconds: float = 30.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise InputError(f"{one.name} = {getattr(self, one.name)!r}; expected more than 0")


class RefusedError(Exception):
    """A request that is not answered with an image.

    Args:
        status: of HTTP.
        message: one line, which tells nothing of this machine.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
