"""Zip archives from elsewhere: unpacked only if no entry would leave the target folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from srbench.errors import InputError


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into an empty folder. Every entry is checked before the first is written.

    Raises:
        InputError: an absolute path, ``..``, a link, an encrypted or damaged entry, or no zip archive at all.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [(entry, _inside(archive, entry)) for entry in opened.infolist()]
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


def _inside(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    # A backslash or a drive letter is a path on Windows, whatever it is here.
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise InputError(f"{archive.name}: entry {name!r} would leave the folder; nothing was unpacked")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{archive.name}: entry {name!r} is a link or a device, not a file; nothing was unpacked")
    return path
