"""Zip archives from elsewhere: unpacked only where no entry leaves its folder, comes twice or grows out of proportion."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from srbench.errors import InputError

_RATIO = 20
_FREE_BYTES = 64 * 2**20


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into an empty folder. Every entry is checked before the first is written.

    Raises:
        InputError: an absolute path, ``..``, a link, two entries of one name (also where only their case differs), an entry
            within another that is a file, content of more than 64 MiB and twenty times the archive, an encrypted or damaged
            entry, or no zip archive at all.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [(entry, _inside(archive, entry)) for entry in opened.infolist()]
            _check_names(archive, entries)
            _check_size(archive, entries)
            for entry, path in entries:
                target = folder / path
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # RuntimeError is zipfile's word for an encrypted entry, NotImplementedError for an unknown compression.
        raise InputError(f"{archive.name}: expected a sound zip archive without a password: {error}") from None


def _check_names(archive: Path, entries: list[tuple[zipfile.ZipInfo, PurePosixPath]]) -> None:
    """Raise InputError where one entry would overwrite another; case does not tell files apart on every disk."""
    files: set[str] = set()
    folders: set[str] = set()
    for entry, path in entries:
        name = str(path).casefold()
        folders |= {str(parent).casefold() for parent in path.parents}
        if entry.is_dir():
            folders.add(name)
        elif name in files:
            raise InputError(f"{archive.name}: entry {entry.filename!r} comes twice; nothing was unpacked")
        else:
            files.add(name)
    if both := files & folders:
        raise InputError(f"{archive.name}: {min(both)!r} is a file and a folder; nothing was unpacked")


def _check_size(archive: Path, entries: list[tuple[zipfile.ZipInfo, PurePosixPath]]) -> None:
    """Raise InputError for a bomb; zipfile gives out no more of an entry than its header says."""
    total, packed = sum(entry.file_size for entry, _ in entries), archive.stat().st_size
    if total > _RATIO * packed + _FREE_BYTES:
        raise InputError(
            f"{archive.name}: its {packed:,} bytes would become {total:,}; expected images, which shrink little in an archive; "
            "nothing was unpacked"
        )


def _inside(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    # A backslash or a drive letter is a path on Windows, whatever it is here.
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise InputError(f"{archive.name}: entry {name!r} would leave the folder; nothing was unpacked")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{archive.name}: entry {name!r} is a link or a device, not a file; nothing was unpacked")
    return path
