"""MATLAB files (version 5): authors' weights of SRCNN, FSRCNN and VDSR came as such. Version 7.3 is HDF5 and is not read.

Read here and not by SciPy, whose reader ends the whole process on some damaged files. Numbers, cells and structures are
enough; whatever else a file holds is refused by name. The format is MathWorks' "MAT-File Level 5".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from srbench.errors import InputError

_HEADER = 128
_SLACK = 64 << 20
_RATIO = 8
_DEPTH = 8
_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CELL, _STRUCT = 1, 2
_OTHERS = {3: "an object", 4: "text", 5: "a sparse matrix", 16: "a function", 17: "an object"}
_COMPLEX = 0x0800


class _DamagedError(Exception):
    """Something in a file is not where its format says."""


def read_mat(path: Path, size: int) -> dict[str, Tensor]:
    """Dotted names → tensors, in MATLAB's axes; cells are numbered from 0. Empty arrays and text are left out.

    Args:
        path: the file.
        size: of the file, in bytes.

    Raises:
        InputError: another version, cut off or damaged, or compressed by more than weights can be.
    """
    data = path.read_bytes()
    if data.startswith(b"MATLAB 7.3"):
        raise InputError(f"{path} is a MATLAB 7.3 file, which srbench does not read: save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    reader = _Reader(path, order or "<", max(_SLACK, _RATIO * size))
    try:
        if order is None:
            raise _DamagedError("its header names no byte order")
        for kind, content in reader.elements(memoryview(data)[_HEADER:], top=True):
            if kind == _MATRIX:
                reader.matrix(content, "", _DEPTH)
    except (_DamagedError, struct.error, UnicodeDecodeError, ValueError, zlib.error) as error:
        raise InputError(f"{path} is cut off or no MATLAB file: {' '.join(str(error).split())[:120]}") from None
    return reader.found


class _Reader:
    """Gathers the numeric arrays of one file.

    Args:
        path: for messages.
        order: ``<`` or ``>``.
        allowed: bytes that its compressed elements may expand to, together.
    """

    def __init__(self, path: Path, order: str, allowed: int) -> None:
        self.path, self.order, self.allowed = path, order, allowed
        self.expanded = 0
        self.found: dict[str, Tensor] = {}

    def elements(self, data: memoryview, top: bool = False) -> Iterator[tuple[int, memoryview]]:
        """``(type, content)`` of each element in a block; compressed ones are unpacked at the top of a file alone."""
        at = 0
        while at < len(data):
            kind, length = struct.unpack_from(f"{self.order}II", data, at)
            if kind >> 16:  # a small element: both in one word, the content in the next
                kind, length, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            else:
                start = at + 8
                end = start + length + (0 if kind == _COMPRESSED else -length % 8)
            if length > len(data) - start or (end - at == 8 and length > 4 and start == at + 4):
                raise _DamagedError("an element is longer than the file")
            content = data[start : start + length]
            if kind == _COMPRESSED:
                if not top:
                    raise _DamagedError("a compressed element within another")
                yield from self.elements(memoryview(self._unpacked(content)))
            else:
                yield kind, content
            at = end

    def _unpacked(self, content: memoryview) -> bytes:
        unpacker = zlib.decompressobj()
        made = unpacker.decompress(content, self.allowed - self.expanded + 1)
        self.expanded += len(made)
        if self.expanded > self.allowed:
            raise InputError(f"{self.path} would expand to more than {self.allowed:,} bytes")
        if not unpacker.eof:
            raise _DamagedError("a compressed element ends early")  # zlib's own checksum stands at the end
        return made

    def matrix(self, content: memoryview, name: str, depth: int) -> None:
        """One array, cell or structure; ``name`` is its place, empty at the top, where it has one of its own."""
        if not len(content):
            return
        if not depth:
            raise _DamagedError("cells are nested too deeply")
        parts = self.elements(content)
        flags, shape, own = self._head(parts)
        name, kind, count = name or own, flags & 0xFF, int(np.prod(shape, dtype=object))
        if kind in _CLASSES:
            if flags & _COMPLEX:
                raise InputError(f"{self.path}: {name} is complex, which cannot be weights")
            self._array(parts, name, shape, _CLASSES[kind])
        elif kind == _CELL:
            self._each(parts, [f"{name}.{number}" for number in range(self._plausible(count, content))], depth)
        elif kind == _STRUCT:
            length = int(self._numbers(parts, "length of field names")[0])
            fields = self._fields(parts, length)
            stems = [name] if count == 1 else [f"{name}.{n}" for n in range(self._plausible(count, content))]
            self._each(parts, [f"{stem}.{field}" for stem in stems for field in fields], depth)
        elif kind != 4:
            raise InputError(f"{self.path}: {name} is {_OTHERS.get(kind, f'of class {kind}')}, which cannot be weights")

    def _head(self, parts: Iterator[tuple[int, memoryview]]) -> tuple[int, list[int], str]:
        """Flags, dimensions and name of an array."""
        flags = self._numbers(parts, "flags")
        shape = [int(side) for side in self._numbers(parts, "dimensions")]
        name = self._text(parts)
        if min(shape, default=-1) < 0 or len(shape) > 32 or not len(flags):
            raise _DamagedError(f"{name} has the dimensions {shape[:4]}")
        return int(flags[0]), shape, name

    def _plausible(self, count: int, content: memoryview) -> int:
        if count * 8 > len(content):
            raise _DamagedError("more cells than the file has room for")
        return count

    def _each(self, parts: Iterator[tuple[int, memoryview]], names: list[str], depth: int) -> None:
        for name in names:
            kind, content = self._next(parts)
            if kind != _MATRIX:
                raise _DamagedError(f"{name} is no array")
            self.matrix(content, name, depth - 1)

    def _array(self, parts: Iterator[tuple[int, memoryview]], name: str, shape: list[int], kind: str) -> None:
        from srbench.weights.read import to_tensor

        stored = self._numbers(parts, name)
        if len(stored) != int(np.prod(shape, dtype=object)):
            raise _DamagedError(f"{name} has {len(stored)} numbers for {shape}")
        if stored.size:
            if name in self.found:
                raise InputError(f"{self.path} holds {name!r} twice")
            array = stored.astype(kind).reshape(shape, order="F")
            self.found[name] = to_tensor(self.path, name, array)

    def _next(self, parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
        part = next(parts, None)
        if part is None:
            raise _DamagedError("an array ends early")
        return part

    def _numbers(self, parts: Iterator[tuple[int, memoryview]], what: str) -> np.ndarray[Any, Any]:
        kind, content = self._next(parts)
        if kind not in _STORED:
            raise _DamagedError(f"{what}: no numbers of type {kind}")
        return np.frombuffer(content, dtype=f"{self.order}{_STORED[kind]}")

    def _text(self, parts: Iterator[tuple[int, memoryview]]) -> str:
        return bytes(self._next(parts)[1]).decode("ascii")

    def _fields(self, parts: Iterator[tuple[int, memoryview]], length: int) -> list[str]:
        content = bytes(self._next(parts)[1])
        if not 0 < length <= 256:
            raise _DamagedError(f"field names of {length} letters")
        return [content[at : at + length].split(b"\0")[0].decode("ascii") for at in range(0, len(content), length)]
