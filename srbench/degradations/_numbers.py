"""Random numbers and filters that give the same bytes on every machine.

Random bits come from counter-based generators whose streams are part of NumPy's compatibility policy (NEP 19), or from an
integer recurrence; filters multiply 8-bit samples by whole numbers, so that sums are exact in any order.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_UNIT = 2.0**30  # of a filter's weights: 255 · 2³⁰ · (sum of |weights|) stays far below 2⁵³


class Draws:
    """A stream of random numbers that hangs on a few texts and numbers alone.

    Args:
        facts: such as the degradation's name and version, the seed, the image's name.
    """

    def __init__(self, *facts: object) -> None:
        digest = hashlib.sha256("\n".join(map(str, facts)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number from ``low`` to ``high``."""
        return low + (high - low) * float(self.uniforms(1)[0])

    def uniforms(self, count: int) -> F64:
        """``(count,)`` numbers in (0, 1): middles of 2⁵² equal parts."""
        raw = np.atleast_1d(self._bits.random_raw(count)) >> np.uint64(12)
        found: F64 = (raw.astype(np.float64) + 0.5) / 2.0**52
        return found

    def choice(self, weights: dict[str, float]) -> str:
        """One of the keys, with probabilities in proportion to the values."""
        at = self.uniform(0.0, sum(weights.values()))
        for key, weight in weights.items():
            at -= weight
            if at < 0:
                return key
        return key

    def normals(self, shape: tuple[int, ...]) -> F64:
        """Standard normal numbers, multiples of 2⁻²⁰: the last bits of a machine's logarithm do not show."""
        from scipy.special import ndtri

        exact = ndtri(self.uniforms(int(np.prod(shape)))).reshape(shape)
        rounded: F64 = np.round(exact * 2.0**20) / 2.0**20
        return rounded


def matlab_randn(count: int) -> F64:
    """What ``randn('seed', 0); randn(count, 1)`` gives in MATLAB: 1.1650, 0.6268, 0.0751, 0.3516, −0.6965 …

    The generator of MATLAB 4: Lehmer's recurrence with 16807 modulo 2³¹ − 1, and of each pair of the polar method (Marsaglia
    and Bray, SIAM Review 6(3), 1964) the first number alone.
    """
    found: list[F64] = []
    have, state = 0, 1_144_108_930  # rand('seed', 0) begins with 470211272 / (2³¹ − 1) = 0.2190
    while have < count:
        uniforms, state = _lehmer(max(1024, int(2.7 * (count - have))) // 2 * 2, state)
        pairs = 2.0 * uniforms.reshape(-1, 2) - 1.0
        radius = pairs[:, 0] ** 2 + pairs[:, 1] ** 2
        inside = (radius < 1.0) & (radius > 0.0)
        first, radius = pairs[inside, 0], radius[inside]
        found.append(first * np.sqrt(-2.0 * np.log(radius) / radius))
        have += len(first)
    return np.concatenate(found)[:count]


def _lehmer(count: int, state: int) -> tuple[F64, int]:
    """``count`` numbers in (0, 1) and the state after them; a block at a time, with the powers of 16807."""
    modulus, block = 2**31 - 1, 4096
    powers = np.empty(block, np.uint64)
    power = 1
    for i in range(block):
        power = power * 16807 % modulus
        powers[i] = power
    parts = []
    left = count
    while left > 0:
        part = powers[: min(left, block)] * np.uint64(state) % np.uint64(modulus)  # both below 2³¹
        state = int(part[-1])
        parts.append(part)
        left -= len(part)
    return np.concatenate(parts) / float(modulus), state


def round_u8(image: npt.NDArray[Any]) -> U8:
    """A float image on the 0–255 scale → uint8; clipped, halves rounded up."""
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


def each_channel(image: U8, work: Any) -> U8:
    """``work`` on every channel of ``(H, W, C)`` or ``(H, W)``."""
    if image.ndim == 2:
        return work(image)
    return np.stack([work(image[..., c]) for c in range(image.shape[2])], axis=-1)


def filter_u8(image: U8, kernel: F64, origin: int = 0) -> U8:
    """Correlate an 8-bit image with a kernel, edges replicated, as MATLAB's ``imfilter(…, 'replicate')`` on uint8.

    Args:
        image: uint8 ``(H, W, C)`` or ``(H, W)``.
        kernel: float64 ``(k, k)``; taken in multiples of 2⁻³⁰, so that the sums are exact.
        origin: shift of the kernel's middle, which for an even k is its element k/2 counted from 0.
    """
    from scipy.ndimage import correlate

    whole = np.round(kernel * _UNIT)

    def work(plane: U8) -> U8:
        sums = correlate(plane.astype(np.float64), whole, mode="nearest", origin=origin)
        return np.clip(np.floor((sums + _UNIT / 2) / _UNIT), 0, 255).astype(np.uint8)

    return each_channel(image, work)


def gaussian(size: int, sigma_x: float, sigma_y: float | None = None, angle: float = 0.0) -> F64:
    """A Gaussian kernel that sums to 1, as MATLAB's ``fspecial('gaussian', size, sigma)`` where both sigmas are one.

    Args:
        size: side.
        sigma_x: standard deviation in pixels along the first axis after the turn.
        sigma_y: along the second; ``sigma_x`` by default.
        angle: turn in radians.
    """
    x, y = turned(size, angle)
    return normalised(np.exp(-0.5 * ((x / sigma_x) ** 2 + (y / (sigma_y or sigma_x)) ** 2)))


def turned(size: int, angle: float) -> tuple[F64, F64]:
    """Coordinates ``(size, size)`` of a kernel's elements from its middle, turned by ``angle`` radians."""
    at = np.arange(size) - (size - 1) / 2
    rows, columns = at[:, None], at[None, :]
    return columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)


def normalised(kernel: F64) -> F64:
    """A kernel without its negligible elements, summing to 1."""
    kernel = np.where(np.abs(kernel) < np.finfo(np.float64).eps * np.abs(kernel).max(), 0.0, kernel)
    return kernel / kernel.sum()
