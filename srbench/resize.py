"""MATLAB's ``imresize`` (antialiased cubic, a = −0.5), bit for bit on 8-bit images, for arrays and tensors.

Each pass is a product with a banded matrix, done block by block so that the strip being worked on stays in cache; the 2.9 GFLOP
of a dense product become 0.3. On uint8 the vertical pass comes first and is rounded (half up) and clipped before the horizontal
one, as MATLAB does; float input is never rounded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from srbench.constants import constant
from srbench.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Edges = Literal["mirror", "clamp"]
F64 = npt.NDArray[np.float64]

_LEAST_BLOCKS = 4
_BLOCK = 16  # output rows a product makes at once; a NaN spreads over a whole product, so it is to be no larger
_FINE = 4  # output rows of 8 bits that are reduced on a CPU, whose sums are exact: larger products are mostly of zeros


def _cubic(x: F64) -> F64:
    """Keys' cubic convolution kernel, a = −0.5 (IEEE TASSP 29(6), 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _lanczos3(x: F64) -> F64:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_KERNELS: dict[str, tuple[Callable[[F64], F64], float]] = {
    "bicubic": (_cubic, 4.0),
    "bilinear": (lambda x: np.maximum(0.0, 1.0 - np.abs(x)), 2.0),
    "lanczos": (_lanczos3, 6.0),
    "nearest": (lambda x: ((x >= -0.5) & (x < 0.5)).astype(np.float64), 1.0),
    "area": (lambda x: ((x >= -0.5) & (x < 0.5)).astype(np.float64), 1.0),  # widened below scale 1: means of blocks
}


