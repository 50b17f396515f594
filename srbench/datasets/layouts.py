"""Where the LR images of a set are: the ways in which the field arranges them beside the HR images.

Folder names are compared without case and without ``_``, ``-`` and blanks: ``LRbicx4`` is also ``LR_bic_x4``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from srbench.datasets import names
from srbench.errors import InputError
from srbench.images import list_images

HR_FOLDER = re.compile(r"hr|gt|gtmod\d+|hrmod\d+|hrx\d|gtx\d|original|orig|groundtruth|highres|hrimages|gtimages")
"""Names (without separators, in lower case) of a folder that holds the HR images of the set that its parent is called by."""

LAYOUTS: tuple[tuple[str, str], ...] = (
    # below the set's folder (the parent of HR, GT, GTmod12, original …, or the folder of HR images itself)
    ("LR_bicubic/X{s}", "SwinIR's testsets, EDSR's benchmark"),
    ("LR/X{s}", "Urban100, B100 of several projects"),
    ("LRBI/X{s}", "RCAN"),
    ("LQ/X{s}", "KAIR"),
    ("LRbicx{s}", "BasicSR, mmagic"),
    ("LR_bicubic_X{s}", "ESRGAN's data preparation"),
    ("LR_x{s}", "IMDN, several projects"),
    ("LQ_x{s}", "KAIR"),
    ("x{s}", "SAN, HAN"),
    ("LR_bicubic", "one scale alone"),
    ("LR", "one scale alone"),
    ("LQ", "one scale alone"),
    # beside a folder NAME or NAME_HR
    ("{n}_LR_bicubic/X{s}", "DIV2K, Flickr2K"),
    ("{n}_LR_bicubic_X{s}", "DF2K of BasicSR"),
    ("{n}_LR/X{s}", "several projects"),
    ("{n}_LR_x{s}", "several projects"),
    ("{n}_LR", "DRealSR, one scale alone"),
    ("{n}_x{s}", "LapSRN"),
    # beside a folder HR that holds sets, or scales of sets
    ("LR/LRBI/{n}/x{s}", "RCAN"),
    ("LRBI/{n}/x{s}", "RCAN, SAN"),
    ("LR/{n}/x{s}", "several projects"),
    ("LR/{n}", "one scale alone"),
)
"""Pattern and where it is met; ``{s}`` is the scale, ``{n}`` the set's own name."""


@dataclass(frozen=True)
class Places:
    """What the patterns are filled in with.

    Attributes:
        roots: folders in which patterns without ``{n}`` begin.
        around: folders in which patterns with ``{n}`` begin.
        name: the set's own name, ``{n}``.
    """

    roots: tuple[Path, ...]
    around: tuple[Path, ...]
    name: str


def squeeze(name: str) -> str:
    """A folder's name in the form that patterns are compared in.

    >>> squeeze("LR_bicubic_X4")
    'lrbicubicx4'
    """
    return re.sub(r"[_\-\s]", "", names.fold(name))


def is_hr_folder(name: str) -> bool:
    """Whether a folder is called as folders of HR images are, so that the set has its parent's name."""
    return HR_FOLDER.fullmatch(squeeze(name)) is not None


def lr_folders(hr_folder: Path, scale: int) -> list[Path]:
    """The folders of LR images at this scale that belong to a folder of HR images, in the order of ``LAYOUTS``.

    Args:
        hr_folder: of the HR images.
        scale: the upscaling factor. A folder without a scale in its name is left out if its images have another scale.
    """
    places = _places(hr_folder)
    found: dict[Path, None] = {}
    for pattern, _ in LAYOUTS:
        parts = [squeeze(part) for part in pattern.format(s=scale, n=places.name).split("/")]
        for root in places.around if "{n}" in pattern else places.roots:
            for folder in _below(root, parts):
                if folder != hr_folder and ("{s}" in pattern or _has_scale(hr_folder, folder, scale)):
                    found.setdefault(folder)
    return [folder for folder in found if _share(hr_folder, folder, scale)]


