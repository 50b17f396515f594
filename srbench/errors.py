"""The few kinds of failure that srbench reports; the command line shows them as one line and exits with code 1.

A message says the bad value, where it stands, what is allowed and, for names, the nearest allowed one.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
import reprlib
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


P = ParamSpec("P")
T = TypeVar("T")
DEBUG = "SRBENCH_DEBUG"


class SrbenchError(Exception):
    """Something that the user can fix. The message is one line."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the one line, as on the command line. With ``SRBENCH_DEBUG`` the whole way there."""
        if os.environ.get(DEBUG):
            return traceback.format_exception(self)
        return [f"{type(self).__name__}: {self}"]


class UnknownNameError(SrbenchError):
    """A name that is in no registry, catalog or file."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str], where: str = "") -> None:
        super().__init__(unknown(kind, name, allowed, where))


class InputError(SrbenchError):
    """A file, folder, array or value that cannot be used as it is."""


class InUseError(InputError):
    """A folder that another process holds: what is wanted of it comes about without us, or has to wait."""


class UnavailableError(SrbenchError):
    """A cell that has no number, with the status that a result stores in its place.

    Statuses: ``no_weights``, ``unavailable``, ``unsupported_scale``, ``unsupported_protocol``, ``oom``, ``failed``.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class MissingExtraError(UnavailableError):
    """An optional package that is not installed, or does not import; the message ends in the command that brings it.

    Args:
        what: who needs which package.
        extra: of srbench that has it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__("unavailable", f"{what}: {install(extra)}")


def install(extra: str) -> str:
    """The command that installs srbench with an extra.

    >>> install("onnx")
    "pip install 'srbench[onnx]'"
    """
    return f"pip install 'srbench[{extra}]'"


def without_inner_frames(function: Callable[P, T]) -> Callable[P, T]:
    """The function, whose SrbenchErrors show the caller's line and the message, and not where in srbench they arose.

    The environment variable ``SRBENCH_DEBUG`` shows all.
    """

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except SrbenchError as error:
            if os.environ.get(DEBUG):
                raise
            raise error.with_traceback(None) from None

    return run


def counted(number: int, noun: str) -> str:
    """So many of something, for a message.

    >>> counted(1, "HR image"), counted(1200, "image")
    ('1 HR image', '1,200 images')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like ``name``, or None where none is alike."""
    found = difflib.get_close_matches(name.lower(), list(allowed), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, name: str, allowed: Iterable[str], where: str = "") -> str:
    """One line: what is unknown, where it stands, the nearest name and what is allowed."""
    names = sorted(allowed)
    guess = nearest(name, names)
    hint = f" Did you mean {guess!r}?" if guess else ""
    known = ", ".join(names) if names else "(none)"
    place = f" in {where}" if where else ""
    return f"unknown {kind} {name!r}{place}.{hint} Known: {known}"


def first_problem(
    error: ValidationError, where: str, allowed: type[BaseModel] | Iterable[str] = (), kind: str = "key"
) -> SrbenchError:
    """The first complaint of pydantic as one line: the place, the bad value, what is expected, the nearest key or word.

    Args:
        error: what ``model_validate`` raised.
        where: the file, or what else was read.
        allowed: the model, whose tables and keys are then known at any depth, or the keys of the uppermost table.
        kind: what a key is called, such as ``"recipe key"``.

    Returns:
        UnknownNameError for an unknown key, else InputError; to be raised ``from None``.
    """
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        table = ".".join(place[:-1])
        return UnknownNameError(
            kind, place[-1], _keys(allowed, first["loc"][:-1]), f"{table} of {where}" if table else where
        )
    message = " ".join(str(first["msg"]).removeprefix("Value error, ").split())
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        guess = nearest(first["input"], re.findall(r"'([^']*)'", message))
        message += f". Did you mean {guess!r}?" if guess else ""
    key = ".".join(place)
    # What a missing key and a rule over several keys are given is the whole table.
    given = "" if first["type"] == "missing" or isinstance(first["input"], dict) else f" = {_short(first['input'])}"
    return InputError(f"{where}: {key}{given}: {message}" if key else f"{where}: {message}")


def _short(value: Any) -> str:
    """A value on one line of bounded length: records hold lists of thousands."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    try:
        return " ".join(short.repr(value).split())
    except ValueError:  # an integer of more digits than Python writes out
        return f"a very long {type(value).__name__}"


def _keys(allowed: type[BaseModel] | Iterable[str], place: Sequence[int | str]) -> list[str]:
    """The keys of the table at ``place`` below a model; none where the model does not say."""
    if not isinstance(allowed, type):
        return list(allowed)
    found: Any = allowed
    for part in place:
        fields = getattr(found, "model_fields", {})
        # A list's index and a dictionary's key stay at the annotation that their field brought.
        found = _model_in(fields[part].annotation) if part in fields else found
    return list(getattr(found, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model within an annotation such as ``dict[str, Model]`` or ``Model | None``; None where there is none."""
    if hasattr(annotation, "model_fields"):
        return annotation
    parts = getattr(annotation, "__args__", ())
    return next((found for part in parts if (found := _model_in(part)) is not None), None)
