"""The network for a factor that may be none of its own: the next larger one that there is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from srbench.errors import InputError, SrbenchError
from srbench.subjects import resolve_one

if TYPE_CHECKING:
    from srbench.inference import Inference
    from srbench.subjects import SubjectOptions
    from srbench.upscaler import Upscaler

_LEAST, MOST = 2, 8


class NextLarger:
    """Networks by the factor that is wanted.

    Args:
        text: what :func:`srbench.subjects.resolve` takes.
        inference: how they are applied.
        named: what goes with the text.
    """

    def __init__(self, text: str, inference: Inference, named: SubjectOptions) -> None:
        self._text, self._inference = text, inference
        self._named: Mapping[str, Any] = named
        self._found: dict[int, Upscaler] = {}

    def __call__(self, factor: float) -> Upscaler:
        """The network of the smallest scale that is not below a factor.

        Raises:
            InputError: a factor beyond any network.
            SrbenchError: what keeps the first scale from being used, where no larger one can be.
        """
        least = max(_LEAST, math.ceil(factor - 1e-6))
        if least > MOST:
            raise InputError(f"enlarging by {factor:g} is beyond x{MOST}: do it in two steps")
        if least not in self._found:
            self._found[least] = self._first_from(least)
        return self._found[least]

    def _first_from(self, least: int) -> Upscaler:
        found, problem = self._first_of(range(least, MOST + 1))
        if found is not None:
            return found
        assert problem is not None
        smaller, _ = self._first_of(range(least - 1, _LEAST - 1, -1))
        if smaller is not None:
            raise InputError(f"{self._text} enlarges by {smaller.scale} at most, which is less than x{least}")
        raise problem

    def _first_of(self, scales: range) -> tuple[Upscaler | None, SrbenchError | None]:
        """The network of the first of some scales that there is; or what keeps the first from being used."""
        problem: SrbenchError | None = None
        for scale in scales:
            try:
                subject = resolve_one(self._text, scale, **self._named)
                if obstacle := subject.obstacle(scale):
                    raise obstacle
                return subject.upscaler(scale, self._inference), None
            except SrbenchError as error:
                problem = problem or error
        return None, problem