def _places(here: Path) -> Places:
    """The set's folder and the folders around it."""
    here = here.absolute()
    parent, above = here.parent, here.parent.parent
    if re.fullmatch(r"x[2-9]", squeeze(here.name)):
        if is_hr_folder(parent.name):  # HR/x4 beside LR/x4
            return Places((above,), (above.parent,), above.name)
        return Places((parent,), (above.parent if is_hr_folder(above.name) else above,), parent.name)  # HR/Set5/x4
    if is_hr_folder(here.name):
        return Places((parent, here), (above,), parent.name)
    name = re.sub(r"[_\-\s](HR|GT)$", "", here.name, flags=re.IGNORECASE)
    return Places((here,), (parent, above) if is_hr_folder(parent.name) else (parent,), name)  # HR/Set5 beside LR/Set5


def _share(hr_folder: Path, lr_folder: Path, scale: int) -> bool:
    """Whether at least one image is in both folders."""
    there = index(lr_folder, scale)
    return any(lookup(there, path) for path in listed(hr_folder))


def lookup(there: dict[str, tuple[Path, ...]], hr: Path) -> tuple[Path, ...]:
    """What an ``index`` has for an HR image: by its name, else by its name without what says HR."""
    return there.get(names.key(hr)) or there.get(names.parse(hr).key, ())


def _below(root: Path, parts: list[str]) -> Iterator[Path]:
    folders = [root]
    for part in parts:
        folders = [child for folder in folders for child in subfolders(folder) if squeeze(child.name) == part]
    yield from folders


def subfolders(folder: Path) -> list[Path]:
    """Folders in a folder that are not hidden, sorted; none if it cannot be read."""
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError:
        return []


def _has_scale(hr_folder: Path, lr_folder: Path, scale: int) -> bool:
    """Whether the first LR image that can be read goes with an HR image at this scale."""
    there = index(lr_folder, scale)
    for path in listed(hr_folder):
        for lr in lookup(there, path):
            if (found := fits(path, lr, scale)) is not None:
                return found
    return False


def fits(hr: Path, lr: Path, scale: int) -> bool | None:
    """Whether an LR image has the size that its HR image needs at this scale; None if one cannot be read.

    HR may be up to 12 pixels larger, as before a crop to multiples of 12.
    """
    sizes = [image_size(path) for path in (hr, lr)]
    if None in sizes:
        return None
    (width, height), (small_width, small_height) = (size for size in sizes if size is not None)
    over = (width - small_width * scale, height - small_height * scale)
    return min(over) >= 0 and max(over) < max(12, scale)


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height from an image's header, as its EXIF orientation has it; None if it is no image."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            turned = file.getexif().get(274, 1) in (5, 6, 7, 8)
            return (file.height, file.width) if turned else (file.width, file.height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def index(folder: Path, scale: int) -> dict[str, tuple[Path, ...]]:
    """The images of a folder by the names that an HR image may be called: their own, and without what says LR and scale.

    A file whose name states another scale is left out.
    """
    try:
        stamp = folder.stat().st_mtime_ns
    except OSError:
        return {}
    # A folder changed twice within one tick of the clock keeps its time: so young a listing is not remembered.
    return (_index if time.time_ns() - stamp > 2_000_000_000 else _index.__wrapped__)(folder, scale, stamp)


@lru_cache(maxsize=64)
def _index(folder: Path, scale: int, _stamp: int) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for path in listed(folder):
        name = names.parse(path)
        found.setdefault(names.fold(name.stem), []).append(path)
        if name.role != "hr" and name.scale in (None, scale) and name.key != names.fold(name.stem):
            found.setdefault(name.key, []).append(path)
    return {key: tuple(paths) for key, paths in found.items()}


def listed(folder: Path) -> list[Path]:
    """The images of a folder in natural order; none if it cannot be read."""
    try:
        return [path for path in list_images(folder) if path.is_file()]
    except InputError:
        return []


def choose(hr: Path, candidates: Iterable[Path], scale: int, where: Path) -> Path:
    """The only LR file of an HR image; raises InputError if there are two, or none."""
    found = list(dict.fromkeys(candidates))
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(path.name for path in found[:3])
        raise InputError(f"{where}: {both} could each be the LR image of {hr.name} at x{scale}; keep one of them")
    base = names.parse(hr).base
    raise InputError(f"{where}: no LR image of {hr.name}; expected {base}x{scale}{hr.suffix} or {base}{hr.suffix}")
