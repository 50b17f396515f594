"""Decoded images and what metrics have prepared of them, kept for all that is measured on them, within one budget of memory.

What does not fit is made again for each checkpoint; that costs time and changes no bit. Sets are gone through image by image,
checkpoint after checkpoint: whatever forgot the oldest would have forgotten each image when it comes round again. So what is
kept stays, unless something comes that saves clearly more time for each byte.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from srbench.errors import InputError

T = TypeVar("T")

CACHE_MEMORY = "SRBENCH_CACHE_MEMORY"
_DEFAULT = 2**30
_BETTER = 2.0  # times as many seconds saved a byte: less is noise, for which nothing is thrown away


def cache_memory() -> int:
    """The budget in bytes: ``SRBENCH_CACHE_MEMORY`` in GiB, else 1 GiB; InputError where that is no number."""
    named = os.environ.get(CACHE_MEMORY, "")
    if not named:
        return _DEFAULT
    return bytes_of(named, CACHE_MEMORY)


def bytes_of(named: str, where: str) -> int:
    """Bytes in a text that is a number of GiB; InputError, which names ``where`` it stands, for any other text."""
    try:
        size = float(named)
    except ValueError:
        size = -1.0
    if not 0 <= size < 2**20:
        raise InputError(f"{where} = {named!r}; expected a number of GiB, 0 or more")
    return int(size * 2**30)


@dataclass(frozen=True)
class _Kept:
    """One thing that is kept.

    Attributes:
        thing: it.
        size: bytes of its tensors and arrays.
        seconds: what making it took.
    """

    thing: Any
    size: int
    seconds: float

    @property
    def worth(self) -> float:
        """Seconds saved for each byte; what takes no memory is worth any."""
        return self.seconds / self.size if self.size else float("inf")


class References:
    """Things made once and kept under a key, as long as the budget allows.

    Args:
        budget: bytes of tensors and arrays; :func:`cache_memory` by default.
    """

    def __init__(self, budget: int | None = None) -> None:
        self.budget = cache_memory() if budget is None else budget
        self._kept: dict[Hashable, _Kept] = {}

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(kept.size for kept in self._kept.values())

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key; made, and kept if it fits, where there is nothing.

        Args:
            key: everything that decides what is made.
            make: makes it; what it raises is not kept.
        """
        if key in self._kept:
            found: T = self._kept[key].thing
            return found
        started = time.perf_counter()
        thing = make()
        self._keep(key, _Kept(thing, size_of(thing), time.perf_counter() - started))
        return thing

    def _keep(self, key: Hashable, new: _Kept) -> None:
        """Keep it if it fits, or fits in the place of things that are worth much less."""
        leaving: list[Hashable] = []
        room = self.budget - self.size
        for other, kept in sorted(self._kept.items(), key=lambda item: item[1].worth):
            if room >= new.size or kept.worth * _BETTER > new.worth:
                break
            leaving.append(other)
            room += kept.size
        if room >= new.size:
            for other in leaving:
                del self._kept[other]
            self._kept[key] = new


def size_of(thing: object) -> int:
    """Bytes of all tensors and arrays in a thing; what is shared by several of them counts once.

    Args:
        thing: a tensor, an array, or a sequence, mapping or dataclass of such things, to any depth; anything else takes nothing.
    """
    return sum(dict(_stores(thing)).values())


def _stores(thing: object) -> Iterator[tuple[int, int]]:
    """Address and bytes of the memory that each tensor and array holds, also where it is a view of a part of it."""
    if isinstance(thing, Tensor):
        yield thing.untyped_storage().data_ptr(), thing.untyped_storage().nbytes()
    elif isinstance(thing, np.ndarray):
        owner = thing
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        yield owner.ctypes.data, owner.nbytes
    elif isinstance(thing, dict):
        yield from _stores(list(thing.values()))
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from _stores(part)
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield from _stores([getattr(thing, field.name) for field in fields(thing)])
