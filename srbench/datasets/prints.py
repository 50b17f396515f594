"""Whether two images show the same thing, whatever was done to one of them: scaled, cropped, flipped, turned, encoded anew.

A print is small and holds no image: the perceptual hash of the whole (``imagehash.phash``), and the same hash of the windows
around its blobs, each with its place and size. Windows are found again in a crop and at another scale; two images show the same
if many windows agree in their hashes and, by one shift, scale and orientation, in their places.

Blobs are extrema of differences of Gaussians over place and scale (Lowe, IJCV 2004, doi:10.1023/B:VISI.0000029664.99615.94).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

VERSION = 1
"""Of what a print is made of; prints of another version are not compared."""

_STRIP = 256  # rows
_SIDE = 256  # √area that images are scaled to
_LEVELS = 6  # scales an octave
_SIGMA = 2.0  # of an octave's first level, in its pixels
_LEAST = 0.015  # contrast of a blob, in standard deviations of the image
_EDGE = 12.1  # (r + 1)² / r for r = 10, the ratio of curvatures from which it is an edge
_PER_OCTAVE = (72, 36, 24, 16)  # blobs, the strongest; a crop has its own where the whole has its finest
_REACH = 6.0  # half a window's side, in sigmas
_WINDOW = 32  # samples a side, as imagehash takes them

_ALIKE = 14  # differing bits of 64 of two windows that may show the same
_APART = 2.5  # sigmas between two windows that count as two
_SAME_SCALE = 0.24  # of the logarithm, about a quarter
_WHOLE_ALIKE = 6  # differing bits of 64 of two whole images
_SAME_SHAPE = 0.06  # of the logarithm of the sides' ratio
ENOUGH = 4
"""Windows that must agree in hash and place."""
ENOUGH_WEIGHT = 1.8
"""That they must have together."""


@dataclass(frozen=True)
class Print:
    """What is kept of an image to know it again.

    Attributes:
        size: height and width of the image.
        whole: 64 bits of the whole image.
        places: ``(n, 3)``: x, y and sigma of each window.
        hashes: ``(n,)``: 64 bits of each window.
    """

    size: tuple[int, int]
    whole: int
    places: F32
    hashes: U64

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width that places are given in."""
        return _scaled(*self.size)


@dataclass(frozen=True)
class Match:
    """How two images agree.

    Attributes:
        windows: that agree in hash and place; 0 where only the wholes were compared.
        weight: of the windows, of which one with equal hashes weighs 1.
        scale: how much larger the second one shows it.
        orientation: of the second one against the first, 0–7: bit 0 flips columns, bit 1 flips rows, bit 2 then swaps both.
    """

    windows: int
    weight: float = 0.0
    scale: float = 1.0
    orientation: int = 0


def make_print(image: U8) -> Print:
    """The print of an image, uint8 ``(H, W)`` or ``(H, W, 3)``."""
    import imagehash
    from PIL import Image

    gray = Image.new("L", image.shape[1::-1])
    for top in range(0, len(image), _STRIP):  # as a whole, Pillow would copy the image twice
        gray.paste(Image.fromarray(image[top : top + _STRIP]).convert("L"), (0, top))
    height, width = _scaled(gray.height, gray.width)
    places, hashes = _windows(np.asarray(gray.resize((width, height), Image.Resampling.LANCZOS), np.float32))
    whole = _packed(np.asarray(imagehash.phash(gray).hash).reshape(1, 64))[0]
    return Print((gray.height, gray.width), int(whole), places.astype(np.float16).astype(np.float32), hashes)


def _scaled(height: int, width: int) -> tuple[int, int]:
    share = _SIDE / (height * width) ** 0.5
    return max(8, round(height * share)), max(8, round(width * share))


def _windows(gray: F32) -> tuple[F32, U64]:
    """Places and hashes of the windows of an image ``(H, W)`` of any brightness and contrast."""
    gray = gray / max(1.0, float(gray.std()))  # an image of one colour has no windows
    places, hashes = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.uint64)]
    for octave, most in enumerate(_PER_OCTAVE):
        if min(gray.shape) < 2 * _REACH * _SIGMA:
            break
        levels = list(_blurred(gray, first=octave == 0))
        found = _blobs(np.stack(levels), most)
        windows = np.stack([_window(levels[int(level)], x, y, s) for x, y, s, level in found]) if len(found) else None
        if windows is not None:
            places.append((found[:, :3] * 2**octave).astype(np.float32))
            hashes.append(window_hashes(windows))
        gray = levels[_LEVELS][::2, ::2]
    return np.concatenate(places), np.concatenate(hashes)


