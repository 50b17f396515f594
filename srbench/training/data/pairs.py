"""LR images that come with the HR images: which file is the LR of which, and whether the two fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.datasets.image_set import ImageSet
from srbench.errors import InputError, UnavailableError
from srbench.images import as_rgb, imresize, luma
from srbench.photos import read_rounded

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

_LEAST_ALIKE = 0.7  # correlation of LR with reduced HR; JPEG, noise and blur leave more
_SHIFT = 0.4  # LR pixels; less cannot be told from what noise and blur do to LR
_GAIN = 1.26  # by which moving LR back must make the squared error smaller: 1 dB
_LEVELS = 25.5  # of the mean, a tenth of the range: no compression, noise or blur moves it so far
_COLOURFUL = 8.0  # levels between the channels of a pixel, on average
_LARGER = 12  # HR may be as much larger than LR says, less one: it was cropped to a multiple for LR
_SCALES = (2, 3, 4, 8)  # that LR images are commonly made at
_SEEN = 256  # LR pixels a side, in the middle, that are compared


def find_lr(sets: Sequence[ImageSet], data_lr: str, scale: int) -> dict[Path, Path]:
    """The LR file of each HR file.

    Args:
        sets: the training sets.
        data_lr: ``beside`` for the LR images that belong to each set, ``none`` to make LR, a folder of LR images, or "" to
            make LR of sets that have none.
        scale: the upscaling factor.

    Returns:
        an empty mapping where LR is made.

    Raises:
        InputError: a folder of one's own has LR images and nothing says what to do with them; no LR image of some HR image.
    """
    if data_lr == "none":
        return {}
    if not data_lr:
        _refuse_unsaid(sets, scale)
        return {}
    if data_lr != "beside":
        if len(sets) > 1:
            raise InputError(
                f"data_lr = {data_lr!r} is one folder for {len(sets)} sets; data_lr = 'beside' takes each set's own"
            )
        if not Path(data_lr).expanduser().is_dir():
            raise InputError(f"data_lr = {data_lr!r} is no folder; expected one of LR images, 'beside' or 'none'")
        sets = [replace(sets[0], lr_root=Path(data_lr).expanduser())]
    try:
        return {path: images.lr_path(path, scale) for images in sets for path in images.paths}
    except UnavailableError as error:
        raise InputError(f"data_lr = {data_lr!r}: {str(error).partition(';')[0]}") from None


def _refuse_unsaid(sets: Sequence[ImageSet], scale: int) -> None:
    """LR images beside one's own HR images are not ignored; those of the catalog's sets are what a protocol makes."""
    for images in sets:
        if images.entry is None and (folder := _beside(images, scale)) is not None:
            raise InputError(
                f"{images.name} has LR images at x{scale} in {folder}: data_lr = 'beside' trains on them, "
                "data_lr = 'none' makes LR from HR"
            )


def unused_lr(sets: Sequence[ImageSet], scale: int) -> list[str]:
    """What is said of LR images beside one's own HR images that are of other scales: LR is made, and they are not looked at."""
    found = []
    for images in sets:
        others = [other for other in _SCALES if other != scale and images.entry is None and images.has_lr(other)]
        if others:
            scales = " and ".join(f"x{other}" for other in others)
            found.append(f"{images.name} has LR images at {scales} alone: those at x{scale} are made from HR")
    return found


def _beside(images: ImageSet, scale: int) -> Path | None:
    try:
        return images.lr_folder(scale)
    except InputError as error:
        raise InputError(f"{error}; as data_lr, or data_lr = 'none' makes LR from HR") from None


def read_rgb(path: Path) -> U8:
    """An image that is trained on, ``(H, W, 3)``: gray has its channel three times, 16 bits a channel are rounded to 8.

    Raises:
        InputError: it cannot be read as such.
    """
    return as_rgb(read_rounded(path))


