"""PNG as srbench writes it: a row is stored as its difference to the row above, and packed by Intel's ISA-L.

Pillow tries five filters on each row and packs with zlib, which takes seven times as long for an eighth fewer bytes of a
photograph: a third of the pass of a small network that made the image. Rows go through in strips, so that no second image stands
in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

Samples = npt.NDArray[Any]
Chunk = tuple[bytes, bytes]
"""Kind and content."""

_HEAD = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels → PNG's number of the colour type: gray, gray with alpha, RGB, RGB with alpha."""
_UP = 2
_STRIP = 2**22
_MOST = 2**30  # bytes of a chunk, whose length has 31 bits


def encode_png(samples: Samples, around: Sequence[Chunk] = ()) -> bytes:
    """The bytes of a PNG file.

    Args:
        samples: uint8 or uint16, ``(H, W)`` gray or ``(H, W, C)`` with 1 to 4 channels: gray, gray and alpha, RGB, RGB and alpha.
        around: chunks that stand before the pixels, such as a profile.

    Raises:
        ValueError: samples of another type or shape, or none.
    """
    if samples.dtype not in (np.uint8, np.uint16) or samples.ndim not in (2, 3) or not samples.size:
        raise ValueError(
            f"PNG holds uint8 or uint16 samples of at least one pixel, not {samples.dtype} {samples.shape}"
        )
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if channels not in _COLOURS:
        raise ValueError(f"PNG holds 1 to 4 channels, not {channels}")
    depth = 8 * samples.dtype.itemsize
    head = struct.pack(">IIBBBBB", width, height, depth, _COLOURS[channels], 0, 0, 0)
    packer = isal_zlib.compressobj()
    packed = b"".join([*(packer.compress(strip) for strip in _filtered(samples)), packer.flush()])
    pixels = [(b"IDAT", packed[first : first + _MOST]) for first in range(0, len(packed), _MOST)]
    chunks = [(b"IHDR", head), *around, *pixels, (b"IEND", b"")]
    return b"".join([_HEAD, *(part for kind, content in chunks for part in _chunk(kind, content))])


def pack(content: bytes) -> bytes:
    """A zlib stream, as PNG's profiles are stored."""
    made: bytes = isal_zlib.compress(content)
    return made


def _filtered(samples: Samples) -> Iterator[Samples]:
    """Strips of rows, each row after the number of its filter."""
    height = len(samples)
    step = max(1, _STRIP // (samples.nbytes // height))
    above: Samples | None = None
    for first in range(0, height, step):
        part = np.ascontiguousarray(samples[first : first + step], dtype=samples.dtype.newbyteorder(">"))
        rows = part.reshape(len(part), -1).view(np.uint8)
        made = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        made[:, 0] = _UP
        np.subtract(rows[:1], 0 if above is None else above, out=made[:1, 1:])
        np.subtract(rows[1:], rows[:-1], out=made[1:, 1:])
        above = rows[-1:]
        yield made


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    check = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", check)
