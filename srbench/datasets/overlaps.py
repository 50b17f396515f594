"""What images of one set show that images of another show as well: above all, training images that show a test set's.

Prints of the catalog's sets lie beside this module (``prints/<set>.safetensors``, written by ``srbench data prints``), so that a
test set need not be here to be known again. Those of other images are made when they are needed and kept in the user's cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from srbench.datasets import prints
from srbench.datasets.catalog import CATALOG
from srbench.datasets.hashes import cache_root, digest_of, sha256_of
from srbench.datasets.image_set import ImageSet
from srbench.datasets.local import data_roots, find_dataset, locate
from srbench.datasets.prints import Index, Match, Print, make_print
from srbench.errors import InputError, SrbenchError
from srbench.files import write_bytes
from srbench.photos import read_rounded
from srbench.process import large_blocks_go_back

_FEW = 50  # images whose prints are made anew each time
_FOUND: dict[tuple[tuple[tuple[str, str], ...], tuple[str, ...], str], tuple[Overlap, ...]] = {}
_MEMORY: dict[str, Print] = {}  # sha256 of a file → its print, in this process


@dataclass(frozen=True)
class Known:
    """An image of a set, known by its print.

    Attributes:
        name: ``<set>/<image>``.
        file: the file's name.
        sha256: of the file.
        print: of the image.
    """

    name: str
    file: str
    sha256: str
    print: Print


@dataclass(frozen=True)
class Overlap:
    """Two images that show the same.

    Attributes:
        image: ``<set>/<image>`` of the first.
        shows: ``<set>/<image>`` of the other, which is a test image where there is one.
        match: how they agree.
    """

    image: str
    shows: str
    match: Match

    def describe(self) -> str:
        """One line of it."""
        large = f"{self.match.scale:.2f} times as large" if abs(self.match.scale - 1) > 0.02 else "as large"
        turned = " and turned or flipped" if self.match.orientation else ""
        how = f"{self.match.windows} windows agree" if self.match.windows else "the whole agrees"
        return f"{self.image} shows what {self.shows} shows, there {large}{turned} ({how})"


def known(images: ImageSet, anew: bool = False) -> list[Known]:
    """The images of a set with their prints, from the package, the cache or the images themselves.

    An image that cannot be read has no print and is left out: who uses it will say so.

    Args:
        images: the set.
        anew: make every print from its image.
    """
    hashes = sha256_of(images.paths)
    had = {} if anew else {one.sha256: one.print for one in (*_all_shipped(), *cached(images.digest))}
    lacking = {path: value for path, value in hashes.items() if value not in had and value not in _MEMORY}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "prints") as threads:
        for value, made in zip(lacking.values(), threads.map(_print_of, lacking), strict=True):
            if made is not None:
                _MEMORY[value] = made
    found = [
        Known(f"{images.name}/{images.title(path)}", path.name, value, had.get(value) or _MEMORY[value])
        for path, value in hashes.items()
        if value in had or value in _MEMORY
    ]
    if len(lacking) > _FEW and not anew:
        with suppress(OSError):
            write_bytes(_cache(images.digest), packed(found))
    return found


def _print_of(path: Path) -> Print | None:
    try:
        image = read_rounded(path)
        with large_blocks_go_back(image.shape[0] * image.shape[1]):
            return make_print(image)
    except InputError:
        return None


def overlaps(images: Sequence[Known], others: Sequence[Known]) -> list[Overlap]:
    """Which images show what one of the others shows."""
    index = Index([other.print for other in others])
    return [
        Overlap(one.name, others[number].name, match)
        for one in images
        for number, match in sorted(index.matches(one.print).items())
    ]


def of_test_sets(data_root: Path | str | None = None) -> list[Known]:
    """Prints of the catalog's test and validation sets: those of the package, and those of sets that are here."""
    found: list[Known] = []
    for entry in CATALOG.values():
        if entry.split == "train":
            continue
        held = shipped(entry.name)
        if not held and locate(entry, data_roots(data_root)).complete:
            with suppress(SrbenchError):
                held = known(find_dataset(entry.name, data_root))
        found += held
    return found


