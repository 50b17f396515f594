"""Files of weights of any kind → what is in them. What a file is, its content says, not its suffix; nothing in it is run.

Before anything is unpacked, checksums are verified and what the file would take in memory is held against its size: a ZIP
archive of a megabyte can ask for gigabytes, and a bit that was flipped on a disk changes weights without a word.
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srbench.errors import InputError

_HEAD = 512
_TAIL = 22 + 0xFFFF  # the end of a ZIP archive's directory, and the longest comment
_MANY = 0xFFFF  # the number stands elsewhere
_PIECE = 1 << 20
_SLACK = 64 << 20  # a small archive may be compressed as it likes
_RATIO = 8  # weights are noise: what shrinks by more than this is none
KNOWN = (
    "PyTorch (.pth, .pt, .ckpt, .bin, .tar), safetensors, NumPy (.npz), MATLAB (.mat), ONNX, LiteRT (.tflite) and ncnn "
    "(.param) files"
)

# What frameworks put beside weights: settings and curves. Where a file names one of these, an empty stand-in takes its place.
_HOLDERS = re.compile(
    r"(argparse\.Namespace|types\.SimpleNamespace|pathlib\.\w+|datetime\.\w+|enum\.\w+"
    r"|(omegaconf|easydict|yacs|addict|munch|mmengine|mmcv|fvcore|ml_collections|box|attrdict)(\.\w+)*"
    r"|(pytorch_lightning|lightning|lightning_fabric|lightning_utilities)(\.\w+)*"
    r"|torch\.optim(\.\w+)*|typing\.\w+|collections\.defaultdict|builtins\.(slice|range|frozenset))"
)
_TRIES = 64


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        kind: ``torch``, ``safetensors``, ``npz``, ``mat``, ``onnx``, ``litert`` or ``ncnn``.
        tree: nested mappings and lists with tensors in them; empty of a program, which is no set of weights.
        notes: what was left out.
        others: files that belong to it, such as the ``.bin`` of an ncnn ``.param``.
    """

    kind: str
    tree: object
    notes: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()


def read(path: Path) -> Content:
    """Read a file of weights.

    Raises:
        InputError: no such file; cut off, damaged or of another kind; it would run code or take far more memory than it
            holds; a tensor that cannot be weights (complex, quantised, sparse, without data), by name.
    """
    if not path.is_file():
        raise InputError(f"no weights at {path}")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
    kind = _kind(path, head, size)
    content = _READERS[kind](path, size)
    check_tensors(path, content.tree, size)
    return content


def _kind(path: Path, head: bytes, size: int) -> str:
    """The kind of a file by its first bytes; by its suffix where these say nothing, for the sake of the message."""
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"  # first: its length may begin with any other kind's bytes
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"MATLAB "):
        return "mat"
    if head.startswith(b"\x80"):
        return "torch"
    program = next((kind for kind, applies in _PROGRAMS.items() if applies(head)), None)
    if program is not None:
        return program
    _refuse_others(path, head)
    return _by_suffix(path)


def _by_suffix(path: Path) -> str:
    """PyTorch's old files begin with anything; what else has the suffix of a kind is damaged."""
    suffix = path.suffix.lower()
    if suffix in (".safetensors", ".npz", ".mat", ".onnx", ".tflite", ".param"):
        raise InputError(f"{path} is cut off or no {suffix[1:]} file")
    if suffix == ".bin" and path.with_suffix(".param").is_file():
        raise InputError(f"{path} holds the weights of an ncnn network: give {path.with_suffix('.param')}")
    if suffix in (".pth", ".pt", ".ckpt", ".bin", ".tar"):
        return "torch"
    if suffix == ".py":
        raise InputError(f"{path} is Python code: name the class in it that makes the network, as {path}:MyNet")
    raise InputError(f"{path} is no file of weights that srbench knows; it knows {KNOWN}")


def _is_onnx(head: bytes) -> bool:
    """A model begins with its IR version (field 1), then come the producer's name (2) or another small field."""
    return (
        len(head) > 16 and head[0] == 0x08 and head[1] < 0x40 and head[2] in (0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x42)
    )


_PROGRAMS: Mapping[str, Callable[[bytes], bool]] = {
    "litert": lambda h: h[4:8] == b"TFL3",
    "ncnn": lambda h: h.split(maxsplit=1)[:1] == [b"7767517"],
    "onnx": _is_onnx,
}


