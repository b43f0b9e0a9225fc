from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import printable

HOSTILE = [
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("\x1b]52;c;ZXZpbA==\x07", "\\x1b]52;c;ZXZpbA==\\x07"),
    ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x9b31m\x9d0;title\x9c", "\\x9b31m\\x9d0;title\\x9c"),
    ("honest\rforged", "honest\\rforged"),
    ("\x08\x7f\x00", "\\x08\\x7f\\x00"),
    ("\u202etxt.exe\u202c\u2066x\u2069", "\\u202etxt.exe\\u202c\\u2066x\\u2069"),
    ("a\u2028b\u200bc\ufeffd\U000e0041e", "a\\u2028b\\u200bc\\ufeffd\\U000e0041e"),
    ("half \ud800 pair", "half \\ud800 pair"),
]


@pytest.mark.parametrize(("text", "shown"), HOSTILE)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_people_write_stays() -> None:
    text = "tab\tline\n ü 中文 עברית 😀 \\x1b {} [bold]"
    assert printable(text) == printable(text, colours=True) == text


def test_a_program_may_have_colours_and_bars_and_no_more() -> None:
    assert printable("\r50 %|## |\x1b[1;31mred\x1b[0m", colours=True) == "\r50 %|## |\x1b[1;31mred\x1b[0m"
    for text, shown in (("\x1b[2J", "\\x1b[2J"), ("\x1b]0;t\x07", "\\x1b]0;t\\x07"), ("\x1b[31", "\\x1b[31")):
        assert printable(text, colours=True) == shown


@given(st.text())
def test_nothing_is_left_that_controls(text: str) -> None:
    shown = printable(text)
    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"} and one not in "\t\n"]
    assert printable(shown) == shown
    assert shown.encode() == shown.encode(errors="replace")
