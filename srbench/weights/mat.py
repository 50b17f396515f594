"""MATLAB files (version 5): authors' weights of SRCNN, FSRCNN and VDSR came as such. Version 7.3 is HDF5 and is not read."""

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
_COMPRESSED = 15
_SLACK = 64 << 20
_RATIO = 8
_DEPTH = 8


def read_mat(path: Path, size: int) -> dict[str, Tensor]:
    """Dotted names → tensors, in MATLAB's axes; cells are numbered from 0. Empty arrays are left out.

    Raises:
        InputError: another version, cut off or damaged, or compressed by more than weights can be.
    """
    from scipy.io import loadmat

    if path.read_bytes()[:10] == b"MATLAB 7.3":
        raise InputError(f"{path} is a MATLAB 7.3 file, which srbench does not read: save it with -v7")
    _check_expansion(path, size)
    try:
        content = loadmat(path)
    except Exception as error:  # a damaged file fails anywhere in the reader
        raise InputError(f"{path} is cut off or no MATLAB file: {type(error).__name__}") from None
    found: dict[str, Tensor] = {}
    for name, value in content.items():
        if not name.startswith("__"):
            _flatten(path, name, value, found, _DEPTH)
    return found


def _check_expansion(path: Path, size: int) -> None:
    """Elements of such a file are compressed one by one; a few kilobytes can hold gigabytes."""
    data, at, expanded = path.read_bytes(), _HEADER, 0
    allowed = max(_SLACK, _RATIO * size)
    order = "<" if data[126:128] == b"IM" else ">"
    while at + 8 <= len(data):
        kind, length = struct.unpack(f"{order}II", data[at : at + 8])
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            try:
                expanded += len(unpacker.decompress(data[at + 8 : at + 8 + length], allowed + 1))
            except zlib.error:
                raise InputError(f"{path} is cut off or damaged: a compressed element does not unpack") from None
        else:
            expanded += length
        if expanded > allowed:
            raise InputError(f"{path} has {size:,} bytes and would expand to more than {allowed:,}")
        at += 8 + length


def _flatten(path: Path, name: str, value: Any, found: dict[str, Tensor], depth: int) -> None:
    from srbench.weights.read import to_tensor

    if isinstance(value, np.void):
        value = np.array([value])
    if not isinstance(value, np.ndarray) or not depth:
        raise InputError(f"{path}: {name} is neither an array nor a cell nor a structure of them")
    if value.dtype.names or value.dtype == object:
        for part, item in _parts(name, value):
            _flatten(path, part, item, found, depth - 1)
    elif value.size and value.dtype.kind in "fiub":
        found[name] = to_tensor(path, name, value)


def _parts(name: str, value: np.ndarray[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What a structure or a cell holds, each under its name within ``name``."""
    for number, item in enumerate(value.reshape(-1)):
        if not value.dtype.names:
            yield f"{name}.{number}", item
        for field in value.dtype.names or ():
            yield f"{name}.{field}" if value.size == 1 else f"{name}.{number}.{field}", item[field]
