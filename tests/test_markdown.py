"""Markdown: whatever stands in a record comes out as text, in a table of as many cells as it has columns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srbench.markdown import Markup, bold, code, escape, table

HOSTILE = st.text(alphabet="ab |\\`*[]()<>&#;\n\t&lt;", max_size=24)


def cells(line: str) -> list[str]:
    """The cells of a row as cmark-gfm's scanner finds them: a backslash takes the next character with it."""
    return [cell.strip() for cell in re.findall(r"((?:\\[!-/:-@\[-`{-~]|[^|])*)\|", line.removeprefix("|"))]


@given(HOSTILE, HOSTILE)
def test_no_text_breaks_out_of_its_cell(first: str, second: str) -> None:
    lines = table(["a", "b", "c"], [[first, code(second), bold(first)]]).splitlines()
    assert len(lines) == 3
    assert [len(cells(line)) for line in lines] == [3, 3, 3]


@given(HOSTILE)
def test_plain_text_makes_no_html_and_no_link(text: str) -> None:
    made = escape(text)
    assert "<" not in made
    assert not re.search(r"\]\(", made)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", made.replace("\\\\", ""))


def test_markup_goes_in_as_it_is_and_code_keeps_its_text() -> None:
    assert table(["a"], [[Markup("<sup>1</sup>")]]).splitlines()[2] == "| <sup>1</sup> |"
    assert code("<b>") == "`<b>`"
    assert code("a|b") == "`a\\|b`"
    assert code("a`b\\|c<") == "<code>a&#96;b&#92;&#124;c&lt;</code>"
    assert escape("C:\\data, a_b 5 > 3 & 4") == "C:\\data, a_b 5 > 3 & 4"
    assert escape("&lt;") == "&amp;lt;"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns has a line of 1 cells"):
        table(["a", "b"], [["1"]])
    with pytest.raises(ValueError, match="2 columns"):
        table(["a", "b"], [], "l")
