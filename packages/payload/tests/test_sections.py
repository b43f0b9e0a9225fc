from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload.errors import MalformedError, OversizedError
from scaler_batch.payload.sections import MAX_INDEX, items, join, split, text, whole


def body(index: bytes, values: bytes = b"") -> bytes:
    return struct.pack("<I", len(index)) + index + values


def test_the_layout_is_the_documented_one() -> None:
    assert b"".join(join({"a": 1}, [b"xy", b""])) == body(b'{"a":1,"sizes":[2,0]}', b"xy")


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.lists(st.binary()))
def test_what_was_joined_splits_into_the_same(index: dict[str, int | str], values: list[bytes]) -> None:
    found, parts = split(b"".join(join(index, values)))
    assert {**index, "sizes": [len(value) for value in values]} == found
    assert parts == values


def test_values_are_pieces_as_they_are() -> None:
    value = memoryview(b"value")
    assert join({}, [value])[1] is value


def test_values_are_views_into_the_body() -> None:
    joined = b"".join(join({}, [b"value"]))
    assert split(joined)[1][0].obj is joined


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\0\0\0",
        body(b""),
        body(b"{"),
        body(b"[]"),
        body(b"null"),
        body(b"{}"),
        body(b'{"sizes":null}'),
        body(b'{"sizes":{}}'),
        body(b'{"sizes":[-1,1]}'),
        body(b'{"sizes":[true]}', b"x"),
        body(b'{"sizes":[1.0]}', b"x"),
        body(b'{"sizes":["1"]}', b"x"),
        body(b'{"sizes":[1e999]}', b"x"),
        body(b'{"sizes":[2]}', b"x"),
        body(b'{"sizes":[]}', b"x"),
        body(b'{"sizes":[99999999999999999999999999]}', b"x"),
        body(b'{"sizes":[' + b"9" * 5000 + b"]}", b"x"),
        body(b"\xff\xfe{}"),
        body(b"[" * 100_000),
        struct.pack("<I", 2**32 - 1) + b"{}",
    ],
)
def test_what_is_no_such_body_is_refused(malformed: bytes) -> None:
    with pytest.raises(MalformedError):
        split(malformed)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (whole, [0, 1, 2**63 - 1], [2**63, 10**30, -1, True, False, 1.0, "1", None, [], {}]),
        (text, ["", "a", "ü\0"], ["\ud800", None, 1, True, [], {}, ["a"]]),
        (items, [[], [1]], [None, 1, "ab", {}, {"a": 1}]),
    ],
)
def test_an_entry_is_what_it_has_to_be_or_refused(check: Callable[[Any], Any], good: list[Any], bad: list[Any]) -> None:
    assert [check(entry) for entry in good] == good
    for entry in bad:
        with pytest.raises(ValueError, match="not a"):
            check(entry)


def test_an_index_beyond_what_the_reader_accepts_is_refused_before_it_is_read() -> None:
    written = body(b'{"sizes":[]}')
    assert split(written, max_index=12) == ({"sizes": []}, [])
    with pytest.raises(OversizedError, match="12 bytes"):
        split(written, max_index=11)
    with pytest.raises(OversizedError):
        split(body(b"[" * (MAX_INDEX + 1)))


def test_text_that_utf_8_cannot_carry_is_written_as_json_does() -> None:
    index, _ = split(b"".join(join({"text": "ü\ud800"}, [])))
    assert index["text"] == "ü\ud800"
