"""From tables to code: a layout says where the fields of a dataclass lie in a struct, and is compiled to functions.

Reading and writing are built once, as closures over what the table says, so that handling a message does no looking up:
the data section is one call of a prepared `struct.Struct`, each pointer one call of the function for its form.
The values then reach the dataclass in the order of its fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from operator import attrgetter, itemgetter
from typing import Any

from .capnp import WORD, Reader, put_struct, put_structs
from .errors import RemoteProtocolError
from .forms import Form, member_of

ReadStruct = Callable[[Reader, bytes, int, int, int], Any]
"""(message, segment, start, words of data there, number of pointers there) -> value"""
WriteStruct = Callable[[bytearray, int, Any], None]
"""(output, start of the room already made, value)"""


@dataclass(frozen=True, slots=True)
class Number:
    """An integer in the data section; `code` is its letter in the `struct` module."""

    code: str
    bit: int


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean in the data section."""

    bit: int


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum in the data section."""

    enum: type[IntEnum]
    bit: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """A field in the pointer section."""

    index: int
    form: Form


Field = Number | Flag | Choice | Pointer


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of `type` lie in a struct of `data_words` words and `pointers` pointers, ready for use."""

    type: type[Any]
    data_words: int
    pointers: int
    read: ReadStruct
    write: WriteStruct


def layout(type_: type[Any], data_words: int, pointers: int, table: Mapping[str, Field]) -> Layout:
    """Compile a table; it names every field of the dataclass `type_`."""
    data = {name: field for name, field in table.items() if not isinstance(field, Pointer)}
    refs = {name: field for name, field in table.items() if isinstance(field, Pointer)}
    slots = _Slots(data_words, data)
    read = _compile_read(type_, slots, refs)
    return Layout(type_, data_words, pointers, read, _compile_write(slots, refs))


class _Slots:
    """The data section as the `struct` module sees it: one slot a number, booleans sharing the slot of their byte."""

    def __init__(self, words: int, table: Mapping[str, Number | Flag | Choice]) -> None:
        self.names = tuple(table)
        places = {name: _place(field) for name, field in table.items()}
        ordered = sorted(set(places.values()))
        self.index = tuple(ordered.index(places[name]) for name in self.names)
        self.from_raw = tuple(_from_raw(field) for field in table.values())
        self.to_raw = tuple(_to_raw(field) for field in table.values())
        self.packer = struct.Struct(_format(ordered, words * WORD))
        self.count = len(ordered)


def _place(field: Number | Flag | Choice) -> tuple[int, str]:
    match field:
        case Number(code, bit):
            return bit // 8, code
        case Flag(bit):
            return bit // 8, "B"
        case Choice(_, bit):
            return bit // 8, "H"


def _format(places: Sequence[tuple[int, str]], size: int) -> str:
    text, position = "<", 0
    for offset, code in places:
        text += "x" * (offset - position) + code
        position = offset + struct.calcsize("<" + code)
    return text + "x" * (size - position)


def _from_raw(field: Number | Flag | Choice) -> Callable[[int], Any]:
    match field:
        case Number():
            return int
        case Flag(bit):
            return lambda raw: bool(raw >> (bit & 7) & 1)
        case Choice(enum, _):
            return member_of(enum)


def _to_raw(field: Number | Flag | Choice) -> Callable[[Any], int]:
    if isinstance(field, Flag):
        mask = 1 << (field.bit & 7)
        return lambda value: mask if value else 0
    return int


def _compile_read(type_: type[Any], slots: _Slots, refs: Mapping[str, Pointer]) -> ReadStruct:
    plan = tuple(zip(slots.index, slots.from_raw, strict=True))
    size = slots.packer.size
    unpack_from, unpack = slots.packer.unpack_from, slots.packer.unpack
    pointers = tuple((name, ref.index, ref.form.read, ref.form.empty) for name, ref in refs.items())
    arrange = _arrange(type_, (*slots.names, *refs))

    def read(reader: Reader, segment: bytes, start: int, data_words: int, pointer_count: int) -> Any:
        values: list[Any] = []
        name, base = "", start + data_words * WORD
        try:
            if plan:
                if base - start >= size:
                    raw = unpack_from(segment, start)
                else:  # an older release, whose struct is shorter
                    raw = unpack(segment[start:base].ljust(size, b"\0"))
                values = [convert(raw[slot]) for slot, convert in plan]
            for name, index, follow, empty in pointers:  # noqa: B007 - named in the error
                values.append(follow(reader, segment, base + index * WORD) if index < pointer_count else empty)
        except RemoteProtocolError as error:
            where = f"{type_.__name__}.{name}" if name else type_.__name__
            raise RemoteProtocolError(f"{where}: {error}") from None
        return type_(*arrange(values))

    return read


def _arrange(type_: type[Any], names: Sequence[str]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what puts values, that come in the order of `names`, into the order of the fields of `type_`."""
    wanted = [field.name for field in fields(type_)]
    if sorted(wanted) != sorted(names):
        raise TypeError(f"the layout of {type_.__name__} does not name its fields")
    order = [names.index(name) for name in wanted]
    if order == list(range(len(order))):
        return lambda values: values
    return itemgetter(*order)


def _compile_write(slots: _Slots, refs: Mapping[str, Pointer]) -> WriteStruct:
    plan = tuple(zip(slots.index, slots.to_raw, map(attrgetter, slots.names), strict=True))
    pack_into, count, base = slots.packer.pack_into, slots.count, slots.packer.size
    pointers = tuple((attrgetter(name), base + ref.index * WORD, ref.form.write) for name, ref in refs.items())

    def write(out: bytearray, start: int, value: Any) -> None:
        if plan:
            raw = [0] * count
            for slot, convert, get in plan:
                raw[slot] |= convert(get(value))
            pack_into(out, start, *raw)
        for get, offset, put in pointers:
            put(out, start + offset, get(value))

    return write


def record(of: Layout) -> Form:
    """Return the form of a single struct."""
    empty = of.read(Reader(bytes(WORD)), b"", 0, 0, 0)

    def read(reader: Reader, segment: bytes, at: int) -> Any:
        found = reader.find_struct(segment, at)
        return empty if found is None else of.read(reader, *found)

    def write(out: bytearray, at: int, value: Any) -> None:
        of.write(out, put_struct(out, at, of.data_words, of.pointers), value)

    return Form(read, write, empty)


def records(of: Layout) -> Form:
    """Return the form of a list of structs."""
    stride = (of.data_words + of.pointers) * WORD

    def read(reader: Reader, segment: bytes, at: int) -> tuple[Any, ...]:
        found = reader.find_structs(segment, at)
        if found is None:
            return ()
        target, start, count, data_words, pointers = found
        step = (data_words + pointers) * WORD
        return tuple([of.read(reader, target, start + i * step, data_words, pointers) for i in range(count)])

    def write(out: bytearray, at: int, values: Sequence[Any]) -> None:
        if values:
            start = put_structs(out, at, len(values), of.data_words, of.pointers)
            for i, value in enumerate(values):
                of.write(out, start + i * stride, value)

    return Form(read, write, ())
