"""SR images themselves, where reports show images beside scores: the same pixels that the evaluation measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srbench.datasets.local import find_dataset
from srbench.datasets.pairs import load_sample
from srbench.errors import UnknownNameError
from srbench.protocol import get_protocol
from srbench.subjects import load
from srbench.upscaler import upscale_array

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Upscaled:
    """One image of a set, upscaled.

    Attributes:
        image: its name.
        hr: uint8 ``(H, W, 3)`` as the protocol ``standard`` measures it.
        lr: uint8 ``(H/scale, W/scale, 3)``.
        sr: uint8 ``(H, W, 3)`` by the name that was asked for.
    """

    image: str
    hr: U8
    lr: U8
    sr: dict[str, U8]


def upscaled(
    names: Sequence[str],
    dataset: str,
    scale: int,
    *,
    images: Sequence[str] = (),
    device: str = "auto",
    data_root: Path | str | None = None,
) -> Iterator[Upscaled]:
    """Upscale images of a set by several checkpoints, an image at a time.

    Args:
        names: checkpoints or interpolators.
        dataset: name in the catalog, or a folder.
        scale: upscaling factor.
        images: names of the images; all of the set where there is none.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        data_root: folder with the datasets.

    Raises:
        UnknownNameError: an image, a checkpoint or a dataset that there is not, with the nearest name.
        InputError: a name that stands for several checkpoints at this scale.
        UnavailableError: a checkpoint without weights or of another scale.
    """
    found = find_dataset(dataset, data_root)
    paths = {path.stem: path for path in found}
    for image in images:
        if image not in paths:
            raise UnknownNameError("image", image, paths, f"the dataset {found.name}")
    networks = {name: load(name, scale, device=device) for name in names}
    protocol = get_protocol("standard")
    for image in images or list(paths):
        sample = load_sample(found, paths[image], scale, protocol)
        sr = {name: upscale_array(network, sample.lr) for name, network in networks.items()}
        yield Upscaled(image, sample.hr, sample.lr, sr)
