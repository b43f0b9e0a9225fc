from __future__ import annotations

from dataclasses import dataclass

import pytest

from scaler_batch.wire.capnp import WORD, Reader
from scaler_batch.wire.forms import BLOB
from scaler_batch.wire.layout import Choice, Flag, Number, Pointer, layout
from scaler_batch.wire.messages import LogStream


@dataclass(frozen=True)
class Mixed:
    blob: bytes
    big: int
    on: bool
    stream: LogStream
    off: bool
    small: int


MIXED = layout(
    Mixed,
    2,
    1,
    {
        "big": Number("Q", 64),
        "small": Number("H", 0),
        "stream": Choice(LogStream, 16),
        "on": Flag(33),
        "off": Flag(39),
        "blob": Pointer(0, BLOB),
    },
)


def test_fields_lie_where_the_table_says_whatever_their_order() -> None:
    out = bytearray(3 * WORD)
    MIXED.write(out, 0, Mixed(b"", 0x0102030405060708, True, LogStream.STDERR, False, 0xABCD))
    assert out.hex() == "cdab0100" + "02000000" + "0807060504030201" + "00" * 8
    MIXED.write(out, 0, Mixed(b"", 0, False, LogStream.STDOUT, True, 0))
    assert out.hex() == "00000000" + "80000000" + "00" * 16


def test_a_shorter_struct_is_filled_up_with_zeros() -> None:
    segment = bytes.fromhex("cdab010002000000")
    message = Reader(bytes(8))
    assert MIXED.read(message, segment, 0, 1, 0) == Mixed(b"", 0, True, LogStream.STDERR, False, 0xABCD)
    assert MIXED.read(message, segment, 0, 0, 0) == Mixed(b"", 0, False, LogStream.STDOUT, False, 0)


def test_a_table_names_every_field() -> None:
    with pytest.raises(TypeError, match="layout of Mixed"):
        layout(Mixed, 2, 1, {"big": Number("Q", 64)})
