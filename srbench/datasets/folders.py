"""A folder of images as people have them: which files are HR, which are the LR of these, what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from srbench.datasets import layouts, names
from srbench.datasets.image_set import ImageSet, LeftOut
from srbench.errors import InputError
from srbench.images import SUFFIXES, list_images, natural_order


@dataclass(frozen=True)
class Pairing:
    """The files of one folder by what they are.

    Attributes:
        hr: HR files in natural order.
        lr: LR files of each HR file, by the scale that their names state.
        titles: what an HR image is called without what says HR.
        lr_files: LR files, with and without an HR file.
        rest: files that are neither.
    """

    hr: tuple[Path, ...]
    lr: dict[Path, dict[int | None, Path]] = field(default_factory=dict)
    titles: dict[Path, str] = field(default_factory=dict)
    lr_files: tuple[Path, ...] = ()
    rest: tuple[Path, ...] = ()


def from_folder(folder: Path, recursive: bool = False) -> ImageSet:
    """The HR images of a folder, or of its subfolder of HR images if it has none itself; hidden files are ignored.

    A folder in which names pair (``a_HR`` and ``a_LR``, ``a_GT`` and ``a_LQ``, ``Canon_001_HR`` and ``Canon_001_LR4``,
    ``img_001_SRF_4_HR`` and ``…_LR``, ``baby`` and ``babyx4``) holds pairs: its LR files are no HR images.

    Args:
        folder: the folder.
        recursive: take the images of its subfolders as well, called by their path in it; folders of LR images are left out.

    Raises:
        InputError: no such folder, not readable, no images, two images of one name, two folders of HR images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of images")
    try:
        inside = hr_inside(folder) if not recursive else folder
        taken, left = _walk(inside) if recursive else _files(inside)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror})") from None
    if not taken:
        found = f"; left out: {left.describe()}" if left.describe() else ""
        found += "; --recursive reads subfolders" if left.subfolders else ""
        raise InputError(
            f"{folder}: no images; expected png, jpg, bmp, tif or webp files in it or in its folder HR{found}"
        )
    paired = pair_up(taken)
    titles = dict(paired.titles)
    if recursive:
        titles |= {p: f"{p.relative_to(inside).parent.as_posix()}/{titles.get(p) or names.stem(p)}" for p in paired.hr
                   if p.parent != inside}  # fmt: skip
    refuse_twins(paired.hr, titles)
    rest = tuple(path.name for path in paired.rest)
    left = LeftOut(left.dangling, left.subfolders, left.other, len(paired.lr_files), rest)
    return ImageSet(set_name(inside), paired.hr, titles=titles, lr=paired.lr, left_out=left)


def hr_inside(folder: Path) -> Path:
    """The folder itself if it has images, else its one subfolder of HR images."""
    if any(path.is_file() for path in list_images(folder)):
        return folder
    inner = [child for child in layouts.subfolders(folder) if layouts.is_hr_folder(child.name)]
    inner = [child for child in inner if any(path.is_file() for path in list_images(child))]
    plain = [child for child in inner if layouts.squeeze(child.name) == "hr"]
    if len(inner) > 1 and not plain:
        raise InputError(f"{folder}: {' and '.join(child.name for child in inner)} are folders of HR images; name one")
    return (plain or inner or [folder])[0]


