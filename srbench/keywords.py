"""Keyword arguments of the public functions: typed once, shown in their signatures, and a wrong one is told the nearest."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from srbench.errors import UnknownNameError

P = ParamSpec("P")
T = TypeVar("T")


def typed_keywords(
    *typed: type, defaults: Mapping[str, object] | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function whose ``**options`` are those of typed dictionaries (``Unpack``).

    The signature that ``help`` and completion show lists each of them; a call with any other name raises UnknownNameError.

    Args:
        typed: subclasses of TypedDict, whose keys the function takes besides its own arguments.
        defaults: of the keys, for the signature; None where it has none.
    """
    hints = {name: hint for one in typed for name, hint in one.__annotations__.items()}
    shown = defaults or {}

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=shown.get(name),
                annotation=getattr(hint, "__forward_arg__", hint),
            )
            for name, hint in hints.items()
        ]
        names = [*(p.name for p in own), *hints]

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in kwargs:
                if name not in names:
                    raise UnknownNameError("argument", name, names, f"{function.__name__}()")
            return function(*args, **kwargs)

        decorated: Any = call
        decorated.__signature__ = signature.replace(parameters=[*own, *more])
        return decorated

    return decorate


def part_of(given: Mapping[str, object], kind: type) -> Any:
    """Those of the keyword arguments that a typed dictionary has."""
    return {name: value for name, value in given.items() if name in kind.__annotations__}
