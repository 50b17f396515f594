"""Zip archives from elsewhere: unpacked only where no entry leaves its folder, comes twice or grows out of proportion."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
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
            _check_headers(archive, entries)
            for entry, path in entries:
                target = folder / path
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error, OverflowError) as error:
        # RuntimeError is zipfile's word for an encrypted entry and for an unknown compression.
        raise _damaged(archive, error) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a disk that is full, not an offset before the beginning of the file
            raise
        raise _damaged(archive, error) from None


def _damaged(archive: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"{archive.name}: expected a sound zip archive without a password: {reason}")


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


def _check_headers(archive: Path, entries: list[tuple[zipfile.ZipInfo, PurePosixPath]]) -> None:
    """Raise InputError where the two headers of an entry differ: zipfile believes the second, which may have lost the content."""
    with archive.open("rb") as file:
        for entry, _ in entries:
            file.seek(entry.header_offset)
            head = file.read(30)
            if len(head) < 30:
                raise InputError(f"{archive.name}: the header of entry {entry.filename!r} is cut off")
            flags, (crc, packed, size) = int.from_bytes(head[6:8], "little"), struct.unpack("<3L", head[14:26])
            there = (entry.CRC, entry.compress_size, entry.file_size)
            if not flags & 8 and 2**32 - 1 not in (packed, size) and (crc, packed, size) != there:
                raise InputError(
                    f"{archive.name}: entry {entry.filename!r} has two headers that differ; the file is damaged"
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