def resize_weights(
    in_len: int, out_len: int, scale: float, edges: Edges = "mirror", method: str = "bicubic"
) -> tuple[F64, npt.NDArray[np.int64]]:
    """The taps of one axis.

    Args:
        in_len: pixels before.
        out_len: pixels after.
        scale: after / before, which sets the sampling grid.
        edges: ``mirror`` repeats the image reflected about its edge (MATLAB), ``clamp`` its last pixel.
        method: bicubic, bilinear, lanczos (3), area or nearest. Below scale 1 all but nearest are widened (antialiasing).

    Returns:
        weights ``(out_len, k)``, each row summing to 1, and the input indices ``(out_len, k)`` that they go with.
    """
    if method not in _KERNELS:
        raise InputError(f"unknown resize method {method!r}; known: {', '.join(_KERNELS)}")
    if edges not in ("mirror", "clamp"):
        raise InputError(f"unknown edges {edges!r}; known: mirror, clamp")
    kernel, width = _KERNELS[method]
    shrink = min(scale, 1.0) if method != "nearest" else 1.0
    width /= shrink
    centre = np.arange(1, out_len + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centre - width / 2)
    taps = math.ceil(width) + 2
    positions = left[:, None] + np.arange(taps)
    weights = shrink * kernel(shrink * (centre[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    index = positions.astype(np.int64) - 1
    if edges == "clamp":
        index = np.clip(index, 0, in_len - 1)
    else:
        index = np.mod(index, 2 * in_len)
        index = np.where(index < in_len, index, 2 * in_len - 1 - index)
    used = np.any(weights != 0, axis=0)
    return weights[:, used], index[:, used]


@lru_cache(maxsize=128)
def _bands(
    in_len: int, out_len: int, scale: float, edges: Edges, method: str, size: int = _BLOCK
) -> tuple[list[tuple[int, int, F64]], bool]:
    """The banded matrix as dense blocks ``(first input, one past the last, (rows, inputs))``, of ``size`` rows.

    What is left past the last multiple of ``_BLOCK`` is a block by itself, whatever their size: its sums come in another order.

    The flag tells whether float32 sums of 8-bit pixels are exact: every weight is a multiple of 2⁻¹⁴, so that products and
    sums fit the 24-bit mantissa (scales 2, 4 and their inverses).
    """
    weights, index = resize_weights(in_len, out_len, scale, edges, method)
    blocks = []
    whole = out_len // _BLOCK * _BLOCK
    for start, stop in itertools.pairwise([*range(0, whole, size), *sorted({whole, out_len})]):
        w, i = weights[start:stop], index[start:stop]
        first, last = int(i.min()), int(i.max()) + 1
        block = np.zeros((len(w), last - first))
        np.add.at(block, (np.arange(len(w))[:, None], i - first), w)
        blocks.append((first, last, block))
    exact = bool(np.all(weights * 2**14 % 1 == 0) and np.abs(weights).sum(axis=1).max() < 2)
    return blocks, exact


class _Strip(NamedTuple):
    """Blocks that are made of one strip of the input.

    Attributes:
        start: the first output of all.
        stop: one past the last.
        first: the input that the strip begins with.
        last: one past its last.
        blocks: each one's own ends, and its matrix ``(outputs, inputs)``.
        across: of the first one, transposed.
    """

    start: int
    stop: int
    first: int
    last: int
    blocks: Sequence[tuple[int, int, Tensor]]
    across: Tensor


@constant
def _strips(
    in_len: int,
    out_len: int,
    scale: float,
    edges: Edges,
    method: str,
    size: int,
    dtype: torch.dtype,
    device: str,
) -> Sequence[_Strip]:
    """The strips of an axis, whose blocks make ``size`` outputs each; a strip makes at least ``_BLOCK``."""
    import torch

    bands = _bands(in_len, out_len, scale, edges, method, size)[0]
    blocks = [(a, b, torch.as_tensor(block, dtype=dtype, device=device)) for a, b, block in bands]
    count = max(1, _BLOCK // size)
    made, start = [], 0
    for index in range(0, len(blocks), count):
        some = blocks[index : index + count]
        stop = start + sum(len(block) for _, _, block in some)
        first, last = min(first for first, _, _ in some), max(last for _, last, _ in some)
        made.append(_Strip(start, stop, first, last, some, some[0][2].T))
        start = stop
    return made


def _pass(
    x: Tensor, axis: int, out_len: int, scale: float, edges: Edges, method: str, part: _Part | None = None
) -> Tensor:
    """Resize axis −2 (rows) or −1 (columns) of ``(B, H, W)``; uint8 in, uint8 out. ``part``: ``x`` has what some blocks need."""
    import torch

    from srbench.threads import share_out

    given = part or _Part(slice(None), x.shape[axis], 0)
    exact = _bands(given.in_len, out_len, scale, edges, method)[1]
    floats = x.is_floating_point()
    dtype = x.dtype if floats else (torch.float32 if exact else torch.float64)
    near = x.device.type == "cpu" and not x.requires_grad
    # Where nothing is converted or rounded, products go where they belong.
    direct = floats and x.is_contiguous()
    fine = near and exact and not floats and axis == -2 and scale < 1 and part is None
    size = _FINE if fine else _BLOCK
    strips = _strips(given.in_len, out_len, scale, edges, method, size, dtype, str(x.device))[given.blocks]
    out_len = strips[-1].stop - strips[0].start
    if x.requires_grad:
        pieces = ((block, x.narrow(axis, a, b - a)) for strip in strips for a, b, block in strip.blocks)
        return torch.cat([w @ s if axis == -2 else s @ w.T for w, s in pieces], dim=axis)
    batch, height, width = x.shape
    out = x.new_empty((batch, out_len + given.spare, width) if axis == -2 else (batch, height, out_len))
    out[:, out.shape[1] - given.spare :] = 0
    begin = (given.start, strips[0].start)
    make = partial(_floats, x, axis, out, begin) if direct else partial(_rounded, x, axis, out, begin, dtype)
    if near:
        share_out(make, strips, x.numel())
    else:
        make(strips)
    return out


def _floats(x: Tensor, axis: int, out: Tensor, begin: tuple[int, int], strips: Sequence[_Strip]) -> list[None]:
    """The blocks of some strips of contiguous floats; the input and the output begin at ``begin`` of their axes."""
    import torch

    origin, base = begin
    if axis == -2:
        for start, stop, first, last, [(_, _, block)], _ in strips:
            source, target = x.narrow(1, first - origin, last - first), out.narrow(1, start - base, stop - start)
            torch.bmm(block.expand(len(x), -1, -1), source, out=target)
        return [None] * len(strips)
    rows, made, whole = x.flatten(0, 1), out.flatten(0, 1), torch.contiguous_format
    for start, stop, first, last, _, across in strips:  # thousands: each view costs as much as its arithmetic
        # A copy, as in a view the product would add in another order.
        source = rows.narrow(1, first - origin, last - first).clone(memory_format=whole)
        torch.mm(source, across, out=made.narrow(1, start - base, stop - start))
    return [None] * len(strips)


def _rounded(
    x: Tensor, axis: int, out: Tensor, begin: tuple[int, int], dtype: torch.dtype, strips: Sequence[_Strip]
) -> list[None]:
    """The blocks of some strips of anything else, as ``_floats``; 8-bit samples are rounded and clipped."""
    import torch

    from srbench.fast_cpu import cut_to_u8

    line = x.numel() // x.shape[axis]
    origin, base = begin
    # One strip and one product for all blocks: fresh ones cost more in page faults than the arithmetic.
    wide = x.new_empty(line * max(strip.last - strip.first for strip in strips), dtype=dtype)
    values = x.new_empty(line * _BLOCK, dtype=dtype)
    for start, stop, first, last, blocks, across in strips:
        source, target = x.narrow(axis, first - origin, last - first), out.narrow(axis, start - base, stop - start)
        source = wide[: source.numel()].view(source.shape).copy_(source)
        value = values[: target.numel()].view(target.shape)
        if len(blocks) > 1:
            _multiply_finely(blocks, source, first, value)
        elif axis == -2:
            block = blocks[0][2]
            torch.bmm(block.expand(len(source), -1, -1), source, out=value)
        else:
            torch.mm(source.flatten(0, 1), across, out=value.flatten(0, 1))
        if x.is_floating_point():
            target.copy_(value)
        else:
            cut_to_u8(value.clamp_(0, 255).add_(0.5), target)
    return [None] * len(strips)


def _multiply_finely(blocks: Sequence[tuple[int, int, Tensor]], source: Tensor, first: int, out: Tensor) -> None:
    """The products of small blocks, one below the other, with rows of a strip that begins at ``first``."""
    rows, made, start = source.numpy(), out.numpy(), 0
    for above, below, block in blocks:
        np.matmul(block.numpy(), rows[:, above - first : below - first], out=made[:, start : start + len(block)])
        start += len(block)


def imresize(
    image: Any,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    edges: Edges = "mirror",
    method: str = "bicubic",
) -> Any:
    """Resize an image as MATLAB's ``imresize``.

    Args:
        image: NumPy ``(H, W)`` or ``(H, W, C)``, or Tensor ``(N, C, H, W)``; uint8 or float. A float image keeps its type
            and range; nothing is rounded or clipped.
        scale: output size is ceil(scale · input size).
        size: ``(height, width)`` instead of a scale; each axis then has its own scale.
        edges: ``mirror`` (MATLAB's) or ``clamp``.
        method: bicubic, bilinear, lanczos, area or nearest.

    Returns:
        The same kind of array.

    Raises:
        InputError: neither or both of scale and size, a value that is not positive, or another shape or type.

    >>> imresize(np.full((4, 4), 7, np.uint8), 0.5)
    array([[7, 7],
           [7, 7]], dtype=uint8)
    """
    array = isinstance(image, np.ndarray)
    _check_image(image, array)
    height, width = image.shape[:2] if array else image.shape[-2:]
    new, scales = _size_and_scales((height, width), scale, size)
    rows = _Axis(-2, new[0], scales[0], edges, method)
    columns = _Axis(-1, new[1], scales[1], edges, method)
    rows_first = scales[0] <= scales[1]  # MATLAB takes the axis that shrinks most first, rows where both are alike
    if array:
        return _resize_array(image, rows, columns, rows_first)
    planes = image.reshape(-1, height, width)
    for axis in (rows, columns) if rows_first else (columns, rows):
        planes = _pass(planes, *axis)
    return planes.reshape(*image.shape[:2], *new)


def resize_rows(
    source: Callable[[slice], Tensor],
    height: int,
    scale: int,
    rows: slice,
    edges: Edges = "mirror",
    method: str = "bicubic",
) -> Tensor:
    """Some rows of ``imresize(image, scale)``, the same bits, without the others.

    Args:
        source: gives rows of the image: a slice → float ``(N, C, rows, W)``, in memory as the whole image is.
        height: of the image.
        scale: a whole number of at least 1.
        rows: of the result, from ``start`` up to ``stop``, neither of them beyond it.
        edges: ``mirror`` or ``clamp``.
        method: as :func:`imresize` takes it.

    Returns:
        ``(N, C, stop − start, scale · W)``.
    """
    high = height * scale
    blocks, last = _bands(height, high, float(scale), edges, method)[0], -(-rows.stop // _BLOCK)
    # Products of few rows take another path through the library, whose sums come in another order.
    last = min(max(last, _LEAST_BLOCKS), len(blocks))
    first = max(0, min(rows.start // _BLOCK, last - _LEAST_BLOCKS))
    above = min(block[0] for block in blocks[first:last]) // _BLOCK * _BLOCK
    below = max(block[1] for block in blocks[first:last])
    below += (height - below) % _BLOCK
    image = source(slice(above, below))
    width, made = image.shape[-1], min(last * _BLOCK, high) - first * _BLOCK
    spare = 0 if last == len(blocks) else _spare(made, high, len(image) * image.shape[1])
    part = _Part(slice(first, last), height, above, spare)
    planes = _pass(image.reshape(-1, below - above, width), -2, high, float(scale), edges, method, part)
    planes = _pass(planes, -1, width * scale, float(scale), edges, method)
    planes = planes.reshape(*image.shape[:2], -1, width * scale)
    return planes[..., rows.start - first * _BLOCK : rows.stop - first * _BLOCK, :]


def _spare(lines: int, height: int, planes: int) -> int:
    """Lines to be left below those of a band: each plane then begins where it does in the whole image, seen from a multiple
    of 16, and the last lines of all, which other kernels multiply, are not the band's.

    Args:
        lines: of the band in each plane.
        height: of the whole.
        planes: how many.
    """
    spare = (height - lines) % _BLOCK
    return spare if spare >= planes * height % _BLOCK else spare + _BLOCK


class _Part(NamedTuple):
    """Which blocks of an axis are made, the axis' whole length, where on it the input begins, and lines of zeros after them."""

    blocks: slice
    in_len: int
    start: int
    spare: int = 0


class _Axis(NamedTuple):
    """What happens to one axis; the arguments of ``_pass``."""

    axis: int
    out_len: int
    scale: float
    edges: Edges
    method: str


def _check_image(image: Any, array: bool) -> None:
    wanted = (2, 3) if array else (4,)
    if image.ndim not in wanted or 0 in image.shape:
        shape = "(H, W) or (H, W, C)" if array else "(N, C, H, W)"
        raise InputError(f"imresize: expected an image {shape}, not {tuple(image.shape)}")
    if array and image.dtype not in (np.uint8, np.float32, np.float64):
        raise InputError(f"imresize: expected uint8, float32 or float64, not {image.dtype}")


def _size_and_scales(
    old: tuple[int, int], scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Height and width after, and the scale of each axis, of an image of ``old`` height and width."""
    if (scale is None) == (size is None):
        raise InputError("imresize needs a scale or a size, not both")
    if scale is not None and not (scale > 0 and math.isfinite(scale)):
        raise InputError(f"imresize: the scale must be positive, not {scale}")
    if size is None:
        assert scale is not None
        size, scales = (math.ceil(old[0] * scale - 1e-9), math.ceil(old[1] * scale - 1e-9)), (scale, scale)
    else:
        scales = (size[0] / old[0], size[1] / old[1])
    if min(size) < 1:
        raise InputError(f"imresize: the output size must be positive, not {size}")
    return size, scales


def _resize_array(image: npt.NDArray[Any], rows: _Axis, columns: _Axis, rows_first: bool) -> npt.NDArray[Any]:
    """Resize an interleaved image ``(H, W)`` or ``(H, W, C)``."""
    import torch

    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 1
    x = torch.from_numpy(np.ascontiguousarray(image))
    if rows_first:  # rows of an interleaved image need no copy into planes; only the smaller result is transposed
        x = _pass(x.reshape(1, height, width * channels), *rows)
        planes = x.reshape(rows.out_len, width, channels).permute(2, 0, 1).contiguous()
        planes = _pass(planes, *columns)
    else:
        planes = x.reshape(height, width, channels).permute(2, 0, 1).contiguous()
        planes = _pass(_pass(planes, *columns), *rows)
    out: npt.NDArray[Any] = planes.permute(1, 2, 0).contiguous().numpy()
    return out if image.ndim == 3 else out[..., 0]
