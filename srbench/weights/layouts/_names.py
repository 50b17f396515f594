"""Names of one project in the place of another's, by patterns that are read easily."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_PART = re.compile(r"\{(\w)([-+]\d+)?\}")


class Names(Generic[T]):
    """Pairs of patterns, theirs and ours: ``{n}`` stands for a number, ``{p}`` for ``weight`` or ``bias``.

    In the second of a pair a number may be shifted: ``{"block_{n}.{p}": "body.{n-1}.{p}"}``. Ours empty drops the key.
    """

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._rules = [(re.compile(_pattern(theirs)), ours) for theirs, ours in pairs.items()]

    def translate(self, state: Mapping[str, T]) -> dict[str, T] | None:
        """``state`` in our names; None where a key fits no pattern or two become one."""
        found: dict[str, T] = {}
        for key, value in state.items():
            fitting = ((rule.fullmatch(key), ours) for rule, ours in self._rules)
            match, ours = next(((m, ours) for m, ours in fitting if m), (None, ""))
            if match is None:
                return None
            if not ours:
                continue
            name = _filled(ours, match)
            if name in found:
                return None
            found[name] = value
        return found or None


def _pattern(theirs: str) -> str:
    parts, end = [], 0
    for found in _PART.finditer(theirs):
        kind = r"(weight|bias)" if found[1] == "p" else r"(\d+)"
        parts += [re.escape(theirs[end : found.start()]), f"(?P<{found[1]}>{kind[1:-1]})"]
        end = found.end()
    return "".join([*parts, re.escape(theirs[end:])])


def _filled(ours: str, match: re.Match[str]) -> str:
    return _PART.sub(lambda part: str(int(match[part[1]]) + int(part[2])) if part[2] else match[part[1]], ours)
