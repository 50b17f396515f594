"""Records: JSON and TOML files that a machine wrote, read strictly and sealed by a checksum of their content.

A number that somebody or something changed must not reach a table. The checksum is the sha256 of the parsed content without
it, in one canonical form: spaces and the order of keys are free, a changed digit or a lost image is not. It guards against bit
rot, cut-off copies and edits by hand, not against a forger, who can compute it as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from srbench.errors import InputError, SrbenchError, first_problem
from srbench.files import write_text

if TYPE_CHECKING:
    from pydantic import BaseModel

    M = TypeVar("M", bound=BaseModel)

R = TypeVar("R")

KEY = "checksum"
_MOST_BYTES = 256 * 2**20  # of a record: ten thousand images under ten metrics are 2 MB
_MOST = 2**63


def read_json(path: Path | str, what: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: of a regular file; a pipe or a device would be waited for.
        what: such as ``"a result"``, for the message.

    Raises:
        FileNotFoundError: no such file.
        InputError: not a regular file, not UTF-8, not JSON, a key that comes twice, NaN, an infinity (also by overflow, such as
            ``1e999``), more digits than 64 bits hold, nested too deeply, or not an object.
    """

    def load(text: str) -> Any:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded
        )

    values = _parsed(Path(path), what, load)
    if not isinstance(values, dict):
        raise InputError(f"{path} is not {what}: expected a JSON object")
    return values


def read_toml(path: Path | str, what: str) -> dict[str, Any]:
    """The table in a TOML file, which may hold ``inf`` and ``nan``; raises else as :func:`read_json`."""
    values = _parsed(Path(path), what, lambda text: tomllib.loads(text, parse_float=_toml_float))
    assert isinstance(values, dict)
    return values


def read_text(path: Path | str, what: str) -> str:
    """The text of a regular file, UTF-8; raises as :func:`read_json`."""
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is not {what}: expected a regular file")
        if status.st_size > _MOST_BYTES:
            raise InputError(f"{path} is not {what}: it has {status.st_size:,} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not {what}: {error}") from None


def _parsed(path: Path, what: str, load: Callable[[str], Any]) -> Any:
    try:
        return load(read_text(path, what))
    except ValueError as error:
        raise InputError(f"{path} is not {what}: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is not {what}: its tables are nested too deeply") from None


def parse(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """The values as a ``model``; raises InputError that names ``where`` and the first fault."""
    from pydantic import ValidationError

    try:
        return model.model_validate(dict(values))
    except ValidationError as error:  # never UnknownNameError: a reader of records may take that for "no such record"
        raise InputError(str(first_problem(error, where, model))) from None


def write_json(path: Path | str, values: Mapping[str, Any], indent: int = 1) -> None:
    """Seal values and write them as JSON, whole or not at all.

    Args:
        path: the file.
        values: what JSON can hold; NaN and infinity are refused with ValueError.
        indent: of each level, so that a changed value is a changed line.
    """
    write_text(path, json.dumps(seal(values), indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def write_toml(path: Path | str, values: Mapping[str, Any]) -> None:
    """Seal values and write them as TOML, whole or not at all."""
    import tomli_w

    write_text(path, tomli_w.dumps(seal(values)))


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with their checksum, which replaces an older one; to be written by who has made or read them."""
    content = {key: value for key, value in values.items() if key != KEY}
    return {**content, KEY: checksum(content)}


def unseal(values: Mapping[str, Any], path: Path | str) -> dict[str, Any]:
    """The values without their checksum; raises InputError where there is none or it is not theirs."""
    content = dict(values)
    if KEY not in content:
        raise InputError(f"{path} has no checksum, as records of an earlier srbench: `srbench migrate` gives it one")
    if content.pop(KEY) != checksum(content):
        raise InputError(
            f"{path} is not what was written: its content does not have its checksum; measure or copy it anew"
        )
    return content


def refuse_newer(values: Mapping[str, Any], path: Path | str, newest: int) -> None:
    """Raise InputError for a record of a later schema than this version reads, before its unknown keys are looked at."""
    version = values.get("schema_version")
    if isinstance(version, int) and version > newest:
        known = f"this srbench reads up to {newest}: install a newer one"
        raise InputError(f"{path} has schema version {version}; {known}")


def read_each(paths: Iterable[Path], read: Callable[[Path], R], broken: list[SrbenchError] | None) -> list[R]:
    """What ``read`` makes of each file, without those that another process removed after the folder was listed.

    Args:
        paths: the files.
        read: makes a record of a file; raises InputError for a broken one.
        broken: takes what is wrong with each broken file, which is then left out; None raises it.
    """
    found = []
    for path in paths:
        try:
            found.append(read(path))
        except FileNotFoundError:
            continue
        except InputError as error:
            if broken is None:
                raise
            broken.append(error)
    return found


def is_sealed(values: Mapping[str, Any]) -> bool:
    """Whether there is a checksum; records of before it had none."""
    return KEY in values


def checksum(content: Mapping[str, Any]) -> str:
    """sha256 of JSON values in one form: keys sorted, no spaces, numbers as Python writes them."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def _refuse(token: str) -> float:
    raise ValueError(f"{token} is not JSON; infinity is the string 'inf'")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _toml_float(text: str) -> float:
    """TOML has words for what is not finite, and a recipe may use them; a number that overflows is none of them."""
    return float(text) if text.strip("+-") in ("inf", "nan") else _finite(text)


def _bounded(text: str) -> int:
    if len(text) > 20 or not -_MOST <= (value := int(text)) < _MOST:
        raise ValueError(f"{text[:20]}… has more digits than 64 bits hold")
    return value
