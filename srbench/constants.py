"""Tensors that are made once and used by every later call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def constant(make: Callable[P, R]) -> Callable[P, R]:
    """``make``, called once for each of the latest 128 sets of arguments; the tensors it makes are ordinary ones.

    A tensor made under ``torch.inference_mode`` may never be part of a gradient: what the first call left behind would fail
    every later training in the process.

    Args:
        make: its arguments are hashable; it returns what nobody changes.
    """

    @lru_cache(maxsize=128)
    @wraps(make)
    def made(*args: P.args, **options: P.kwargs) -> R:
        import torch

        with torch.inference_mode(False), torch.no_grad():
            return make(*args, **options)

    return made  # type: ignore[return-value]  # typeshed's wrapper forgets what it takes
