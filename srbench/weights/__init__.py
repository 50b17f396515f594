"""Weights of any origin: read without running what is in the file, unwrapped, and recognised by their keys and shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from srbench.errors import InputError
from srbench.weights.fit import fit

__all__ = ["PROGRAMS", "WeightsFile", "apart", "fit", "open_weights", "read_weights"]

PROGRAMS = {"onnx": "an ONNX file", "litert": "a LiteRT file", "ncnn": "an ncnn network"}
"""Kinds of files that are programs and not weights."""


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        path: the file.
        sha256: of its bytes; an ncnn network's are those of its ``.param`` and ``.bin``.
        kind: ``torch``, ``safetensors``, ``npz``, ``mat``, ``onnx``, ``litert`` or ``ncnn``, as its content says.
        key: where in the file the state dict stands, dotted; empty where the file is one.
        state: key → tensor on the CPU, floats as float32, without the prefixes that wrappers put before each key; empty of
            a program.
        prefix: what was taken off each key.
        tried: every state dict that the file holds, with its number of tensors.
        top_level: the uppermost names.
        notes: what a reader of numbers should know, such as that averaged weights were taken.
    """

    path: Path
    sha256: str
    kind: str
    key: str
    state: dict[str, Tensor]
    prefix: str = ""
    tried: tuple[str, ...] = ()
    top_level: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def open_weights(path: Path | str, key: str = "") -> WeightsFile:
    """Read a file of weights and choose the state dict that is meant.

    Args:
        path: ``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.tar``, ``.safetensors``, ``.npz``, ``.mat``, ``.onnx``, ``.tflite`` or
            ncnn's ``.param``; its content says what it is.
        key: which state dict of the file, where several are as likely; dotted, or the end of that.

    Returns:
        its content. Averaged weights (``params_ema``) are taken before others, a generator before a discriminator.

    Raises:
        InputError: no such file, damaged or hostile, without weights, or several networks and no ``key``.
    """
    from srbench.weights.read import read
    from srbench.weights.unwrap import Candidate, choose, top_level

    path = Path(path)
    content = read(path)
    digest = digest_of([path, *content.others])
    if content.kind in PROGRAMS:
        if key:
            what = PROGRAMS[content.kind]
            raise InputError(f"{path} is {what}: it holds one network, and --key {key} chooses nothing")
        return WeightsFile(path, digest, content.kind, "", {})
    if content.kind == "mat":  # MATLAB's names mean something by themselves; nobody wraps them
        assert isinstance(content.tree, dict)
        chosen = Candidate("", content.tree, "", 2)
        found = [chosen]
    else:
        chosen, found = choose(path, content.tree, key)
    others = [str(candidate) for candidate in found if candidate is not chosen]
    notes = list(content.notes)
    if others:
        notes.insert(0, f"{chosen} was taken; the file also holds {', '.join(others)}")
    return WeightsFile(
        path,
        digest,
        content.kind,
        chosen.key,
        {name: as_float32(value) for name, value in chosen.state.items()},
        chosen.prefix,
        tuple(map(str, found)),
        top_level(content.tree),
        tuple(notes),
    )


def read_weights(path: Path | str, key: str = "") -> dict[str, Tensor]:
    """Key → tensor of a file of weights, which is no program, floats as float32; arguments and errors of ``open_weights``."""
    file = open_weights(path, key)
    if file.kind in PROGRAMS:
        raise InputError(f"{file.path} is {PROGRAMS[file.kind]}, a program and not weights")
    return file.state


def digest_of(paths: Iterable[Path]) -> str:
    """sha256 of the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU, none of which shares memory with another, as safetensors wants them; layers may share one."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in state.items():
        held = tensor.detach().cpu().contiguous()
        place = held.untyped_storage().data_ptr()
        found[key] = held.clone() if place in seen else held
        seen.add(place)
    return found


def as_float32(tensor: Tensor) -> Tensor:
    """Floats of any width as float32; other types as they are."""
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
