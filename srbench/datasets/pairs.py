"""LR/HR pairs of a protocol, one image at a time, so that memory does not grow with the number of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.datasets import names
from srbench.datasets.image_set import ImageSet
from srbench.datasets.pixels import gray_plane
from srbench.degradations import How, get_degradation
from srbench.errors import InputError
from srbench.images import as_rgb, crop_to_multiple, luma, read_image
from srbench.process import large_blocks_go_back
from srbench.protocol import Protocol


@dataclass(frozen=True)
class Sample:
    """One image of a test set as a protocol sees it.

    Attributes:
        name: what the image is called in results.
        hr: uint8 ``(H, W, 3)``; ``(H, W)`` uint8 if the protocol only has Y, or if it keeps gray files.
        lr: uint8 ``(H/scale, W/scale, 3)`` or ``(H/scale, W/scale)``, as ``hr``; float64 on the 0–255 scale if LR is not
            rounded.
    """

    name: str
    hr: npt.NDArray[np.uint8]
    lr: npt.NDArray[Any]

    @property
    def pixels(self) -> int:
        """Of HR."""
        return self.hr.shape[0] * self.hr.shape[1]


def prepare_hr(
    image: npt.NDArray[np.uint8], scale: int, protocol: Protocol, dataset: str = ""
) -> npt.NDArray[np.uint8]:
    """HR as the protocol measures it: gray policy, crop to the modulus, and 8-bit luma if the protocol only has Y.

    Args:
        image: uint8 ``(H, W)`` or ``(H, W, 3)``.
        scale: the upscaling factor.
        protocol: gives the gray policy, the modulus and the border.
        dataset: the set's name; a protocol may crop one set otherwise.

    Raises:
        InputError: nothing would be left once the border is cropped.
    """
    if protocol.y_only and image.ndim == 3:
        image = np.floor(luma(image) + 0.5).astype(np.uint8)
    elif protocol.gray == "rgb":
        image = as_rgb(image)
    modulus = protocol.modulus_for(scale, dataset)
    hr: npt.NDArray[np.uint8] = np.ascontiguousarray(crop_to_multiple(image, modulus))
    border = protocol.shave(scale)
    if min(hr.shape[:2]) <= 2 * border:
        raise InputError(
            f"the HR image is {hr.shape[1]}×{hr.shape[0]} after the crop to multiples of {modulus}; "
            f"nothing is left inside the border of {border} that {protocol.id} leaves out at x{scale}"
        )
    return hr


def degrade(hr: npt.NDArray[np.uint8], scale: int, protocol: Protocol, image: str = "") -> npt.NDArray[Any]:
    """LR of a prepared HR image.

    Args:
        hr: what ``prepare_hr`` made.
        scale: the upscaling factor.
        protocol: gives the degradation and its rounding.
        image: the image's name, which random degradations draw by.

    Raises:
        UnavailableError: ``unsupported_scale``, or LR of this degradation comes as files.
    """
    rounded = protocol.lr_rounding if protocol.lr == "uint8" else "no"
    how = How(scale, protocol.edges, rounded, protocol.seed, names.fold(image))
    return get_degradation(protocol.degradation)(hr, how)


def load_sample(images: ImageSet, path: Path, scale: int, protocol: Protocol, lr_files: bool = False) -> Sample:
    """Read and degrade one image; ``lr_files`` takes LR from the set's own folder instead.

    Raises:
        InputError: naming the file: unreadable, too small, or an LR file that does not fit its HR.
    """
    try:
        hr = prepare_hr(images.read(path), scale, protocol, images.name)
    except InputError as error:
        text = str(error)
        raise error if str(path) in text else InputError(f"{path}: {text}") from None
    title = images.title(path)
    if not (lr_files or protocol.lr_is_files):
        with large_blocks_go_back(hr.shape[0] * hr.shape[1]):
            return Sample(title, hr, degrade(hr, scale, protocol, title))
    if protocol.lr != "uint8":
        raise InputError(f"protocol {protocol.id} measures unrounded LR: LR files are 8-bit, leave out --lr-files")
    lr_path = images.lr_path(path, scale)
    lr = read_image(lr_path)
    if hr.ndim == 3:
        lr = as_rgb(lr)
    elif lr.ndim == 3:
        lr = _one_channel(lr, lr_path)
    expected = (hr.shape[0] // scale, hr.shape[1] // scale)
    if lr.shape[:2] != expected:
        raise InputError(
            f"{lr_path}: LR is {lr.shape[1]}×{lr.shape[0]}; its HR {path.name} at x{scale} needs {expected[1]}×{expected[0]}"
        )
    return Sample(title, hr, lr)


def _one_channel(lr: npt.NDArray[np.uint8], path: Path) -> npt.NDArray[np.uint8]:
    plane = gray_plane(lr)
    if plane is None:
        raise InputError(f"{path}: LR has colours and its HR is gray; expected a gray image, or three equal channels")
    return plane


def lr_difference(images: ImageSet, scale: int, protocol: Protocol) -> dict[str, int]:
    """Differing samples between the set's LR files and our own resize, per image; 0 where they are equal."""
    found = {}
    for path in images.paths:
        ours = load_sample(images, path, scale, protocol)
        theirs = load_sample(images, path, scale, protocol, lr_files=True)
        found[images.title(path)] = int(np.count_nonzero(ours.lr != theirs.lr))
    return found
