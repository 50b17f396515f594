"""Inputs that int8 ranges are taken from: LR crops of training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from srbench.datasets.catalog import CATALOG
from srbench.datasets.local import find_dataset
from srbench.errors import InputError
from srbench.images import as_rgb, imresize, read_image, to_tensor

CROPS = 24
DEFAULT = "t91"


def calibration_images(
    dataset: str | Path, scale: int, size: tuple[int, int], data_root: str | None
) -> list[Tensor]:  # fmt: skip
    """LR crops ``(1, 3, h, w)`` in [0, 1], evenly chosen and always the same.

    Args:
        dataset: of training images: a name or a folder.
        scale: they are reduced by it.
        size: height and width of a crop; images that are smaller are mirrored.
        data_root: where sets of the catalog are looked for.

    Raises:
        UnknownNameError: neither a set nor a folder.
        UnavailableError: a set that is not here.
        InputError: a set that models are tested on.
    """
    entry = CATALOG.get(str(dataset).lower())
    if entry is not None and entry.split == "test":
        raise InputError(
            f"int8 is calibrated on training images, and {dataset} is for tests: give --calibrate {DEFAULT}"
        )
    paths = find_dataset(dataset, data_root).paths
    chosen = [paths[int(place)] for place in np.linspace(0, len(paths) - 1, min(CROPS, len(paths)))]
    return [_crop(imresize(to_tensor(as_rgb(read_image(path))), 1 / scale).clamp(0.0, 1.0), size) for path in chosen]


def _crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle; what an image lacks, its mirror images bring."""
    for axis, wanted in zip((2, 3), size, strict=True):
        have = x.shape[axis]
        if have < wanted:
            index = np.pad(np.arange(have), (0, wanted - have), mode="symmetric")
            x = x[:, :, index] if axis == 2 else x[:, :, :, index]
        else:
            x = x.narrow(axis, (have - wanted) // 2, wanted)
    return x.contiguous()
