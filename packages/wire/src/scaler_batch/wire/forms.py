"""What lies behind pointers, apart from structs: bytes, texts, and lists of them, of numbers and of choices."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .capnp import POINTER_ELEMENTS, SHORT_ELEMENTS, WORD, WORD_ELEMENTS, Reader, put_blob, put_list
from .errors import LocalProtocolError, RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Form:
    """How something behind a pointer is read and written, and what a null pointer stands for."""

    read: Callable[[Reader, bytes, int], Any]
    write: Callable[[bytearray, int, Any], None]
    empty: Any


def member_of(enum: type[IntEnum]) -> Callable[[int], IntEnum]:
    """Return what turns a number from the wire into a member of `enum`, and refuses one that is none."""
    members = {int(member): member for member in enum}

    def member(raw: int) -> IntEnum:
        try:
            return members[raw]
        except KeyError:
            raise RemoteProtocolError(f"{raw} is no {enum.__name__}") from None

    return member


def _read_text(reader: Reader, segment: bytes, at: int) -> str:
    blob = reader.blob(segment, at)
    if not blob:
        return ""
    if blob[-1]:
        raise RemoteProtocolError("a text does not end with a zero byte")
    try:
        return blob[:-1].decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"a text is not UTF-8: {error.reason}") from None


def _write_text(out: bytearray, at: int, text: str) -> None:
    if not text:
        return
    try:
        put_blob(out, at, text.encode() + b"\0")
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"a text cannot be UTF-8: {error.reason}") from None


BLOB = Form(Reader.blob, put_blob, b"")
TEXT = Form(_read_text, _write_text, "")


def _read_blobs(reader: Reader, segment: bytes, at: int) -> tuple[bytes, ...]:
    found = reader.find_list(segment, at, POINTER_ELEMENTS)
    if found is None:
        return ()
    target, start, count = found
    return tuple([reader.blob(target, start + i * WORD) for i in range(count)])


def _write_blobs(out: bytearray, at: int, blobs: Sequence[bytes]) -> None:
    if blobs:
        start = put_list(out, at, POINTER_ELEMENTS, len(blobs))
        for i, blob in enumerate(blobs):
            put_blob(out, start + i * WORD, blob)


BLOBS = Form(_read_blobs, _write_blobs, ())


def _plain(element: int, code: str, convert: Callable[[int], Any]) -> Form:
    def read(reader: Reader, segment: bytes, at: int) -> tuple[Any, ...]:
        found = reader.find_list(segment, at, element)
        if found is None:
            return ()
        target, start, count = found
        return tuple(map(convert, struct.unpack_from(f"<{count}{code}", target, start)))

    def write(out: bytearray, at: int, values: Sequence[int]) -> None:
        if values:
            start = put_list(out, at, element, len(values))
            struct.pack_into(f"<{len(values)}{code}", out, start, *values)

    return Form(read, write, ())


NUMBERS = _plain(WORD_ELEMENTS, "Q", int)


def choices(enum: type[IntEnum]) -> Form:
    """Return the form of a list of enums."""
    return _plain(SHORT_ELEMENTS, "H", member_of(enum))
