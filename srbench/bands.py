"""SR of a large image band by band, the same bits as of the whole: memory for a band of it, not for all.

A band is as wide as the image and some LR rows high; the network sees it in a few parts, with as many pixels around each
as its receptive field reaches. On a CPU a kernel makes 16 pixels at once, another one the rest of an axis, and a pixel's
last bit may tell which of them made it. So what the network sees begins at a multiple of 16, and ends as far beyond one as
the whole image does: each pixel is then made by the same kernel. Tests compare every registered network bit by bit.

What cannot be known to be equal is upscaled as a whole: on other devices, in other arithmetic, with tiles or
self-ensemble, without a known receptive field, or where parts of a small image with the same rest show another bit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import coloured, planar, read_image, resize_rows, to_array, ycbcr
from srbench.inference import Inference
from srbench.process import LARGE, blocks_are_kept, large_blocks_go_back
from srbench.upscaler import Upscaler, begin_array, network_pass, not_finite, upscale

_BAND = 144  # LR rows; more take memory, fewer spend time on what bands share
_INTERPOLATED = 64  # LR rows; their bands share nothing that would have to be made twice
_COLOURED = 24  # LR rows, whose colours take as much memory as what the network has made of a band
_COLUMNS = 144  # of LR, of what the network makes at once
_SHARED = 20  # times the receptive field's rows where that is large, so that bands share a tenth
_PERIOD = 16  # pixels: kernels make so many at once, and others make the rest of an axis
_LEAST = 20480  # samples that the network sees at once; torch convolves fewer by itself, and adds in another order
_PROBE = 64  # LR rows and columns of a part of the image that shows whether parts are equal
_shown: WeakKeyDictionary[Upscaler, dict[tuple[int, int, int, torch.dtype], bool]] = WeakKeyDictionary()


Rows = Callable[[slice], Tensor]
"""Gives some rows of an image, float ``(1, C, rows, W)``."""
Band = Iterator[tuple[int, Tensor]]
"""A band's parts from top to bottom: the first LR row of each, and its SR rows."""


def in_bands(
    upscaler: Upscaler,
    lr: Tensor,
    unit: Callable[[Tensor], Tensor] = lambda rows: rows,
    *,
    rows: int = 0,
    columns: int = 0,
) -> Iterator[tuple[int, Tensor]]:
    """The SR image from top to bottom.

    Args:
        upscaler: one that ``can_band``.
        lr: ``(1, C, h, w)``.
        unit: makes of some rows of it what ``upscale`` takes, each sample by itself; they are that already by default.
        rows: LR rows of a band; by default as many as suit the receptive field.
        columns: of LR, that the network sees at once; by default as many as suit the receptive field.

    Yields:
        the first row and a part of a band, float ``(1, C, rows, W)``, which may be written to: the bits of ``upscale``.

    Raises:
        InputError: as ``upscale``.
        UnavailableError: ``failed`` after the last part, where some hold NaN or infinity.
    """
    scale, height = upscaler.scale, lr.shape[-2]
    rows = rows or _side(upscaler, _BAND)
    columns = columns or _side(upscaler, _COLUMNS)
    spoilt = samples = 0
    with torch.no_grad():
        make = _maker(upscaler, lr, unit, columns)
        for band in _parts(height, rows, *_seen(upscaler)):
            for first, part in make(band):
                samples += part.numel()
                if not math.isfinite(float(part.sum())):
                    spoilt += int(part.numel() - torch.isfinite(part).sum())
                yield first * scale, part
    if spoilt:
        raise not_finite(spoilt / samples)


def upscaled(upscaler: Upscaler, image: Any) -> Any:
    """SR of one image, as the upscaler itself gives it: of a large uint8 array ``(h, w, 3)`` in bands, else as a whole.

    Args:
        upscaler: any.
        image: of any kind that it takes.

    Raises:
        InputError: as the upscaler.
        UnavailableError: likewise.
    """
    return begin(upscaler, image)()


def begin(upscaler: Upscaler, image: Any) -> Callable[[], Any]:
    """The network's part of :func:`upscaled`; calling the result does the rest, in any thread, and gives SR.

    For uint8 arrays ``(h, w, 3)``; what is of another kind or large is done at once.
    """
    if isinstance(image, str | Path):
        image = read_image(image)
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        made = upscaler(image)
        return lambda: made
    lr, scale = planar(image), upscaler.scale
    if not can_band(upscaler, lr):
        return begin_array(upscaler, image)
    out = np.empty((image.shape[0] * scale, image.shape[1] * scale, 3), np.uint8)
    with large_blocks_go_back(), blocks_are_kept():
        for top, part in in_bands(upscaler, lr, lambda rows: rows.to(torch.float32).div_(255.0)):
            out[top : top + part.shape[-2]] = to_array(part)
    return lambda: out


