"""What the metrics ask of their images, and how they walk over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from srbench.errors import InputError, UnavailableError
from srbench.threads import share_out

PEAK = 255.0
_BLOCK = 96  # rows of an image that are converted at once, at least


@dataclass(frozen=True)
class Rows:
    """A large image whose channels are computed row by row as they are asked for: luma of 8K would take 265 MB.

    Attributes:
        image: ``(N, C, H, W)``.
        convert: makes of some rows of it what a metric sees, each pixel by itself.
    """

    image: Tensor
    convert: Callable[[Tensor], Tensor]
    ndim = 4

    @cached_property
    def shape(self) -> torch.Size:
        """Of what a metric sees."""
        first = self.rows(slice(0, 1))
        return torch.Size((*first.shape[:2], *self.image.shape[-2:]))

    @cached_property
    def dtype(self) -> torch.dtype:
        """Of what a metric sees."""
        return self.rows(slice(0, 1)).dtype

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.image.device

    def is_floating_point(self) -> bool:
        """Whether a metric sees a float type."""
        return self.dtype.is_floating_point

    def rows(self, wanted: slice) -> Tensor:
        """Some rows, all channels."""
        return self.convert(self.image[..., wanted, :])


Image = Tensor | Rows


@dataclass(frozen=True)
class Sums:
    """A metric that is made of sums over strips of two images, such as can be had of ``Rows``.

    Attributes:
        rows: that a strip begins after the last one.
        overlap: rows that it reaches into the next.
        begin: ``begin(sr, hr)`` → ``sums(x, y)``, the numbers of a strip: one list each, of one length. One thread calls it.
        end: ``end(sums, sr)`` → float64 ``(N,)`` of the numbers of all strips from top to bottom.
    """

    rows: int
    overlap: int
    begin: Callable[[Image, Image], Callable[[Tensor, Tensor], list[float]]]
    end: Callable[[Sequence[list[float]], Image], Tensor]


def sums_of(metrics: Sequence[Sums], sr: Rows, hr: Rows) -> list[list[list[float]]]:
    """The numbers of all strips for each of several metrics, for which the rows of both images are made once.

    Args:
        metrics: what is summed up.
        sr: ``(N, C, H, W)``.
        hr: like ``sr``.
    """
    height, most = sr.shape[-2], max(metric.overlap for metric in metrics)
    step = math.lcm(*(metric.rows for metric in metrics))
    tops = range(0, height, -(-_BLOCK // step) * step)

    def blocks(some: Sequence[int]) -> list[list[list[list[float]]]]:
        makers = [metric.begin(sr, hr) for metric in metrics]
        found = []
        for top in some:
            seen = slice(top, min(top + tops.step + most, height))
            x, y = sr.rows(seen), hr.rows(seen)
            parts = [
                [rows for rows in strips(seen.stop - top, metric.rows, metric.overlap) if rows.start < tops.step]
                for metric in metrics
            ]
            found.append(
                [
                    [make(x[..., rows, :], y[..., rows, :]) for rows in of_metric]
                    for make, of_metric in zip(makers, parts, strict=True)
                ]
            )
        return found

    made = share_out(blocks, tops, sr.shape.numel())
    return [[numbers for block in made for numbers in block[index]] for index in range(len(metrics))]


def check(metric: str, sr: Image, hr: Image, channels: tuple[int, ...] = (), minimum: int = 1) -> None:
    """Raise InputError unless both are ``(N, C, H, W)`` of one shape and device, uint8 or float, and large enough.

    Args:
        metric: the name that messages begin with.
        sr: the super-resolved images.
        hr: the images they are compared with.
        channels: the values of C that are allowed; empty for any.
        minimum: the smallest height and width.
    """
    check_image(metric, "SR", sr)
    check_image(metric, "HR", hr)
    check_alike(metric, sr, hr.shape, hr.device)
    check_size(metric, sr.shape, channels, minimum)


def check_image(metric: str, which: str, image: Image) -> None:
    """Raise InputError unless an image is ``(N, C, H, W)``, uint8 or float.

    Args:
        metric: the name that messages begin with.
        which: ``"SR"`` or ``"HR"``.
        image: the images.
    """
    if image.ndim != 4 or 0 in image.shape:
        raise InputError(f"{metric}: {which} has the shape {tuple(image.shape)}; expected (N, C, H, W), none of them 0")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise InputError(f"{metric}: {which} is {image.dtype}; expected uint8 or a float type on the 0–255 scale")


def check_alike(metric: str, sr: Image, shape: torch.Size, device: torch.device) -> None:
    """Raise InputError unless SR has the shape of the HR that a reference was made of, and lies where that does.

    Args:
        metric: the name that messages begin with.
        sr: the super-resolved images.
        shape: of HR.
        device: of HR.
    """
    if sr.shape != shape:
        raise InputError(f"{metric}: SR is {_size(sr.shape)} and HR is {_size(shape)} (N×C×H×W); expected the same")
    if sr.device != device:
        raise InputError(f"{metric}: SR lies on {sr.device} and HR on {device}; expected one device")


def check_size(metric: str, shape: torch.Size, channels: tuple[int, ...] = (), minimum: int = 1) -> None:
    """Raise InputError unless images have a number of channels and a size that a metric can work with.

    Args:
        metric: the name that messages begin with.
        shape: of the images.
        channels: the values of C that are allowed; empty for any.
        minimum: the smallest height and width.
    """
    if channels and shape[1] not in channels:
        raise InputError(f"{metric}: images have {shape[1]} channels; expected {' or '.join(map(str, channels))}")
    height, width = shape[-2:]
    if min(height, width) < minimum:
        raise InputError(f"{metric}: a {width}×{height} image is too small; expected at least {minimum}×{minimum}")


def strips(height: int, rows: int, overlap: int = 0) -> Iterator[slice]:
    """Row ranges that cover ``height``: each starts ``rows`` after the last and reaches ``overlap`` rows into the next."""
    for top in range(0, height - overlap, rows):
        yield slice(top, min(top + rows + overlap, height))


def numbers(metric: str, scores: Tensor) -> Tensor:
    """The scores; UnavailableError if one is not a number, as happens when an image holds NaN or infinity."""
    if bool((scores.isnan() | scores.isneginf()).any()):
        raise _not_finite(metric)
    return scores


def check_finite(metric: str, *images: Tensor) -> None:
    """The same UnavailableError in advance, for functions that would hide such a value or stumble over it."""
    for image in images:
        if image.is_floating_point() and not bool(image.isfinite().all()):
            raise _not_finite(metric)


def _not_finite(metric: str) -> UnavailableError:
    return UnavailableError("failed", f"{metric}: the SR or HR image holds NaN or infinity")


def _size(shape: torch.Size) -> str:
    return "×".join(map(str, shape))
