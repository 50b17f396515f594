"""What srbench makes of a folder, without reading an image: HR images, the LR images of each scale, what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srbench.datasets.image_set import ImageSet
from srbench.errors import SrbenchError

SCALES = (2, 3, 4, 8)


@dataclass(frozen=True)
class Look:
    """A folder as srbench sees it.

    Attributes:
        name: what its results are stored under.
        images: titles of its HR images.
        lr: scale → where its LR images are, or why that is not clear; scales without LR images are left out.
        remarks: what was left out.
    """

    name: str
    images: tuple[str, ...]
    lr: dict[int, str]
    remarks: tuple[str, ...]


def look(images: ImageSet, relative_to: Path | None = None) -> Look:
    """What srbench makes of a set.

    Args:
        images: the set.
        relative_to: the folder that paths are shown in.
    """
    lr = {scale: _lr(images, scale, relative_to) for scale in SCALES}
    return Look(
        images.name,
        tuple(images.title(path) for path in images.paths),
        {scale: where for scale, where in lr.items() if where},
        tuple(images.remarks()),
    )


def _lr(images: ImageSet, scale: int, relative_to: Path | None) -> str:
    try:
        if images.lr_folder(scale) is None:
            return ""
        found = [images.lr_path(path, scale) for path in images.paths]
    except SrbenchError as error:
        return str(error).replace(f"{relative_to}/", "") if relative_to else str(error)
    first = found[0]
    shown = first.relative_to(relative_to) if relative_to and first.is_relative_to(relative_to) else first
    return f"{shown} …" if len(found) > 1 else str(shown)