def _sigma(level: int) -> float:
    return float(_SIGMA * 2 ** (level / _LEVELS))


def _blurred(gray: F32, first: bool) -> Iterator[F32]:
    """The levels of an octave: one octave, and two more on which extrema of the last are compared."""
    from scipy.ndimage import gaussian_filter

    had = 0.0 if first else _SIGMA
    for level in range(_LEVELS + 3):
        sigma = _sigma(level)
        more = max(0.0, sigma**2 - had**2) ** 0.5
        gray = gaussian_filter(gray, more, mode="nearest", truncate=3.0) if more else gray
        had = sigma
        yield gray


def _blobs(levels: F32, most: int) -> npt.NDArray[np.float64]:
    """``(n, 4)``: x, y, sigma and level of the ``most`` strongest blobs whose window lies inside the image."""
    from scipy.ndimage import maximum_filter

    between = np.diff(levels, axis=0)
    strength = np.abs(between)
    peaks = (strength == maximum_filter(strength, size=3, mode="nearest")) & (strength > _LEAST)
    peaks[[0, -1]] = False
    peaks[:, [0, -1]] = peaks[:, :, [0, -1]] = False
    level, y, x = np.nonzero(peaks)
    round_ones = ~_along_an_edge(between, level, y, x)
    level, y, x = level[round_ones], y[round_ones], x[round_ones]
    sigma = np.array([_sigma(one) for one in range(len(levels))])[level]
    height, width = levels.shape[1:]
    reach = _REACH * sigma - 0.5
    inside = (x >= reach) & (y >= reach) & (x + reach <= width - 1) & (y + reach <= height - 1)
    order = np.argsort(-strength[level, y, x] * inside, kind="stable")[:most]
    order = order[inside[order]]
    return np.stack([x[order], y[order], sigma[order], level[order]], axis=1).astype(np.float64)


def _along_an_edge(between: F32, level: I64, y: I64, x: I64) -> npt.NDArray[np.bool_]:
    """Which extrema could as well lie elsewhere on an edge: they curve in one direction alone (Lowe, section 4.1)."""
    here = between[level, y, x]
    yy = between[level, y + 1, x] + between[level, y - 1, x] - 2 * here
    xx = between[level, y, x + 1] + between[level, y, x - 1] - 2 * here
    corners = between[level, y + 1, x + 1] + between[level, y - 1, x - 1]
    xy = (corners - between[level, y + 1, x - 1] - between[level, y - 1, x + 1]) / 4
    determinant = xx * yy - xy**2
    found: npt.NDArray[np.bool_] = (determinant <= 0) | ((xx + yy) ** 2 >= _EDGE * determinant)
    return found


def _window(level: F32, x: float, y: float, sigma: float) -> F32:
    from scipy.ndimage import map_coordinates

    steps = ((np.arange(_WINDOW) + 0.5) / _WINDOW * 2 - 1) * _REACH * sigma
    window: F32 = map_coordinates(level, np.meshgrid(y + steps, x + steps, indexing="ij"), order=1, mode="nearest")
    return window


def window_hashes(windows: npt.NDArray[np.float32]) -> U64:
    """``imagehash.phash`` of each of ``(n, 32, 32)`` windows at once, as 64 bits, row by row from the highest."""
    from scipy.fft import dctn

    low = dctn(windows.astype(np.float64), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    return _packed(low > np.median(low, axis=1, keepdims=True))


def _packed(bits: npt.NDArray[np.bool_]) -> U64:
    return np.packbits(bits, axis=1).view(">u8").reshape(-1).astype(np.uint64)


def _bits(hashes: U64) -> npt.NDArray[np.bool_]:
    """``(n, 8, 8)`` bits of hashes."""
    return np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1).reshape(-1, 8, 8).astype(bool)


