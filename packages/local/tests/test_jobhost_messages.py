from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local.jobhost import messages
from scaler_batch.local.jobhost.lines import LineSplitter

MESSAGES = st.one_of(
    st.builds(messages.Start, st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text())),
    st.builds(messages.Stop, st.text(), st.integers(1, 64)),
    st.builds(messages.Output, st.text(), st.floats(0, 1e10), st.lists(st.text())),
    st.builds(messages.Ended, st.text(), st.integers(0, 255), st.floats(0, 1e6)),
    st.builds(messages.Refused, st.text(), st.text()),
)


@given(MESSAGES)
def test_a_message_is_one_line_and_comes_back_the_same(message: messages.Message) -> None:
    line = messages.encode(message)
    assert line.count(b"\n") == 1
    assert messages.decode(line) == message


@given(st.binary() | st.sampled_from([b"[]", b"{}", b'["Start",{}]', b'["Nothing",{}]', b"[1,2]", b'[["a"],{}]']))
def test_what_is_no_message_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        messages.decode(line)


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_come(pieces: list[bytes], longest: int) -> None:
    piecewise, at_once = LineSplitter(longest), LineSplitter(longest)
    lines = [line for piece in pieces for line in piecewise.feed(piece)] + piecewise.finish()
    assert lines == at_once.feed(b"".join(pieces)) + at_once.finish()
    assert all(lines)
    assert all(len(line) <= longest for line in lines)


def test_lines_are_given_out_when_they_are_complete() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\n\ntw") == ["one"]
    assert splitter.feed("ö\nthree".encode()) == ["twö"]
    assert splitter.finish() == ["three"]
    assert splitter.finish() == []


def test_bytes_that_are_no_text_do_not_stop_the_rest() -> None:
    assert LineSplitter().feed(b"a\xff\nb\n") == ["a�", "b"]