def read_pair(hr_path: Path, lr_path: Path, scale: int) -> tuple[U8, U8]:
    """HR and LR of a pair, RGB, HR cropped to what LR shows.

    Raises:
        InputError: one cannot be read; they have sizes of another scale, show different things, or one is shifted.
    """
    hr, lr = read_rgb(hr_path), read_rgb(lr_path)
    (height, width), (small_height, small_width) = hr.shape[:2], lr.shape[:2]
    over = (height - small_height * scale, width - small_width * scale)
    if min(over) < 0 or max(over) >= max(_LARGER, scale):
        raise InputError(
            f"{lr_path}: LR is {small_width}×{small_height} and its HR {hr_path.name} {width}×{height}, which is "
            f"x{width / small_width:.3g}; x{scale} needs {width // scale}×{height // scale}"
        )
    hr = np.ascontiguousarray(hr[: small_height * scale, : small_width * scale])
    if trouble := misfit(hr, lr, scale):
        raise InputError(f"{lr_path} {trouble} {hr_path.name}")
    return hr, lr


def misfit(hr: U8, lr: U8, scale: int) -> str:
    """What is wrong with a pair, as words between the names of LR and HR; empty where they fit.

    Args:
        hr: uint8 ``(scale·h, scale·w, 3)``.
        lr: uint8 ``(h, w, 3)``.
        scale: the upscaling factor.
    """
    from scipy.ndimage import shift as moved
    from skimage.registration import phase_cross_correlation

    (top, height), (left, width) = (((side - min(side, _SEEN)) // 2, min(side, _SEEN)) for side in lr.shape[:2])
    part = np.s_[top : top + height, left : left + width]
    reduced, small = imresize(hr, 1 / scale)[part].astype(np.float64), lr[part].astype(np.float64)
    made: F64 = luma(reduced)
    given: F64 = luma(small)
    if min(given.shape) < 8 or made.std() < 1 or given.std() < 1:  # nothing to tell by
        return ""
    by, *_ = phase_cross_correlation(made, given, upsample_factor=10)
    inner = np.s_[3:-3, 3:-3] if min(given.shape) > 16 else np.s_[:, :]
    back: F64 = moved(given, by, order=3, mode="nearest")
    before, after = (float(np.mean((one[inner] - made[inner]) ** 2)) for one in (given, back))
    if max(abs(by)) >= _SHIFT and max(abs(by)) <= min(given.shape) / 4 and before > _GAIN * max(after, 1e-9):
        rows, columns = (round(-float(one), 1) + 0.0 for one in by)
        return f"is shifted by {rows:+.1f} rows and {columns:+.1f} columns of LR pixels against"
    alike = float(np.corrcoef(made.ravel(), given.ravel())[0, 1])
    if alike < _LEAST_ALIKE:
        return f"does not show the same (correlation {alike:.2f}) as"
    return _other_colours(reduced, small)


def _other_colours(made: F64, given: F64) -> str:
    """What is wrong with the levels or the channels of LR ``(h, w, 3)`` that shows the same as ``made``; empty for nothing."""
    brighter = float(given.mean() - made.mean())
    if abs(brighter) >= _LEVELS:
        return f"is {abs(brighter):.0f} levels {'brighter' if brighter > 0 else 'darker'} than"
    colourful = float(np.ptp(made, axis=-1).mean())
    if colourful >= _COLOURFUL and np.ptp(given, axis=-1).max() <= 2:
        return "is gray, unlike"
    # Without their means, so that a tint of the whole is not taken for a swap.
    want, have = (image - image.mean(axis=(0, 1)) for image in (made, given))
    as_is, swapped = (float(np.mean((order - want) ** 2)) for order in (have, have[..., ::-1]))
    return "has red and blue swapped against" if as_is > _GAIN * max(swapped, 1.0) else ""


def lr_facts(lr: Mapping[Path, Path]) -> list[tuple[str, str]]:
    """Names and sha256 of LR files, in the order of their HR files, for a key of a cache or a card."""
    from srbench.datasets.hashes import sha256_of

    hashes = sha256_of(lr.values())
    return [(path.name, hashes[path]) for path in lr.values()]
