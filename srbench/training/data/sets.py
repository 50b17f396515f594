"""Training sets by name: the catalog's, folders, joined with ``+``, and the field's short names for some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from srbench.datasets.local import ImageSet, find_datasets

SHORT = {"div2k": "div2k-train", "df2k": "div2k-train+flickr2k"}
"""DF2K is DIV2K's training images and Flickr2K together (ESRGAN, Wang et al. 2018, arXiv:1809.00219)."""


def find_training_sets(spec: str, data_root: Path | str | None = None) -> list[ImageSet]:
    """The sets of a specification such as ``t91+bsds200``, ``df2k`` or a folder; raises as ``find_datasets``.

    Images that the catalog knows to show what a test set shows are left out.
    """
    if not Path(spec).expanduser().is_dir():
        spec = "+".join(SHORT.get(part.strip().lower(), part) for part in spec.split("+"))
    return [without_leaks(images) for images in find_datasets(spec, data_root)]


def without_leaks(images: ImageSet) -> ImageSet:
    """A set of the catalog without its ``leaks``; a folder of the user's own as it is."""
    known = images.entry.leaks if images.entry else {}
    # By title: a copy whose files have other names is known by its pixels.
    kept = tuple(path for path in images.paths if images.title(path) not in known)
    return replace(images, paths=kept) if known else images
