"""Tiles no smaller than memory asks for: the whole image first, then halves.

On a GPU memory is tried. On a CPU the system would end the process instead of saying no, so what a pass takes is estimated
before: by the tensors that are alive at once while a small image goes through.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from srbench.errors import UnavailableError
from srbench.process import free_memory
from srbench.upscaler import Upscaler, tile_overlap, upscale

_PROBE = 64  # LR pixels a side: what does not grow with the image is then a small part
_SCRATCH = 1.3  # libraries keep buffers of their own beside the tensors that we see
_SHARE = 0.85  # of what is free; others use the machine, too
_LEAST = 32  # LR pixels; smaller tiles mostly compute their overlap
_COPIES = 3  # of the SR image that its last steps hold at once


class FittingTiles:
    """Puts images through networks in tiles as large as memory allows.

    Args:
        say: told what was used, where it is not the whole image.
        free: gives the bytes of this machine's memory that are free.
    """

    def __init__(self, say: Callable[[str], None], free: Callable[[], int] | None = None) -> None:
        self._say = say
        self._free = free or free_memory
        self._costs: dict[int, float] = {}
        self._ready: dict[tuple[int, int], Upscaler] = {}
        self._kept: list[Upscaler] = []  # or another network might get a former one's id

    def __call__(self, upscaler: Upscaler, image: Any) -> Any:
        """SR of an image, as the upscaler gives it.

        Args:
            upscaler: its tiles are left aside.
            image: whatever an upscaler takes but a path.

        Raises:
            UnavailableError: ``oom`` where not even small tiles fit.
            InputError: of the network.
        """
        height, width = image.shape[-2:] if isinstance(image, Tensor) else image.shape[:2]
        why = ""
        for tile in _edges(max(height, width)):
            why = self._too_much(upscaler, height, width, tile) or self._failed(upscaler, tile, image)
            if not why:
                return self._made
            if upscaler.channels == "any":  # interpolators have no tiles
                break
        raise UnavailableError("oom", f"out of memory on an LR image of {width}×{height}: {why}")

    def _failed(self, upscaler: Upscaler, tile: int, image: Any) -> str:
        """Try a size of tiles; why memory did not do, or nothing where it did and ``_made`` is the SR image."""
        try:
            self._made = self._with(upscaler, tile)(image)
        except (UnavailableError, MemoryError, torch.OutOfMemoryError) as error:
            if isinstance(error, UnavailableError) and error.status != "oom":
                raise
            reason = f"tiles of {tile} ran out of memory" if tile else "the whole image ran out of memory"
        else:
            if tile:
                self._say(f"used tiles of {tile} LR pixels")
            return ""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return reason

    def _with(self, upscaler: Upscaler, tile: int) -> Upscaler:
        key = (id(upscaler), tile)
        if key not in self._ready:
            self._kept.append(upscaler)
            overlap = upscaler.inference.overlap if tile else None
            self._ready[key] = upscaler.with_(replace(upscaler.inference, tile=tile, overlap=overlap))
        return self._ready[key]

    def _too_much(self, upscaler: Upscaler, height: int, width: int, tile: int) -> str:
        """Why a size of tiles is not tried; nothing where it may be."""
        if upscaler.device.type != "cpu":
            return ""
        unit = upscaler.scale if upscaler.traits.pre_upsampled else 1
        reach = 2 * math.ceil(tile_overlap(upscaler)[0] / unit) + tile if tile else max(height, width)
        pixels = min(height, reach) * min(width, reach)
        needed = self._cost(upscaler) * pixels + _COPIES * 12 * upscaler.scale**2 * height * width
        free = self._free()
        if needed <= free * _SHARE:
            return ""
        what = f"tiles of {tile}" if tile else "the whole image"
        return f"{what} would take about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"

    def _cost(self, upscaler: Upscaler) -> float:
        """Bytes for each LR pixel of one pass."""
        if id(upscaler) not in self._costs:
            self._kept.append(upscaler)
            self._costs[id(upscaler)] = pass_memory(upscaler, _PROBE) / _PROBE**2 * _SCRATCH
        return self._costs[id(upscaler)]


def _edges(longest: int) -> Iterator[int]:
    """0 for the whole, then halves of the longer side, in multiples of 8."""
    yield 0
    edge = longest
    while edge > _LEAST:
        edge = max(_LEAST, math.ceil(edge / 16) * 8)
        yield edge


def pass_memory(upscaler: Upscaler, side: int) -> int:
    """Most bytes of tensors that one pass over a square image holds at once, beside the weights.

    Args:
        upscaler: the network; on the CPU.
        side: of the image, in LR pixels.
    """
    plain = upscaler.with_(replace(upscaler.inference.eager, tile=0, overlap=None))
    image = torch.full((1, 3, side, side), 0.5)
    with torch.no_grad():
        _ = plain.module  # copies and rewrites come before
        with _Alive() as alive:
            upscale(plain, image)
    return alive.peak


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make, as long as somebody holds them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor):
                self._count(one.untyped_storage())
        return made

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self.now += size
        self.peak = max(self.peak, self.now)
        self._seen[key] = weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.now -= size
        self._seen.pop(key, None)
