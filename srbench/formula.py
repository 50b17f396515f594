"""Arithmetic in text, evaluated without running anything: ``(1 - lpips) + musiq / 100``.

Numbers, names, ``+ - * / **``, brackets, and the functions ``abs exp log log10 max min sqrt``. A metric's name has ``_`` where
it is written with ``-``, for ``-`` is a minus.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from srbench.errors import InputError

Values = NDArray[np.float64]

_LONGEST = 1000  # characters
_DEEPEST = 60  # nested brackets and functions

_FUNCTIONS: dict[str, tuple[Callable[..., Values], int, int | None]] = {
    "abs": (np.abs, 1, 1),
    "exp": (np.exp, 1, 1),
    "log": (np.log, 1, 1),
    "log10": (np.log10, 1, 1),
    "sqrt": (np.sqrt, 1, 1),
    "max": (lambda *values: _fold(np.maximum, values), 2, None),
    "min": (lambda *values: _fold(np.minimum, values), 2, None),
}
_OPERATORS: dict[type[ast.operator], Callable[[Values, Values], Values]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}


class Formula:
    """One formula.

    Args:
        text: the formula.
        where: the file or composite that it stands in, for messages.

    Attributes:
        names: what it takes values of, in the order of their first appearance.

    Raises:
        InputError: the text is no such formula; the message says which part is not.

    >>> found = Formula("(1 - lpips) + max(0, (10 - niqe) / 10)")
    >>> found.names
    ('lpips', 'niqe')
    >>> float(found({"lpips": np.array(0.25), "niqe": np.array(4.0)}))
    1.35
    """

    def __init__(self, text: str, where: str = "the formula") -> None:
        self.text = text
        self._where = where
        if len(text) > _LONGEST:
            raise InputError(f"{where}: a formula of {len(text)} characters; at most {_LONGEST} are allowed")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise InputError(f"{where}: {text!r} is no formula, such as '(1 - lpips) + musiq / 100'") from None
        self.names: tuple[str, ...] = tuple(dict.fromkeys(self._check(self._tree, 0)))
        if not self.names:
            raise InputError(f"{where}: {text!r} names no metric")

    def __call__(self, values: Mapping[str, Values]) -> Values:
        """The value, broadcast over arrays; infinite or NaN where the arithmetic has no finite result.

        Args:
            values: of every name.
        """
        with np.errstate(all="ignore"):
            return np.asarray(self._value(self._tree, values), dtype=np.float64)

    def _check(self, node: ast.AST, depth: int) -> Iterator[str]:
        """The names below a node; InputError where it is anything but arithmetic."""
        if depth > _DEEPEST:
            raise InputError(f"{self._where}: the formula is nested more than {_DEEPEST} deep")
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool) and abs(number) < 1e300:
                return
            case ast.Name(id=name):
                yield name
                return
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
                parts: list[ast.expr] = [inner]
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                parts = [left, right]
            case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
                self._check_call(name, len(parts))
            case _:
                raise self._refused(node)
        for part in parts:
            yield from self._check(part, depth + 1)

    def _check_call(self, name: str, count: int) -> None:
        if name not in _FUNCTIONS:
            raise InputError(f"{self._where}: unknown function {name!r}. Known: {', '.join(sorted(_FUNCTIONS))}")
        _, least, most = _FUNCTIONS[name]
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if most == least else f"{least} or more"
            raise InputError(f"{self._where}: {name}() has {count} values; expected {wanted}")

    def _refused(self, node: ast.AST) -> InputError:
        part = ast.unparse(node)
        allowed = f"numbers, names, + - * / **, brackets, and {', '.join(sorted(_FUNCTIONS))}"
        return InputError(f"{self._where}: {part[:60]!r} is not allowed in a formula; expected {allowed}")

    def _value(self, node: ast.AST, values: Mapping[str, Values]) -> Values:
        match node:
            case ast.Constant(value=int() | float() as number):
                return np.float64(number)  # type: ignore[return-value]
            case ast.Name(id=name):
                return values[name]
            case ast.UnaryOp(op=operator, operand=inner):
                value = self._value(inner, values)
                return -value if isinstance(operator, ast.USub) else value
            case ast.BinOp(left=left, op=operator, right=right):
                return _OPERATORS[type(operator)](self._value(left, values), self._value(right, values))
            case ast.Call(func=ast.Name(id=name), args=parts):
                return _FUNCTIONS[name][0](*(self._value(part, values) for part in parts))
        raise AssertionError(f"{ast.dump(node)} passed the check")


def _fold(function: Callable[[Values, Values], Values], values: tuple[Values, ...]) -> Values:
    found = values[0]
    for value in values[1:]:
        found = function(found, value)
    return found
