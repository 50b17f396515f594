"""The few kinds of failure that srbench reports; the command line turns them into one line and exit code 1.

A message says the bad value, where it stands, what is allowed and, for names, the nearest allowed one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SrbenchError(Exception):
    """Something that the user can mend. The message is one line."""


class UnknownNameError(SrbenchError):
    """A name that no registry, catalog or file knows."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str], where: str = "") -> None:
        super().__init__(unknown(kind, name, allowed, where))


class InputError(SrbenchError):
    """A file, folder, array or value that cannot be used as it is."""


class UnavailableError(SrbenchError):
    """A cell that has no number, with the status that a result stores in its place.

    Statuses: ``no_weights``, ``unavailable``, ``unsupported_scale``, ``unsupported_protocol``, ``oom``, ``failed``.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


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
