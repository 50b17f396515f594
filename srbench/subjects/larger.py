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
        problem: SrbenchError | None = None
        for scale in range(least, MOST + 1):
            try:
                subject = resolve_one(self._text, scale, **self._named)
                if obstacle := subject.obstacle(scale):
                    raise obstacle
                return subject.upscaler(scale, self._inference)
            except SrbenchError as error:
                problem = problem or error
        assert problem is not None
        raise problem
