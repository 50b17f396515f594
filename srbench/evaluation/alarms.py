"""Signs that a number is wrong, looked for while it is measured: what is found becomes the record's ``notes``.

Looked at is the middle of every image, at most 128×128 pixels: a shift, an order of channels or a range is the same
everywhere, and an evaluation must not pay for it. Only a network that does not beat bicubic there is compared with it on
whole images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from srbench.datasets.names import scales_in
from srbench.images import imresize
from srbench.results import MetricScores

F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

WINDOW = 128
MARGIN = 4  # LR pixels around the window that bicubic reads
LEAST_GAIN_DB = 1.0
_CLOSE_DB = 0.3  # gain over bicubic in the window below which whole images are compared
_SAME_DB = 0.02  # bicubic made by another program, or rounded otherwise
_SATURATED = 0.5  # share of samples at 0 or 255, beyond HR's
_COARSE = 0.9  # share of colours that 8-bit YCbCr leaves as they are; a quarter in any image

_LUMA = np.array((65.481, 128.553, 24.966)) / 255.0
_SHIFTS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
_ORDERS = tuple(order for order in permutations(range(3)) if order != (0, 1, 2))


@dataclass(frozen=True)
class Middle:
    """The middle of one image and what bicubic makes of it; the same for everything that is measured on the image.

    Attributes:
        top: first row of the window, in HR pixels.
        left: first column of the window.
        height: of the window.
        width: of the window.
        hr: uint8 ``(height, width)`` or ``(height, width, 3)``.
        hr_luma: float64 ``(height, width)``.
        bicubic_db: PSNR of bicubic there; None without LR.
        saturated: share of HR's samples at 0 or 255.
    """

    top: int
    left: int
    height: int
    width: int
    hr: U8
    hr_luma: F64
    bicubic_db: float | None
    saturated: float


def middle(hr: U8, lr: npt.NDArray[Any] | None, scale: int) -> Middle:
    """The window of an image.

    Args:
        hr: uint8 ``(H, W, 3)`` or ``(H, W)``.
        lr: of the same image on the 0–255 scale, uint8 or float, or None.
        scale: the upscaling factor.
    """
    (top, height), (left, width) = (inside(side, scale) for side in hr.shape[:2])
    window = np.ascontiguousarray(hr[top : top + height, left : left + width])
    y = _luma(window)
    found = None
    if lr is not None:
        found = decibels(_mse(_luma(_enlarged(lr, (top, left, height, width), scale)), y))
    return Middle(top, left, height, width, window, y, found, _saturated(window))


def inside(side: int, scale: int) -> tuple[int, int]:
    """Where a window begins on an axis, and its length: whole LR pixels."""
    length = min(side, WINDOW) // scale * scale
    return (side - length) // 2 // scale * scale, length


def _enlarged(lr: npt.NDArray[Any], window: tuple[int, int, int, int], scale: int) -> F64:
    top, left, height, width = (side // scale for side in window)
    above, before = max(0, top - MARGIN), max(0, left - MARGIN)
    part = lr[above : top + height + MARGIN, before : left + width + MARGIN].astype(np.float64)
    large: F64 = imresize(part, float(scale))
    first, second = (top - above) * scale, (left - before) * scale
    return np.clip(large[first : first + window[2], second : second + window[3]], 0, 255)


class Watch:
    """Looks at SR images one by one and says at the end what was found.

    Args:
        files: SR comes from files that another program wrote.
    """

    def __init__(self, files: bool = False) -> None:
        self.files = files
        self._over_bicubic: list[float] = []
        self._shifts: list[dict[tuple[int, int], float]] = []
        self._orders: list[dict[tuple[int, ...], float]] = []
        self._saturated = 0
        self._dark = 0
        self._coarse = 0
        self._seen = 0

    def look(self, sr: Tensor, there: Middle) -> None:
        """Look at one image.

        Args:
            sr: ``(1, C, H, W)`` on the 0–255 scale, uint8 or float.
            there: of the same image.
        """
        part = sr[0, :, there.top : there.top + there.height, there.left : there.left + there.width]
        window = part.permute(1, 2, 0).cpu().numpy()
        exact = window.astype(np.float64)
        window, exact = (window[..., 0], exact[..., 0]) if window.shape[2] == 1 else (window, exact)
        self._seen += 1
        y = _luma(exact)
        error = _mse(y, there.hr_luma)
        if error == 0:
            return
        if there.bicubic_db is not None:
            self._over_bicubic.append(decibels(error) - there.bicubic_db)
        if min(y.shape) > 2:
            self._shifts.append(_shift_gains(y, there.hr_luma))
        if exact.ndim == 3 and there.hr.ndim == 3:
            self._orders.append(_order_gains(exact, there.hr))
        self._saturated += _saturated(window) - there.saturated > _SATURATED
        self._dark += bool(window.max() <= 1 < there.hr.max())
        if self.files and window.ndim == 3 and window.dtype == np.uint8:
            share, hr_share = _coarse(window), _coarse(there.hr)
            self._coarse += share is not None and share > _COARSE > (hr_share or 0.0)

    @property
    def doubtful(self) -> bool:
        """Whether bicubic may be as good, so that whole images must be compared."""
        return bool(self._over_bicubic) and float(np.mean(self._over_bicubic)) < _CLOSE_DB

    def notes(self) -> list[str]:
        """What was found in the windows, most serious first."""
        found = [self._range(), self._shift(), self._order()]
        if self._seen and self._coarse > self._seen / 2:
            found.append(
                "SR went through 8-bit YCbCr before it was stored, which moves PSNR by some hundredths of a dB: a program that "
                "rounds luma is measured as `luma = rounded` measures"
            )
        return [text for text in found if text]

    def _range(self) -> str:
        if self._seen and self._dark > self._seen / 2:
            return "SR has no value above 1: images in [0, 1] were stored as 8 bits without × 255"
        if self._seen and self._saturated > self._seen / 2:
            return "most SR values are 0 or 255: the network's output is of another range (0–255 instead of 0–1?)"
        return ""

    def _shift(self) -> str:
        shift, gain = _best(self._shifts)
        if gain <= LEAST_GAIN_DB:
            return ""
        words = {(-1, 0): "up", (1, 0): "down", (0, -1): "left", (0, 1): "right"}
        where = " and ".join(words[step] for step in ((shift[0], 0), (0, shift[1])) if step != (0, 0))
        return f"SR is shifted: moved by one pixel {where} it is {gain:.2f} dB better"

    def _order(self) -> str:
        order, gain = _best(self._orders)
        if gain <= LEAST_GAIN_DB:
            return ""
        return f"SR's channels are in another order: taken as {''.join('RGB'[i] for i in order)} it is {gain:.2f} dB better"


def _best(gains: Sequence[Mapping[Any, float]]) -> tuple[Any, float]:
    """The change that gains most in the mean over the images that can tell, and how much; 0 dB without any."""
    usable = [gain for gain in gains if gain]
    if not usable:
        return None, 0.0
    means = {key: float(np.mean([gain[key] for gain in usable])) for key in usable[0]}
    best = max(means, key=lambda key: means[key])
    return best, means[best]


def _shift_gains(sr: F64, hr: F64) -> dict[tuple[int, int], float]:
    """DB that SR gains by a shift of one pixel, each over the pixels that all shifts share."""
    height, width = hr.shape
    inner = np.ascontiguousarray(hr[1:-1, 1:-1])

    def error(y: int, x: int) -> float:
        return _mse(sr[1 - y : height - 1 - y, 1 - x : width - 1 - x], inner)

    plain = decibels(error(0, 0))
    return {shift: decibels(error(*shift)) - plain for shift in _SHIFTS}


def _order_gains(sr: F64, hr: U8) -> dict[tuple[int, ...], float]:
    """DB that SR gains by another order of its channels."""
    made, true = sr.reshape(-1, 3), hr.reshape(-1, 3).astype(np.float64)
    squares = np.diag(made.T @ made)[:, None] + np.diag(true.T @ true)[None, :]
    errors = (squares - 2 * made.T @ true) / len(made)  # of each channel of SR against each of HR
    plain = decibels(float(np.trace(errors)) / 3)
    return {order: decibels(sum(float(errors[order[c], c]) for c in range(3)) / 3) - plain for order in _ORDERS}


def _luma(window: npt.NDArray[Any]) -> F64:
    exact: F64 = window.astype(np.float64)
    return exact if exact.ndim == 2 else exact @ _LUMA + 16.0


def _mse(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    difference = (one - other).ravel()
    return float(difference @ difference) / max(1, difference.size)


def decibels(error: float) -> float:
    """PSNR of a mean squared error on the 0–255 scale; at most 78 dB, so that means stay finite."""
    return 10 * math.log10(255**2 / max(error, 1e-3))


def _saturated(window: npt.NDArray[Any]) -> float:
    return float(np.mean((window <= 0) | (window >= 255)))


def _coarse(window: npt.NDArray[Any]) -> float | None:
    """Share of colours that stay what they are when they are rounded as studio YCbCr; None for gray."""
    if window.ndim == 2 or window.dtype != np.uint8:
        return None
    import torch

    from srbench.images import rgb, ycbcr

    x = torch.from_numpy(window).permute(2, 0, 1)[None].to(torch.float64) / 255.0
    through = rgb(torch.floor(ycbcr(x) * 255.0 + 0.5) / 255.0)
    back = torch.floor(through * 255.0 + 0.5).clamp(0, 255)[0].permute(1, 2, 0).numpy()
    return float(np.mean(np.all(back == window, axis=2)))


def below_bicubic(psnr: float, bicubic: float) -> str:
    """The note where bicubic is better by more than rounding; empty where it is not.

    Args:
        psnr: mean of what is measured, in dB.
        bicubic: mean of bicubic from the same LR images.
    """
    if not psnr < bicubic - _SAME_DB:
        return ""
    much = "; so much is usually a wrong scale, range or order of channels" if bicubic - psnr > 2 else ""
    return f"below bicubic: {psnr:.2f} dB, where bicubic has {bicubic:.2f} dB from the same LR images{much}"


def identical(images: Sequence[str], scores: MetricScores) -> str:
    """The note about images equal to their HR, whose PSNR makes a mean infinite; empty without any."""
    same = [name for name, value in zip(images, scores.values, strict=True) if value == math.inf]
    rest = [value for value in scores.values if value is not None and value != math.inf]
    if not same:
        return ""
    which = ", ".join(same[:3]) + (" …" if len(same) > 3 else "")
    if not rest:
        who = "the one image is" if len(same) == 1 else f"all {len(same)} images are"
        return f"{who} identical to HR: SR and HR may be the same files"
    mean = math.fsum(rest) / len(rest)
    return (
        f"{len(same)} of {len(images)} images {'is' if len(same) == 1 else 'are'} identical to HR ({which}); "
        f"the mean over the others is {mean:.{scores.digits}f} {scores.unit}"
    )


def trained_on_it(shown: Mapping[str, str], count: int) -> str:
    """The note about a network that has seen test images.

    Args:
        shown: test image → the training image that shows the same.
        count: of the test images.
    """
    some = ", ".join(f"{image} (as {seen})" for image, seen in list(shown.items())[:3])
    more = " …" if len(shown) > 3 else ""
    return f"trained on {len(shown)} of the {count} images that it is measured on: {some}{more}"


def untold_data(untold: Sequence[str]) -> str:
    """The note about a network whose training images are not known here.

    Args:
        untold: what its card says of them.
    """
    return f"it cannot be known whether it was trained on test images: {', '.join(untold)}"


def other_scale(texts: Mapping[str, str], scale: int) -> list[str]:
    """Notes about names that state one scale, and another than the one measured.

    Args:
        texts: what a name is of → the name, such as ``{"the file of weights": "EDSR_x2.pth"}``.
        scale: the upscaling factor.
    """
    found = []
    for what, name in texts.items():
        stated = scales_in(name)
        if len(stated) == 1 and scale not in stated:
            found.append(f"{what} is called {name}, which says x{stated.pop()}; it is measured at x{scale}")
    return found
