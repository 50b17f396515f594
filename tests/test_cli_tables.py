"""Tables of the command line: nothing is broken, whatever the width of the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from srbench.cli._common import fit_columns

words = st.text("abcdefgh0123456789.,", min_size=1, max_size=12)
prose = st.lists(words, min_size=3, max_size=12).map(" ".join)


@given(st.lists(st.lists(words | prose, min_size=4, max_size=4), min_size=1, max_size=6), st.integers(40, 240))
def test_what_is_shown_fits_and_breaks_no_word(cells: list[list[str]], width: int) -> None:
    heads = ["name", "value", "text", "more"]
    shown, hidden = fit_columns(heads, cells, width)
    assert sorted([*shown, *hidden]) == [0, 1, 2, 3]
    assert next(iter(shown)) == 0
    if len(shown) > 1:
        assert sum(shown.values()) + 2 * (len(shown) - 1) <= width
        for i, room in shown.items():
            assert room >= max(len(word) for row in cells for word in [*row[i].split(), heads[i]])


def test_prose_wraps_before_a_column_goes() -> None:
    cells = [["fsrcnn", "a title of quite some length, which wraps between words", "12,809"]]
    shown, hidden = fit_columns(["model", "paper", "parameters"], cells, 60)
    assert hidden == []
    assert (shown[0], shown[2]) == (6, 10)


def test_what_does_not_fit_goes_from_the_right() -> None:
    cells = [["edsr_baseline_x4.tuned", "1,517,571", "2026-11-24T11:47:08+00:00"]]
    assert fit_columns(["name", "parameters", "created"], cells, 40)[1] == [2]
