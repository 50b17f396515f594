"""Two folders of one name are two datasets: results are kept by name, so each needs its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from srbench.datasets.image_set import ImageSet
from srbench.results import Result, read_dataset


def distinct(sets: Iterable[ImageSet], root: Path | None = None) -> list[ImageSet]:
    """The sets with names that no other folder's results have.

    A folder keeps ``dir-<name>`` while no other folder has it, in ``sets`` or in the results; then its parent's name goes
    before it, and at last a hash of its path behind. Folders with the same images are one dataset wherever they are, and a
    folder whose images have changed keeps its name.

    Args:
        sets: datasets of one evaluation; those of the catalog keep their names.
        root: the results folder; home's by default.
    """
    found: list[ImageSet] = []
    for images in sets:
        if images.entry is not None:
            found.append(images)
            continue
        taken = {other.name: other for other in found}
        for name in _names(images):
            other = taken.get(name)
            if other is not None and other.place != images.place and other.digest != images.digest:
                continue
            if not any(_is_another(record, images) for record in read_dataset(name, root)):
                found.append(replace(images, name=name))
                break
        else:
            found.append(images)
    return found


def _names(images: ImageSet) -> Iterator[str]:
    yield images.name
    own = images.name.removeprefix("dir-")
    parents = [parent.name for parent in images.folder.absolute().parents if parent.name]
    above = next((name for name in parents if name not in own), "")
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in above)
    longer = f"dir-{safe}_{own}" if safe else images.name
    yield longer
    yield f"{longer}-{images.place}"


def _is_another(record: Result, images: ImageSet) -> bool:
    """Whether a record is of other images in another folder; a record without its folder's hash counts as another's."""
    return record.data_sha256 != images.digest and record.provenance.get("folder") != images.place


def outdated(images: ImageSet, root: Path | None = None) -> str:
    """What to say of records that are of images which a folder of the user's no longer has; empty without any."""
    if images.entry is not None:
        return ""
    old = sum(record.data_sha256 != images.digest for record in read_dataset(images.name, root) if record.ok)
    said = f"{images.name}: {old} stored results are of images that have changed since; measure those again, too"
    return said if old else ""
