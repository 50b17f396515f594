"""Whether two files contain the same image, whatever their encoding: sha256 of the decoded pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.datasets.entry import File
from srbench.datasets.hashes import remembered
from srbench.errors import InputError
from srbench.files import sha256
from srbench.images import read_image


def pixel_sha256(path: Path) -> str:
    """sha256 of an image's size and 8-bit samples; a gray image in three equal channels has the hash of the gray one.

    Raises:
        InputError: the file cannot be read as an image.
    """
    return sha256_of_array(read_image(path))


def sha256_of_array(image: npt.NDArray[np.uint8]) -> str:
    """The same of an array ``(H, W)`` or ``(H, W, 3)``, uint8."""
    plane = gray_plane(image)
    shown: npt.NDArray[Any] = image if plane is None else plane
    digest = hashlib.sha256("×".join(map(str, shown.shape)).encode())
    digest.update(np.ascontiguousarray(shown).data)
    return digest.hexdigest()


def gray_plane(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """The one channel ``(H, W)`` of an image without colours; None if there are colours."""
    if image.ndim == 2:
        return image
    first: npt.NDArray[np.uint8] = image[..., 0]
    return first if np.array_equal(first, image[..., 1]) and np.array_equal(first, image[..., 2]) else None


def pixels_of(paths: Iterable[Path]) -> dict[Path, str]:
    """``pixel_sha256`` of each file, remembered like its sha256; empty for a file that is no image."""
    return remembered(paths, "pixels", _or_nothing)


def _or_nothing(path: Path) -> str:
    try:
        return pixel_sha256(path)
    except InputError:
        return ""


def same_image(file: File, path: Path, got: str | None = None) -> bool:
    """Whether a file on disk is the catalog's, or the same image in another encoding.

    Args:
        file: what the catalog says.
        path: the file on disk.
        got: its sha256, if it is known already.
    """
    return (got or sha256(path)) == file.sha256 or bool(file.pixels and pixels_of([path])[path] == file.pixels)
