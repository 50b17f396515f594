"""LR/HR pairs of a protocol, one image at a time, so that memory does not grow with the number of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.datasets.image_set import ImageSet
from srbench.errors import InputError
from srbench.images import as_rgb, crop_to_multiple, imresize, luma, read_image
from srbench.protocol import Protocol


@dataclass(frozen=True)
class Sample:
    """One image of a test set as a protocol sees it.

    Attributes:
        name: what the image is called in results.
        hr: uint8 ``(H, W, 3)``; ``(H, W)`` uint8 luma if the protocol only has Y.
        lr: uint8 ``(H/scale, W/scale, 3)``; float64 ``(H/scale, W/scale)`` on the 0–255 scale if LR is not rounded.
    """

    name: str
    hr: npt.NDArray[np.uint8]
    lr: npt.NDArray[Any]


def prepare_hr(image: npt.NDArray[np.uint8], scale: int, protocol: Protocol) -> npt.NDArray[np.uint8]:
    """HR as the protocol measures it: gray policy, crop to the modulus, and 8-bit luma if the protocol only has Y.

    Args:
        image: uint8 ``(H, W)`` or ``(H, W, 3)``.
        scale: the upscaling factor.
        protocol: gives the gray policy, the modulus and the border.

    Raises:
        InputError: nothing would be left once the border is cropped.
    """
    if protocol.y_only and image.ndim == 3:
        image = np.floor(luma(image) + 0.5).astype(np.uint8)
    elif protocol.gray == "rgb" or not protocol.y_only:
        image = as_rgb(image)
    hr: npt.NDArray[np.uint8] = np.ascontiguousarray(crop_to_multiple(image, protocol.modulus_for(scale)))
    border = protocol.shave(scale)
    if min(hr.shape[:2]) <= 2 * border:
        raise InputError(
            f"the HR image is {hr.shape[1]}×{hr.shape[0]} after the crop to multiples of {protocol.modulus_for(scale)}; "
            f"nothing is left inside the border of {border} that {protocol.id} leaves out at x{scale}"
        )
    return hr


def degrade(hr: npt.NDArray[np.uint8], scale: int, protocol: Protocol) -> npt.NDArray[Any]:
    """LR of a prepared HR image."""
    if protocol.lr == "float":
        hr = hr.astype(np.float64)
    lr: npt.NDArray[Any] = imresize(hr, 1 / scale, edges=protocol.edges)
    return lr


def load_sample(images: ImageSet, path: Path, scale: int, protocol: Protocol, lr_files: bool = False) -> Sample:
    """Read and degrade one image; ``lr_files`` takes LR from the set's own folder instead.

    Raises:
        InputError: naming the file: unreadable, too small, or an LR file that does not fit its HR.
    """
    try:
        hr = prepare_hr(images.read(path), scale, protocol)
    except InputError as error:
        text = str(error)
        raise error if str(path) in text else InputError(f"{path}: {text}") from None
    if not lr_files:
        return Sample(images.title(path), hr, degrade(hr, scale, protocol))
    if protocol.y_only:
        raise InputError(f"protocol {protocol.id} measures unrounded LR: LR files are 8-bit, leave out --lr-files")
    lr_path = images.lr_path(path, scale)
    lr = as_rgb(read_image(lr_path))
    expected = (hr.shape[0] // scale, hr.shape[1] // scale)
    if lr.shape[:2] != expected:
        raise InputError(
            f"{lr_path}: LR is {lr.shape[1]}×{lr.shape[0]}; its HR {path.name} at x{scale} needs {expected[1]}×{expected[0]}"
        )
    return Sample(images.title(path), hr, lr)


def iterate(images: ImageSet, scale: int, protocol: Protocol, lr_files: bool = False) -> Iterator[Sample]:
    """The samples of a set in order, one in memory at a time."""
    for path in images.paths:
        yield load_sample(images, path, scale, protocol, lr_files)


def lr_difference(images: ImageSet, scale: int, protocol: Protocol) -> dict[str, int]:
    """Differing samples between the set's LR files and our own resize, per image; 0 where they are equal."""
    found = {}
    for path in images.paths:
        ours = load_sample(images, path, scale, protocol)
        theirs = load_sample(images, path, scale, protocol, lr_files=True)
        found[images.title(path)] = int(np.count_nonzero(ours.lr != theirs.lr))
    return found
