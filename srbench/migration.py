"""Records of before checksums: read, validated and written once more with one. Whatever has a checksum is only tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from srbench.errors import InputError, SrbenchError
from srbench.files import listed
from srbench.records import is_sealed, parse, read_json, read_toml, unseal, write_json, write_toml
from srbench.results import Result
from srbench.speed_results import SpeedResult
from srbench.zoo import Card


@dataclass(frozen=True)
class Migration:
    """What was found.

    Attributes:
        sealed: records that had no checksum and have one now (or would have, where nothing is written).
        broken: what is wrong with each record that cannot be read or does not have its checksum.
        sound: how many had their checksum already.
    """

    sealed: tuple[Path, ...]
    broken: tuple[str, ...]
    sound: int


def migrate(home: Path, write: bool = True) -> Migration:
    """Give every record below ``home`` its checksum.

    Args:
        home: the folder with ``results/`` and ``zoo/``.
        write: False to look alone.
    """
    sealed, broken, sound = [], [], 0
    for path, put, validate in _records(home):
        try:
            values = read_toml(path, "a card") if path.suffix == ".toml" else read_json(path, "a record")
            validate(unseal(values, path) if is_sealed(values) else values, path)
        except InputError as error:
            broken.append(str(error))
            continue
        if is_sealed(values):
            sound += 1
            continue
        sealed.append(path)
        if write:
            put(path, values)
    return Migration(tuple(sealed), tuple(broken), sound)


def broken_ablations(home: Path) -> list[SrbenchError]:
    """What is wrong with each table of an ablation in zoo/ that has a checksum and not its own."""
    broken: list[SrbenchError] = []
    for path in _ablations(home):
        try:
            values = read_json(path, "the table of an ablation")
            if is_sealed(values):
                unseal(values, path)
        except InputError as error:
            broken.append(error)
    return broken


def _ablations(home: Path) -> list[Path]:
    return listed(home / "zoo" / "ablations", "*.json")


Put = Callable[[Path, Mapping[str, Any]], None]
Validate = Callable[[Mapping[str, Any], Path], object]


def _records(home: Path) -> Iterator[tuple[Path, Put, Validate]]:
    """Every record's file, what writes it, and what finds fault with its content."""
    for path in listed(home / "results" / "quality", "*/*/*.json"):
        yield path, write_json, lambda values, path: parse(Result, values, str(path))
    for path in listed(home / "results" / "speed", "*/*.json"):
        yield path, write_json, lambda values, path: parse(SpeedResult, values, str(path))
    for path in listed(home / "zoo", "*/x*.toml"):
        if path.parent.name != "recipes":
            yield path, write_toml, lambda values, path: parse(Card, values, str(path))
    for path in _ablations(home):
        yield path, partial(write_json, indent=2), lambda _values, _path: None