_OTHERS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (
        lambda h: h.startswith(b"version https://git-lfs"),
        "a Git LFS pointer, not the file: fetch it with `git lfs pull`",
    ),
    (lambda h: h.lstrip()[:9].lower() in (b"<!doctype", b"<html>") or b"<html" in h.lower(), "a web page, not weights"),
    (lambda h: h.startswith(b"\x89HDF"), "an HDF5 file (Keras, MATLAB 7.3), which srbench does not read"),
    (lambda h: h.startswith(b"GGUF"), "a GGUF file, whose weights are quantised"),
    (lambda h: h.startswith(b"\x1f\x8b"), "a gzip file: unpack it first"),
    (lambda h: h[257:262] == b"ustar", "a tar archive: unpack it and give the file of weights in it"),
    (lambda h: h.startswith(b"\x93NUMPY"), "a single NumPy array, not a set of weights by name"),
)


def _refuse_others(path: Path, head: bytes) -> None:
    for applies, what in _OTHERS:
        if applies(head):
            raise InputError(f"{path} is {what}")


# ZIP archives: PyTorch's and NumPy's


def _read_zip(path: Path, size: int) -> Content:
    try:
        names = _verified(path, size)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise InputError(f"{path} is cut off or damaged: {_line(error)}; its checksums do not hold") from None
    if any(name.endswith(("/constants.pkl", "/data.ts")) or "/code/" in name for name in names):
        raise InputError(
            f"{path} is TorchScript, a program: srbench runs nothing that is in a file. Save its state_dict() instead"
        )
    if any(name == "data.pkl" or name.endswith("/data.pkl") for name in names):
        return _read_torch(path, size)
    if names and all(name.endswith(".npy") for name in names):
        return Content("npz", _read_npz(path))
    raise InputError(f"{path} is a ZIP archive with neither PyTorch's nor NumPy's weights; it holds {_some(names)}")


