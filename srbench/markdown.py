"""Text and tables of GitHub-flavoured markdown. Whatever comes from a record is text: it can make neither markup nor HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence


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


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)