class Index:
    """Prints that others are compared with, prepared once.

    Args:
        prints: in the order that :meth:`matches` numbers them by.
    """

    def __init__(self, prints: Sequence[Print]) -> None:
        self.prints = tuple(prints)
        self._owner = np.repeat(np.arange(len(self.prints)), [len(one.hashes) for one in self.prints])
        self._signs = _signs(np.concatenate([np.zeros(0, np.uint64), *(one.hashes for one in self.prints)]), 0)
        self._wholes = _signs(np.array([one.whole for one in self.prints], np.uint64), 0)

    def matches(self, one: Print) -> dict[int, Match]:
        """Which of the prints show what ``one`` shows, and how it is shown there."""
        found: dict[int, Match] = {}
        for orientation in range(8):
            for number in self._whole_alike(one, orientation):
                other = self.prints[number].size
                large = (other[0] * other[1] / (one.size[0] * one.size[1])) ** 0.5
                found.setdefault(number, Match(0, 0.0, large, orientation))
            for number, match in self._windows_alike(one, orientation):
                if number not in found or found[number].windows < match.windows:
                    found[number] = match
        return found

    def _whole_alike(self, one: Print, orientation: int) -> Iterator[int]:
        differing = _differing(_signs(np.array([one.whole], np.uint64), orientation), self._wholes)[0]
        shape = one.shape[::-1] if orientation & 4 else one.shape
        for number in np.nonzero(differing <= _WHOLE_ALIKE)[0]:
            other = self.prints[number].shape
            if abs(np.log(shape[0] / shape[1] * other[1] / other[0])) < _SAME_SHAPE:
                yield int(number)

    def _windows_alike(self, one: Print, orientation: int) -> Iterator[tuple[int, Match]]:
        differing = _differing(_signs(one.hashes, orientation), self._signs)
        mine, theirs = np.nonzero(differing <= _ALIKE)
        weight = 1 - differing[mine, theirs] / (_ALIKE + 1)
        counts = np.bincount(self._owner[theirs], minlength=len(self.prints))
        for number in np.nonzero(counts >= ENOUGH)[0]:
            chosen = self._owner[theirs] == number
            first = int(np.searchsorted(self._owner, number))
            there = self.prints[number].places[theirs[chosen] - first]
            windows, weighed, scale = _agreeing(_turned(one, orientation)[mine[chosen]], there, weight[chosen])
            if windows >= ENOUGH and weighed >= ENOUGH_WEIGHT:
                large = scale * _enlargement(one) / _enlargement(self.prints[number])
                yield int(number), Match(windows, round(weighed, 1), large, orientation)


def _enlargement(one: Print) -> float:
    return float((one.shape[0] * one.shape[1] / (one.size[0] * one.size[1])) ** 0.5)


def _signs(hashes: U64, orientation: int) -> F32:
    """``(n, 64)`` of ±1: hashes of windows as they would be turned; a flip negates what is odd in its direction."""
    bits = _bits(hashes)
    odd = np.arange(8) % 2 == 1
    if orientation & 1:
        bits = bits ^ odd[None, None, :]
    if orientation & 2:
        bits = bits ^ odd[None, :, None]
    if orientation & 4:
        bits = bits.transpose(0, 2, 1)
    return (2 * bits.reshape(-1, 64).astype(np.float32) - 1).astype(np.float32)


def _differing(some: F32, others: F32) -> F32:
    return np.asarray((64 - some @ others.T) / 2, np.float32)


def _turned(one: Print, orientation: int) -> F32:
    """Places of an image's windows after it was flipped and turned."""
    (height, width), (x, y, sigma) = one.shape, one.places.T
    x = width - 1 - x if orientation & 1 else x
    y = height - 1 - y if orientation & 2 else y
    return np.stack([y, x, sigma] if orientation & 4 else [x, y, sigma], axis=1)


def _spread(places: F32) -> float:
    """How far apart windows lie, in pixels."""
    return float(np.sqrt(places[:, :2].var(axis=0).sum()))


def _places(windows: F32) -> int:
    """How many of the windows lie apart: in different cells of a grid as wide as they are."""
    cell = _APART * float(np.median(windows[:, 2]))
    return len(np.unique(np.floor(windows[:, :2] / cell), axis=0))


def _agreeing(mine: F32, theirs: F32, weight: F32) -> tuple[int, float, float]:
    """How many pairs of windows agree by one shift and scale, neighbours counted once; their weight; and that scale.

    Args:
        mine: ``(n, 3)``: x, y and sigma.
        theirs: of the window that each is paired with.
        weight: of each pair, 1 for equal hashes.
    """
    ratio = np.log(theirs[:, 2] / mine[:, 2])
    most, heaviest, scale = 0, 0.0, 1.0
    for one in range(len(mine)):
        by = float(np.exp(ratio[one]))
        apart = (mine[:, :2] - mine[one, :2]) * by
        off = np.hypot(*(theirs[one, :2] + apart - theirs[:, :2]).T)
        good = (np.abs(ratio - ratio[one]) < _SAME_SCALE) & (off < 1.2 * theirs[:, 2] + 0.1 * np.hypot(*apart.T))
        count = min(_places(mine[good]), _places(theirs[good]))
        heavy = count * float(weight[good].mean())
        if heavy > heaviest:
            most, heaviest, scale = count, heavy, _spread(theirs[good]) / max(_spread(mine[good]), 1e-6)
    return most, heaviest, scale