class _Part(NamedTuple):
    """A part of an axis, and what the network sees of the axis to make it."""

    start: int
    stop: int
    first: int
    last: int


def _parts(length: int, side: int, reach: int = 0, step: int = 1) -> Iterator[_Part]:
    """Parts of an axis of at least ``side`` and much alike.

    What is seen of each begins at a multiple of 16 and ends as far beyond one as the whole axis does.

    Args:
        length: of the axis.
        side: of a part, at least.
        reach: pixels that the network sees on each side of what it makes; a multiple of ``step``.
        step: its input's sides are multiples of this.
    """
    period = _period(step)
    count = max(1, (length - reach) // max(side, 2 * period))
    starts = [0, *(round(number * length / count / period) * period + reach % period for number in range(1, count))]
    for start, stop in itertools.pairwise([*starts, length]):
        last = min(stop + reach, length)
        yield _Part(start, stop, max(0, start - reach), last + (length - last) % period)


def can_band(upscaler: Upscaler, lr: Tensor) -> bool:
    """Whether an image is so large that bands are worth it, and all is known that makes them equal to the whole."""
    pixels = lr.shape[-1] * lr.shape[-2] * upscaler.scale**2
    return pixels > LARGE and is_exact(upscaler, lr)


def _side(upscaler: Upscaler, least: int) -> int:
    """Rows or columns of a band: so many that neighbours share a tenth where the receptive field is large."""
    if upscaler.channels == "any":
        return _INTERPOLATED
    if upscaler.traits.pre_upsampled:  # each LR pixel is many to the network
        least //= 2
    reach, _ = _seen(upscaler)
    return least if reach <= least // 8 else _SHARED * reach


def is_exact(upscaler: Upscaler, lr: Tensor) -> bool:
    """Whether bands are equal to the whole image, as far as that can be known beforehand; ``lr`` of any range and type."""
    way, traits = upscaler.inference, upscaler.traits
    plain = replace(way, device="cpu", fused=False) == Inference() and way.torch_device.type == "cpu"
    if not plain or len(lr) != 1:
        return False
    if upscaler.channels == "any":
        return hasattr(upscaler.network, "method")
    if traits.receptive_radius is None or traits.square or traits.minimum > _BAND:
        return False
    height, width = lr.shape[-2:]
    if min(height, _BAND) * min(width, _COLUMNS) * (3 if upscaler.channels == "rgb" else 1) < _LEAST:
        return False
    period = _period(_seen(upscaler)[1])
    key = (height % period, width % period, lr.shape[1], lr.dtype if lr.is_floating_point() else torch.float32)
    shown = _shown.setdefault(upscaler, {})
    if key not in shown:
        shown[key] = _shows_it(upscaler, *key)
    return shown[key]


def _shows_it(upscaler: Upscaler, lower: int, right: int, channels: int, dtype: torch.dtype) -> bool:
    """Whether a small image has the same bits in parts: networks of one's own may declare less than they see.

    Args:
        upscaler: it.
        lower: rows of the image beyond a multiple of the period, which end it as those of the large one do.
        right: columns likewise.
        channels: of the image.
        dtype: of it.
    """
    reach, step = _seen(upscaler)
    enough = math.isqrt(_LEAST // 3) + _PERIOD  # of one channel, torch's own convolution adds in no other order
    side, period = max(_PROBE, reach, enough - reach if upscaler.channels == "rgb" else 0), _period(step)
    least = math.ceil((2 * side + reach) / period) * period
    image = torch.rand(1, channels, least + lower, least + right, generator=torch.Generator().manual_seed(0)).to(dtype)
    try:
        whole = upscale(upscaler, image)
        parts = torch.cat([band for _, band in in_bands(upscaler, image, rows=side, columns=side)], dim=-2)
    except (InputError, UnavailableError):
        return False
    return torch.equal(whole, parts)


def _period(step: int) -> int:
    """Pixels after which rows and columns are alike to kernels and to a network whose input's sides are multiples of ``step``."""
    return math.lcm(_PERIOD, step)


def _seen(upscaler: Upscaler) -> tuple[int, int]:
    """LR pixels that the network sees on each side of what it makes, and what its input's sides are multiples of."""
    if upscaler.channels == "any":
        return 0, 1
    traits, unit = upscaler.traits, upscaler.scale if upscaler.traits.pre_upsampled else 1
    assert traits.receptive_radius is not None
    multiple = math.lcm(traits.multiple_of, unit)
    return math.ceil(traits.receptive_radius / multiple) * multiple // unit, multiple // unit


def _maker(upscaler: Upscaler, lr: Tensor, unit: Callable[[Tensor], Tensor], columns: int) -> Callable[[_Part], Band]:
    """``make(rows of LR)`` → the band."""
    scale, channels, (height, width) = upscaler.scale, lr.shape[1], lr.shape[-2:]

    def colours(rows: slice) -> Tensor:
        some = unit(lr[..., rows, :])
        return some.contiguous() if lr.is_contiguous() else some  # libraries choose by that how they add

    if upscaler.channels == "any":
        method = str(upscaler.network.method)
        return lambda band: iter(
            [
                (
                    band.start,
                    resize_rows(colours, height, scale, slice(band.start * scale, band.stop * scale), method=method),
                )
            ]
        )
    if upscaler.channels == "rgb" and channels == 1:
        three = _network(upscaler, lambda rows: colours(rows).expand(-1, 3, -1, -1), (height, width), columns)
        return lambda band: iter([(band.start, three(band).mean(1, keepdim=True))])
    if upscaler.channels == "rgb" or channels == 1:
        network = _network(upscaler, colours, (height, width), columns)
        return lambda band: iter([(band.start, network(band))])
    luma = _network(upscaler, lambda rows: ycbcr(colours(rows))[:, :1], (height, width), columns, reuse=True)

    def in_colours(band: _Part) -> Band:
        made = luma(band)
        for first in range(band.start, band.stop, _COLOURED):
            rows = slice(first * scale, min(first + _COLOURED, band.stop) * scale)
            chroma = resize_rows(lambda rows: ycbcr(colours(rows))[:, 1:], height, scale, rows, edges=upscaler.edges)
            part = made[..., rows.start - band.start * scale : rows.stop - band.start * scale, :]
            yield first, coloured(part, chroma)

    return in_colours


def _network(
    upscaler: Upscaler, source: Rows, size: tuple[int, int], columns: int, reuse: bool = False
) -> Callable[[_Part], Tensor]:
    """The network's part of a band; see ``upscaler._through_network``.

    Args:
        upscaler: it.
        source: its channels in [0, 1].
        size: LR height and width.
        columns: of LR, that it sees at once.
        reuse: whether a band may lie where the last one did: of blocks of two sizes that come and go, gaps would stay.
    """
    traits, scale, (height, width) = upscaler.traits, upscaler.scale, size
    unit = scale if traits.pre_upsampled else 1
    room: list[Tensor] | None = [] if reuse else None

    def seen_rows(band: _Part) -> Tensor:
        if not traits.pre_upsampled:
            return source(slice(band.first, band.last)).to(torch.float32)
        rows = slice(band.first * scale, band.last * scale)
        seen = resize_rows(lambda rows: source(rows).to(torch.float32), height, scale, rows, edges=upscaler.edges)
        return seen.clamp_(16 / 255, 235 / 255) if upscaler.clip_enlarged and seen.shape[1] == 1 else seen

    def make(band: _Part) -> Tensor:
        seen = seen_rows(band)
        first, count = (band.start - band.first) * scale, (band.stop - band.start) * scale
        out = _empty((*seen.shape[:2], count, width * scale), _wide(source), room)
        for part in _parts(width, columns, *_seen(upscaler)):
            made = network_pass(upscaler, _alone(seen[..., part.first * unit : part.last * unit]))
            start = (part.start - part.first) * scale
            made = made[..., first : first + count, start : start + (part.stop - part.start) * scale]
            out[..., part.start * scale : part.stop * scale] = made
        return out

    return make


def _empty(shape: tuple[int, ...], dtype: torch.dtype, room: list[Tensor] | None) -> Tensor:
    """A new tensor, or one in the memory that ``room`` holds, which becomes as large as is needed."""
    if room is None:
        return torch.empty(shape, dtype=dtype)
    if not room or room[0].numel() < math.prod(shape):
        room[:] = [torch.empty(shape, dtype=dtype)]
    return room[0].flatten()[: math.prod(shape)].view(shape)


def _wide(source: Rows) -> torch.dtype:
    """The type of the result: the image's, where that is not narrower than the network's."""
    return torch.float64 if source(slice(0, 1)).dtype == torch.float64 else torch.float32


def _alone(seen: Tensor) -> Tensor:
    """A copy that lies in memory by itself, its axes in the order that they have in the whole image."""
    return torch.empty_like(seen, memory_format=torch.preserve_format).copy_(seen)
