from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.sections import join, split


def body(index: bytes, values: bytes = b"") -> bytes:
    return struct.pack("<I", len(index)) + index + values


def test_the_layout_is_the_documented_one() -> None:
    assert join({"a": 1}, [b"xy", b""]) == body(b'{"a":1,"sizes":[2,0]}', b"xy")


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.lists(st.binary()))
def test_what_was_joined_splits_into_the_same(index: dict[str, int | str], values: list[bytes]) -> None:
    found, parts = split(join(index, values))
    assert {**index, "sizes": [len(value) for value in values]} == found
    assert parts == values


def test_values_are_views_into_the_body() -> None:
    joined = join({}, [b"value"])
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
