"""SR of a large image band by band, the same bits as of the whole: memory for a band of it, not for all.

A band is as wide as the image and some LR rows high; the network sees as many rows above and below as its receptive field
reaches. On a CPU each output row is then computed as in the whole image, as convolutions go row by row: tests compare
every registered network bit by bit. What cannot be known to be equal is upscaled as a whole: on other devices, in other
arithmetic, with tiles or self-ensemble, without a known receptive field, or where a small image shows another bit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.images import planar, read_image, resize_rows, rgb, rows_agree, to_array, ycbcr
from srbench.inference import Inference
from srbench.process import LARGE, large_blocks_go_back
from srbench.upscaler import Upscaler, network_pass, not_finite, upscale

_BAND = 96  # LR rows; more take memory, fewer spend time on what bands share
_INTERPOLATED = 64  # LR rows; their bands share nothing that would have to be made twice
_COLOURED = 32  # LR rows, whose colours take eight times the memory of luma
_COLUMNS = 480  # of LR, of what the network sees at once
_SHARED = 20  # times the receptive field's rows where that is large, so that bands share a tenth
_LEAST = 1800  # LR pixels that the network sees at once; convolutions of fewer add in another order
_PROBE = (96, 96)  # LR rows and columns of the image that shows whether bands are equal


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
        for top, bottom in _parts(height, rows, upscaler.traits.multiple_of):
            for first, part in make(top, bottom):
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
    if isinstance(image, str | Path):
        image = read_image(image)
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        return upscaler(image)
    lr, scale = planar(image), upscaler.scale
    if not can_band(upscaler, lr):
        return upscaler(image)
    out = np.empty((image.shape[0] * scale, image.shape[1] * scale, 3), np.uint8)
    with large_blocks_go_back():
        for top, part in in_bands(upscaler, lr, lambda rows: rows.to(torch.float32).div_(255.0)):
            out[top : top + part.shape[-2]] = to_array(part)
    return out


def _parts(length: int, side: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Parts of an axis of at least ``side`` and much alike: convolutions of a narrow rest would add in another order."""
    count = max(1, length // side)
    edges = [*(number * length // count // multiple * multiple for number in range(count)), length]
    yield from itertools.pairwise(edges)


def can_band(upscaler: Upscaler, lr: Tensor) -> bool:
    """Whether an image is so large that bands are worth it, and all is known that makes them equal to the whole."""
    pixels = lr.shape[-1] * lr.shape[-2] * upscaler.scale**2
    return pixels > LARGE and is_exact(upscaler, lr)


def _side(upscaler: Upscaler, least: int) -> int:
    """Rows or columns of a band: so many that neighbours share a tenth where the receptive field is large."""
    if upscaler.channels == "any":
        return _INTERPOLATED
    reach = math.ceil((upscaler.receptive_radius or 0) / (upscaler.scale if upscaler.traits.pre_upsampled else 1))
    side = least if reach <= least // 8 else _SHARED * reach
    return math.ceil(side / upscaler.traits.multiple_of) * upscaler.traits.multiple_of


def is_exact(upscaler: Upscaler, lr: Tensor) -> bool:
    """Whether bands are equal to the whole image, as far as that can be known beforehand; ``lr`` of any range and type."""
    way, traits = upscaler.inference, upscaler.traits
    plain = replace(way, device="cpu", fused=False) == Inference() and way.torch_device.type == "cpu"
    lines, columns = (side * upscaler.scale for side in lr.shape[-2:])
    if columns % 16 or lines % 16:  # the products at an axis' end are then made by other kernels, for some lines
        return False
    if not plain or len(lr) != 1 or not all(rows_agree(lines * planes) for planes in (1, 2, lr.shape[1])):
        return False
    if upscaler.channels == "any":
        return hasattr(upscaler.network, "method")
    if traits.receptive_radius is None or traits.square or traits.minimum > _BAND:
        return False
    if min(lr.shape[-2], _BAND) * min(lr.shape[-1], _COLUMNS) < _LEAST:
        return False
    return _shows_it(upscaler, lr.shape[1], lr.dtype if lr.is_floating_point() else torch.float32)


def _shows_it(upscaler: Upscaler, channels: int, dtype: torch.dtype) -> bool:
    """Whether a small image has the same bits in bands: networks of one's own may declare less than they see."""
    unit = upscaler.traits.multiple_of
    height, width = (math.ceil(side / unit) * unit for side in _PROBE)
    image = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0)).to(dtype)
    try:
        whole = upscale(upscaler, image)
        parts = torch.cat([band for _, band in in_bands(upscaler, image, rows=height // 2, columns=width // 2)], dim=-2)
    except (InputError, UnavailableError):
        return False
    return torch.equal(whole, parts)


def _maker(
    upscaler: Upscaler, lr: Tensor, unit: Callable[[Tensor], Tensor], columns: int
) -> Callable[[int, int], Band]:
    """``make(top, bottom)`` in LR rows → the band."""
    scale, channels, (height, width) = upscaler.scale, lr.shape[1], lr.shape[-2:]

    def colours(rows: slice) -> Tensor:
        return unit(lr[..., rows, :])

    if upscaler.channels == "any":
        method = str(upscaler.network.method)
        return lambda top, bottom: iter(
            [(top, resize_rows(colours, height, scale, slice(top * scale, bottom * scale), method=method))]
        )
    if upscaler.channels == "rgb" and channels == 1:
        three = _network(upscaler, lambda rows: colours(rows).expand(-1, 3, -1, -1), (height, width), columns)
        return lambda top, bottom: iter([(top, three(top, bottom).mean(1, keepdim=True))])
    if upscaler.channels == "rgb" or channels == 1:
        network = _network(upscaler, colours, (height, width), columns)
        return lambda top, bottom: iter([(top, network(top, bottom))])
    luma = _network(upscaler, lambda rows: ycbcr(colours(rows))[:, :1], (height, width), columns)

    def coloured(top: int, bottom: int) -> Band:
        band = luma(top, bottom)
        for first in range(top, bottom, _COLOURED):
            rows = slice(first * scale, min(first + _COLOURED, bottom) * scale)
            chroma = resize_rows(lambda rows: ycbcr(colours(rows))[:, 1:], height, scale, rows, edges=upscaler.edges)
            part = band[..., rows.start - top * scale : rows.stop - top * scale, :]
            yield first, rgb(torch.cat([part, chroma], dim=1))

    return coloured


def _network(upscaler: Upscaler, source: Rows, size: tuple[int, int], columns: int) -> Callable[[int, int], Tensor]:
    """The network's part of a band; see ``upscaler._through_network``.

    Args:
        upscaler: it.
        source: its channels in [0, 1].
        size: LR height and width.
        columns: of LR, that it sees at once.
    """
    traits, scale, (height, width) = upscaler.traits, upscaler.scale, size
    unit = scale if traits.pre_upsampled else 1
    radius = traits.receptive_radius
    assert radius is not None
    multiple = math.lcm(traits.multiple_of, unit)
    reach = math.ceil(radius / multiple) * multiple // unit  # in LR rows
    step = multiple // unit

    def seen_rows(above: int, below: int) -> Tensor:
        if not traits.pre_upsampled:
            return source(slice(above, below)).to(torch.float32)
        rows = slice(above * scale, below * scale)
        seen = resize_rows(lambda rows: source(rows).to(torch.float32), height, scale, rows, edges=upscaler.edges)
        return seen.clamp_(16 / 255, 235 / 255) if upscaler.clip_enlarged and seen.shape[1] == 1 else seen

    def make(top: int, bottom: int) -> Tensor:
        above = max(0, top - reach) // step * step
        below = min(height, math.ceil((bottom + reach) / step) * step)
        seen = seen_rows(above, below)
        first, count = (top - above) * scale, (bottom - top) * scale
        out = torch.empty((*seen.shape[:2], count, width * scale), dtype=_wide(source))
        for left, right in _parts(width, columns, step):
            before = max(0, left - reach) // step * step
            after = min(width, math.ceil((right + reach) / step) * step)
            made = network_pass(upscaler, _alone(seen[..., before * unit : after * unit]))
            start = (left - before) * scale
            part = made[..., first : first + count, start : start + (right - left) * scale]
            out[..., left * scale : right * scale] = part
        return out

    return make


def _wide(source: Rows) -> torch.dtype:
    """The type of the result: the image's, where that is not narrower than the network's."""
    return torch.float64 if source(slice(0, 1)).dtype == torch.float64 else torch.float32


def _alone(seen: Tensor) -> Tensor:
    """A copy that lies in memory by itself, its axes in the order that they have in the whole image."""
    return torch.empty_like(seen, memory_format=torch.preserve_format).copy_(seen)
