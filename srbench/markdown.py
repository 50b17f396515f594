"""Text and tables of GitHub-flavoured markdown. Whatever comes from a record is text: it can make neither markup nor HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from srbench.errors import InputError


class Markup(str):
    """Text that is markdown already and goes into a table as it is; whoever makes one has escaped what it holds."""

    __slots__ = ()


def escape(text: str) -> str:
    """Plain text as it may stand in a table cell or a line: one line, no cell border, no HTML, no entity, no link.

    >>> print(escape("a|b <script>"))
    a\\|b &lt;script>
    """
    line = " ".join(text.split())
    line = re.sub(r"\\(?=[!-/:-@\[-`{-~])", r"\\\\", line)  # a backslash before punctuation would escape it
    line = re.sub(r"&(?=#|\w+;)", "&amp;", line)
    return line.replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(")


def code(text: str) -> Markup:
    """Text in the letters of code."""
    line = " ".join(text.split())
    if not line:
        return Markup("")
    if "`" in line or "\\" in line:
        return Markup(
            "<code>" + html.escape(line).replace("|", "&#124;").replace("\\", "&#92;").replace("`", "&#96;") + "</code>"
        )
    return Markup("`" + line.replace("|", "\\|") + "`")


def bold(text: str) -> Markup:
    """Text in bold; markup stays markup."""
    return Markup(f"**{_cell(text)}**")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A pipe table, each line with its newline.

    Args:
        columns: the heads.
        rows: as many cells a row as there are columns. A :class:`Markup` goes in as it is, other text is escaped.
        align: a letter a column, ``l``, ``r`` or ``c``; all to the left where it is empty.

    Raises:
        ValueError: a row or ``align`` has another number of cells than ``columns``.

    >>> print(table(["model", "PSNR"], [["espcn|s", "30.71"]], "lr"), end="")
    | model | PSNR |
    | :--- | ---: |
    | espcn\\|s | 30.71 |
    """
    letters = align or "l" * len(columns)
    rules = [Markup({"l": ":---", "r": "---:", "c": ":---:"}[letter]) for letter in letters]
    lines: list[Sequence[str]] = [columns, rules, *rows]
    wrong = next((line for line in lines if len(line) != len(columns)), None)
    if wrong is not None:
        raise ValueError(f"a table of {len(columns)} columns has a line of {len(wrong)} cells: {list(wrong)!r}")
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def marks(name: str) -> tuple[str, str]:
    """The marks around a part of a page that a command writes.

    >>> marks("aims")
    ('<!-- aims:start -->', '<!-- aims:end -->')
    """
    return f"<!-- {name}:start -->", f"<!-- {name}:end -->"


def marked_part(page: str, name: str, where: Path | str) -> tuple[str, str, str]:
    """What stands before a marked part, with its mark; the part; and its end mark with all that follows.

    Args:
        page: the text.
        name: of the part, as in :func:`marks`.
        where: names the page in an error.

    Raises:
        InputError: the page has no such marks.
    """
    start, end = marks(name)
    before, opened, rest = page.partition(start)
    part, closed, after = rest.partition(end)
    if not opened:
        raise InputError(f"{where} has no {start} with {end} behind it")
    if not closed:
        raise InputError(f"{where} has {start} without {end} after it")
    return before + start, part, end + after


def with_part(page: str, name: str, part: str, where: Path | str) -> str:
    """The page with another marked part, which begins on a line of its own; arguments and errors as of :func:`marked_part`."""
    before, _, after = marked_part(page, name, where)
    return f"{before}\n{part}{after}"


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)