def trained_images(name: str, digest: str, left_out: Iterable[str] = ()) -> list[Known] | None:
    """Prints of the images that a checkpoint was trained on, by what its card says; None where they are not known.

    Args:
        name: of the set.
        digest: of its files.
        left_out: ``<set>/<image>`` of those that were not trained on.
    """
    leaks = CATALOG[name].leaks if name in CATALOG else {}
    for held in (
        shipped(name),
        [one for one in shipped(name) if one.name.partition("/")[2] not in leaks],
        cached(digest),
    ):
        if held and digest_of({one.file: one.sha256 for one in held}) == digest:
            return [one for one in held if one.name not in set(left_out)]
    return None


def trained_on(data: Mapping[str, str], left_out: Sequence[str], images: ImageSet) -> tuple[Overlap, ...]:
    """What a checkpoint was trained on of what it is measured on.

    Args:
        data: name of each training set → digest of its files.
        left_out: ``<set>/<image>`` of what was not trained on.
        images: that it is measured on.
    """
    key = (tuple(sorted(data.items())), tuple(left_out), images.digest)
    if key not in _FOUND:  # the checkpoints of a zoo share their training sets
        trained = [one for name, digest in data.items() for one in trained_images(name, digest, left_out) or ()]
        _FOUND[key] = tuple(overlaps(trained, known(images))) if trained else ()
    return _FOUND[key]


# Files of prints


def packed(images: Sequence[Known]) -> bytes:
    """Prints as the bytes of a safetensors file."""
    from safetensors.numpy import save

    held = [one.print for one in images]
    arrays = {
        "size": np.array([one.size for one in held], np.uint32).reshape(-1, 2),
        "whole": np.array([one.whole for one in held], np.uint64),
        "count": np.array([len(one.hashes) for one in held], np.uint32),
        "places": np.concatenate([np.zeros((0, 3), np.float16), *(one.places.astype(np.float16) for one in held)]),
        "hashes": np.concatenate([np.zeros(0, np.uint64), *(one.hashes for one in held)]),
    }
    rows = [[one.name, one.file, one.sha256] for one in images]
    return save(arrays, {"version": str(prints.VERSION), "images": json.dumps(rows, ensure_ascii=False)})


def unpacked(path: Path) -> list[Known]:
    """The prints in a file; none where it is not there, of another version, or no such file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            if header.get("version") != str(prints.VERSION):
                return []
            arrays = {key: file.get_tensor(key) for key in ("size", "whole", "count", "places", "hashes")}
            rows: list[list[str]] = json.loads(header["images"])
        return [Known(name, at, value, one) for (name, at, value), one in zip(rows, _split(arrays), strict=True)]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return []


def _split(arrays: Mapping[str, npt.NDArray[Any]]) -> Iterator[Print]:
    ends = np.cumsum(arrays["count"])
    for number, end in enumerate(ends):
        own = slice(int(end - arrays["count"][number]), int(end))
        height, width = (int(side) for side in arrays["size"][number])
        places = arrays["places"][own].astype(np.float32)
        yield Print((height, width), int(arrays["whole"][number]), places, arrays["hashes"][own])


def shipped_file(name: str, folder: Path | None = None) -> Path:
    """Where the package keeps the prints of a set of the catalog."""
    return (folder or Path(__file__).parent / "prints") / f"{name}.safetensors"


@lru_cache(maxsize=64)
def _shipped(name: str) -> tuple[Known, ...]:
    return tuple(unpacked(shipped_file(name)))


def shipped(name: str) -> list[Known]:
    """The prints that the package has of a set; none where it has not."""
    return list(_shipped(name))


def _all_shipped() -> Iterator[Known]:
    for name in CATALOG:
        yield from _shipped(name)


def cached(digest: str) -> list[Known]:
    """The prints that this user's cache has of a set of files."""
    return unpacked(_cache(digest))


def _cache(digest: str) -> Path:
    return cache_root() / "prints" / f"{digest[:32]}.safetensors"