def _verified(path: Path, size: int) -> list[str]:
    """Names in an archive whose every entry has its CRC, stands once and does not swell."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if (said := _entries_said(path, size)) not in (None, len(entries)):
            raise zipfile.BadZipFile(f"its directory lists {len(entries)} of {said} entries")
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{path} holds {twice!r} twice; readers would differ in what it means")
        expanded = sum(entry.file_size for entry in entries)
        allowed = max(_SLACK, _RATIO * size)
        if expanded > allowed:
            raise InputError(f"{path} has {size:,} bytes and would expand to {expanded:,}; {allowed:,} are allowed")
        for entry in entries:
            with archive.open(entry) as opened:
                while opened.read(_PIECE):  # the CRC is compared at the end
                    pass
    return names


def _entries_said(path: Path, size: int) -> int | None:
    """How many entries an archive says it has: a directory that is damaged may list fewer. None where there are too many."""
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    said = int.from_bytes(tail[at + 10 : at + 12], "little") if 0 <= at <= len(tail) - 22 else _MANY
    return None if said == _MANY else said


def _read_npz(path: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                with arrays.zip.open(f"{name}.npy") as entry:
                    _check_header(path, name, entry, arrays.zip.getinfo(f"{name}.npy").file_size)
                found[name] = to_tensor(path, name, arrays[name])
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, SyntaxError) as error:
        raise InputError(f"{path} is cut off or no NumPy file: {_line(error)}") from None
    return found


def _check_header(path: Path, name: str, entry: Any, size: int) -> None:
    """An array takes no more memory than its entry has bytes."""
    version = np.lib.format.read_magic(entry)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = reader(entry)
    if (wanted := int(np.prod(shape, dtype=object)) * kind.itemsize) > size:
        raise InputError(f"{path}: {name} says that it has {wanted:,} bytes; its entry has {size:,}")


def to_tensor(path: Path, name: str, array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor of an array's own numbers; InputError for text, objects and complex numbers."""
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} holds {array.dtype}, which cannot be weights")
    wide = array.dtype.kind == "u" and array.dtype.itemsize > 1
    native = np.array(array, dtype=np.int64 if wide else array.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(native)


# PyTorch


class StandIn:
    """Takes the place of an object of another library: whatever it is given, it does nothing."""

    def __init__(self, *given: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _read_torch(path: Path, size: int) -> Content:  # noqa: ARG001
    left_out: list[str] = []
    for _ in range(_TRIES):
        try:
            tree = _load(path, left_out)
        except pickle.UnpicklingError as error:
            name = _unsupported(str(error))
            if name and name not in left_out and _HOLDERS.fullmatch(name):
                left_out.append(name)
                continue
            if name:
                raise InputError(_would_run(path, name)) from None
            raise InputError(f"{path} is cut off or holds more than tensors; nothing in it was run") from None
        except Exception:  # a damaged file fails anywhere in the unpickler: IndexError, AssertionError, struct.error, …
            raise InputError(f"{path} is cut off or no PyTorch file") from None
        return Content("torch", tree, tuple(f"left out: {name}" for name in left_out))
    raise InputError(f"{path} names more than {_TRIES} classes of other libraries; save its state_dict() alone")


def _load(path: Path, stand_ins: list[str]) -> object:
    from numpy._core import multiarray

    scalars: list[Any] = [
        np.dtype,
        np.ndarray,
        (multiarray.scalar, "numpy.core.multiarray.scalar"),
        (multiarray.scalar, "numpy._core.multiarray.scalar"),
        (multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
        (multiarray._reconstruct, "numpy._core.multiarray._reconstruct"),
        *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
        argparse.Namespace,
    ]
    allowed = [*scalars, *((StandIn, name) for name in stand_ins)]
    with warnings.catch_warnings(), torch.serialization.safe_globals(allowed), path.open("rb") as file:
        warnings.simplefilter("ignore")  # an odd pickle protocol, said better by the errors
        return torch.load(file, map_location="cpu", weights_only=True)  # of a name it would judge by the suffix


def _unsupported(message: str) -> str:
    found = re.search(r"GLOBAL (\S+)", message)
    return found[1] if found else ""


def _would_run(path: Path, name: str) -> str:
    if "nn.modules" in name or name.startswith("__main__") or re.search(r"\.[A-Z]\w*$", name):
        return (
            f"{path} would run code when loaded ({name}); only tensors are accepted. It was saved as a whole object: "
            "torch.save(network.state_dict(), FILE) saves weights alone"
        )
    return f"{path} would run code when loaded ({name}); only tensors are accepted"


def _read_safetensors(path: Path, size: int) -> Content:  # noqa: ARG001
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Content("safetensors", load_file(path))
    except (SafetensorError, OSError, ValueError, AttributeError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} is cut off or no safetensors file: {_line(error)}") from None


def _read_mat(path: Path, size: int) -> Content:
    from srbench.weights.mat import read_mat

    return Content("mat", read_mat(path, size))


def _read_onnx(path: Path, size: int) -> Content:  # noqa: ARG001
    return Content("onnx", {})


def _read_litert(path: Path, size: int) -> Content:  # noqa: ARG001
    return Content("litert", {})


def _read_ncnn(path: Path, size: int) -> Content:  # noqa: ARG001
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"{path} is an ncnn network, whose weights are missing: expected {weights.name} beside it")
    return Content("ncnn", {}, others=(weights,))


_READERS: Mapping[str, Callable[[Path, int], Content]] = {
    "zip": _read_zip,
    "torch": _read_torch,
    "safetensors": _read_safetensors,
    "mat": _read_mat,
    "onnx": _read_onnx,
    "litert": _read_litert,
    "ncnn": _read_ncnn,
}


# What was read


def walk(tree: object) -> Iterator[tuple[str, object]]:
    """Every leaf of nested mappings and lists with its dotted name; a container that stands in two places is entered once."""
    seen: set[int] = set()
    stack: list[tuple[str, object]] = [("", tree)]
    while stack:
        name, value = stack.pop()
        items: list[tuple[object, object]] | None = None
        if isinstance(value, Mapping):
            items = list(value.items())
        elif isinstance(value, list | tuple):
            items = list(enumerate(value))
        if items is None:
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            stack += [(f"{name}.{key}" if name else str(key), part) for key, part in reversed(items)]


def check_tensors(path: Path, tree: object, size: int) -> None:
    """Refuse, by name, tensors that cannot be weights and those that take more memory than the file has bytes."""
    total = 0
    for name, value in walk(tree):
        if not isinstance(value, Tensor):
            continue
        if fault := _fault(value):
            raise InputError(f"{path}: {name} is {fault}, which cannot be weights")
        held = value.untyped_storage().nbytes()
        taken = value.numel() * value.element_size()
        total += taken
        if taken > held or total > max(_SLACK, _RATIO * size):
            raise InputError(f"{path} has {size:,} bytes; {name} and what stands before it would take {total:,}")


def _fault(tensor: Tensor) -> str:
    if tensor.is_meta:
        return "a tensor without data (meta)"
    if tensor.is_quantized:
        return f"quantised ({tensor.dtype})"
    if tensor.layout != torch.strided:
        return f"sparse ({tensor.layout})"
    if tensor.is_complex():
        return f"complex ({tensor.dtype})"
    return ""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _some(names: list[str]) -> str:
    return (", ".join(names[:3]) + (", …" if len(names) > 3 else "")) or "nothing"