def left_out(folder: Path) -> str:
    """What is in a folder besides the images directly in it, as one line; empty where there is nothing else.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return _files(folder)[1].describe()
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror})") from None


def _files(folder: Path) -> tuple[list[Path], LeftOut]:
    """The image files of a folder, and what else is in it."""
    dangling, subfolders, other = [], [], Counter[str]()
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            subfolders.append(path.name)
        elif not path.exists():
            dangling.append(path.name)
        elif not path.is_file():
            other["pipe or device"] += 1
        elif path.suffix.lower() not in SUFFIXES:
            other[path.suffix.lower() or "without suffix"] += 1
    images = [path for path in list_images(folder) if path.is_file()]
    return images, LeftOut(tuple(dangling), tuple(subfolders), dict(other))


def _walk(folder: Path) -> tuple[list[Path], LeftOut]:
    """The image files of a folder and its subfolders, without those of LR images."""
    found, left = _files(folder)
    dangling, skipped, other = list(left.dangling), [], Counter(left.other)
    for child in layouts.subfolders(folder):
        if is_lr_folder(child.name):
            skipped.append(child.name)
            continue
        deeper, more = _walk(child)
        found += deeper
        dangling += [f"{child.name}/{name}" for name in more.dangling]
        skipped += [f"{child.name}/{name}" for name in more.subfolders]
        other += Counter(more.other)
    return found, LeftOut(tuple(dangling), tuple(skipped), dict(other))


def is_lr_folder(name: str) -> bool:
    """Whether a folder is called as folders of LR images are.

    >>> is_lr_folder("LR_bicubic"), is_lr_folder("x4"), is_lr_folder("walk")
    (True, True, False)
    """
    squeezed = layouts.squeeze(name)
    return squeezed.startswith(("lr", "lq")) or squeezed in {f"x{scale}" for scale in range(2, 10)}


def set_name(folder: Path) -> str:
    """``dir-<folder>``, which becomes part of a result's file name. HR says nothing of a set, its parent's name does."""
    own = folder.absolute() if folder.name not in ("", "..") else folder.resolve()
    squeezed = layouts.squeeze(own.name)
    label = own.name
    if squeezed in ("hr", "gt", "original"):
        label = own.parent.name
    elif layouts.is_hr_folder(own.name) or squeezed.removeprefix("x").isdecimal():  # Set5/GTmod12, Set5/x4, Test/4
        label = f"{own.parent.name}_{own.name}"
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in label)
    return f"dir-{safe or 'root'}"


def refuse_twins(paths: Iterable[Path], titles: dict[Path, str]) -> None:
    """Raise InputError if two images would have the same name in the results."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(names.fold(titles.get(path) or names.stem(path)), path)
        if other is not path:
            raise InputError(
                f"{path.parent}: {other.name} and {path.name} have one stem; results are kept by stem, so rename one"
            )


def pair_up(paths: Iterable[Path]) -> Pairing:
    """Tell the HR files of a folder from the LR files of the same images.

    Without any pair every file is an HR image.
    """
    files = sorted(paths, key=natural_order)
    named = {path: names.parse(path) for path in files}
    lr_files = [path for path in files if named[path].role == "lr"]
    hr_files = [path for path in files if named[path].role == "hr"]
    if _pairs(hr_files, lr_files, named):
        return _paired(hr_files, lr_files, named, files)
    bare = [path for path in files if path not in set(lr_files)]
    plain = {
        path: names.Name(name.stem, name.stem) if path not in set(lr_files) else name for path, name in named.items()
    }
    if lr_files and _pairs(bare, lr_files, plain):
        return _paired(bare, lr_files, plain, files)
    return _by_scale(files, named)


def _by_scale(files: list[Path], named: dict[Path, names.Name]) -> Pairing:
    """``baby`` and ``babyx4``: the latter is LR only if its size fits, since x4 may be part of an image's own name."""
    by_key = {(path.parent, names.key(path)): path for path in files}
    small = []
    for path in files:
        name = named[path]
        partner = by_key.get((path.parent, name.key)) if name.scale and not name.role else None
        if partner is not None and name.scale is not None and layouts.fits(partner, path, name.scale):
            small.append(path)
    if not small:
        return Pairing(tuple(files))
    large = [path for path in files if path not in set(small)]
    plain = {**named, **{path: names.Name(named[path].stem, named[path].stem) for path in large}}
    return _paired(large, small, plain, files)


def _pairs(hr: list[Path], lr: list[Path], named: dict[Path, names.Name]) -> bool:
    keys = [(path.parent, named[path].key) for path in hr]
    return len(set(keys)) == len(keys) and bool(set(keys) & {(path.parent, named[path].key) for path in lr})


def _paired(hr: list[Path], lr: list[Path], named: dict[Path, names.Name], files: list[Path]) -> Pairing:
    found: dict[Path, dict[int | None, Path]] = {path: {} for path in hr}
    by_key = {(path.parent, named[path].key): path for path in hr}
    for path in lr:
        partner = by_key.get((path.parent, named[path].key))
        if partner is None:
            continue
        other = found[partner].setdefault(named[path].scale, path)
        if other is not path:
            raise InputError(
                f"{path.parent}: {other.name} and {path.name} could each be the LR image of {partner.name}; keep one"
            )
    known = {*hr, *lr}
    rest = tuple(path for path in files if path not in known)
    return Pairing(tuple(hr), found, {path: named[path].base for path in hr}, tuple(lr), rest)
