"""The rules of reading: nothing outside the segments, and never more work than the message is long."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from scaler_batch.wire import capnp
from scaler_batch.wire import messages as m
from scaler_batch.wire.capnp import (
    BYTE_ELEMENTS,
    MAX_ELEMENTS,
    POINTER_ELEMENTS,
    STRUCT_WEIGHT,
    Reader,
    put_blob,
    put_list,
    put_struct,
    split_segments,
)
from scaler_batch.wire.envelope import decode, encode
from scaler_batch.wire.errors import LocalProtocolError, RemoteProtocolError


def framed(*segments: bytes) -> bytes:
    table = struct.pack(f"<{len(segments) + 1}I", len(segments) - 1, *(len(s) // 8 for s in segments))
    return table + bytes(-len(table) % 8) + b"".join(segments)


def word(low: int, high: int) -> bytes:
    return struct.pack("<iI", low, high)


def blob_at(*segments: bytes) -> bytes:
    reader = Reader(framed(*segments))
    return reader.blob(reader.segments[0], 0)


MIB = 1024 * 1024
BLOB_8 = 8 << 3 | BYTE_ELEMENTS


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "no room for a table"),
        (b"\0" * 7, "no room for a table"),
        (struct.pack("<II", 512, 0), "513 segments"),
        (struct.pack("<II", 3, 0), "ends within its table"),
        (struct.pack("<II", 0, 1), "announces 16 bytes and has 8"),
        (struct.pack("<II", 0, 0) + bytes(8), "announces 8 bytes and has 16"),
        (struct.pack("<II", 0, 0xFFFFFFFF), "announces"),
    ],
)
def test_a_table_that_does_not_agree_with_the_bytes_is_refused(message: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        split_segments(message)


def test_segments_are_found_whatever_their_number() -> None:
    for count in range(1, 6):
        segments = [bytes([n]) * 8 * n for n in range(count)]
        assert split_segments(framed(*segments)) == segments


def test_a_near_pointer_may_lead_back() -> None:
    message = framed(b"landing!" + word(-2 << 2 | 1, BLOB_8))
    reader = Reader(message)
    assert reader.blob(reader.segments[0], 8) == b"landing!"


def test_a_far_pointer_leads_to_another_segment() -> None:
    assert blob_at(word(0 << 3 | 2, 1), word(0 << 2 | 1, BLOB_8) + b"landing!") == b"landing!"


def test_a_far_pointer_of_two_words_leads_to_a_third_segment() -> None:
    pad = word(0 << 3 | 2, 2) + word(1, BLOB_8)
    assert blob_at(word(0 << 3 | 4 | 2, 1), pad, b"landing!") == b"landing!"


@pytest.mark.parametrize(
    ("segments", "complaint"),
    [
        ([word(0 << 2 | 1, BLOB_8)], "out of its segment"),
        ([word(-9 << 2 | 1, BLOB_8)], "out of its segment"),
        ([word(3, 0)], "of kind 3"),
        ([word(0, 1 << 16), bytes(8)], "of kind 0 where kind 1"),
        ([word(0 << 2 | 1, 8 << 3 | POINTER_ELEMENTS)], "elements of kind 6 where kind 2"),
        ([word(2, 5)], "segment 5 of 1"),
        ([word(7 << 3 | 2, 1), bytes(8)], "out of its segment"),
        ([word(0 << 3 | 2, 1), word(0 << 3 | 2, 1)], "landing pad is of kind 2"),
        ([word(0 << 3 | 4 | 2, 1), bytes(8)], "out of its segment"),
        ([word(0 << 3 | 4 | 2, 1), bytes(16)], "does not start with a far pointer"),
        ([word(0 << 3 | 4 | 2, 1), word(2, 9) + word(1, BLOB_8)], "segment 9 of 2"),
        ([word(0 << 3 | 4 | 2, 1), word(2, 1) + word(0, BLOB_8)], "landing pad is of kind 0"),
        ([word(0 << 3 | 4 | 2, 1), word(9 << 3 | 2, 0) + word(1, BLOB_8)], "out of its segment"),
    ],
)
def test_a_pointer_that_leads_astray_is_refused(segments: list[bytes], complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        blob_at(*segments)


def envelope(number: int, data_words: int, pointers: int, body: bytes) -> bytes:
    root = word(0, 1 | 1 << 16)
    return framed(root + struct.pack("<Q", number) + word(0, data_words | pointers << 16) + body)


def task_with_arguments(pointer: bytes, rest: bytes) -> bytes:
    return envelope(0, 0, 6, bytes(32) + pointer + bytes(8) + rest)


def test_pointing_at_the_same_bytes_again_and_again_is_refused() -> None:
    # 1,000 results that all name the same 8 kB: 16 kB that would read as 8 MB.
    count, blob = 1000, b"x" * 8192
    body = bytes(24) + word(0 << 2 | 1, count << 3 | POINTER_ELEMENTS)
    pointers = b"".join(word((count - n - 1) << 2 | 1, len(blob) << 3 | BYTE_ELEMENTS) for n in range(count))
    with pytest.raises(RemoteProtocolError, match="again and again"):
        decode(envelope(3, 1, 3, body + pointers + blob))


@pytest.mark.parametrize("count", [1, (1 << 29) - 1])
@pytest.mark.parametrize("padding", [0, 32 * MIB])
def test_a_list_of_elements_without_size_is_refused_whatever_it_is_padded_with(count: int, padding: int) -> None:
    tag = word(count << 2, 0)
    with pytest.raises(RemoteProtocolError, match="elements without a size"):
        decode(task_with_arguments(word(1 << 2 | 1, 0 << 3 | 7), tag + bytes(padding)))


def test_an_empty_list_of_elements_without_size_is_an_empty_list() -> None:
    task = decode(task_with_arguments(word(1 << 2 | 1, 0 << 3 | 7), word(0, 0)))
    assert isinstance(task, m.Task)
    assert task.arguments == ()


def delete_of(objects: int) -> m.ObjectInstruction:
    return m.ObjectInstruction(m.InstructionKind.DELETE, b"", m.ObjectMetadata((b"",) * objects, (), ()))


def task_of(arguments: int) -> m.Task:
    return m.Task(b"t", b"c", b"", b"f", (m.Argument(m.ArgumentKind.TASK, b""),) * arguments)


@pytest.mark.parametrize(
    ("make", "most"), [(delete_of, MAX_ELEMENTS), (task_of, MAX_ELEMENTS // STRUCT_WEIGHT)], ids=["objects", "structs"]
)
def test_lists_are_read_up_to_a_number_of_elements(make: Callable[[int], m.Message], most: int) -> None:
    assert decode(encode(make(most))) == make(most)
    with pytest.raises(RemoteProtocolError, match="more elements than"):
        decode(encode(make(most + 1)))


def test_the_elements_of_all_lists_of_a_message_count_together() -> None:
    half = MAX_ELEMENTS // 2 + 1
    names = m.ObjectMetadata((b"",) * half, (), (b"",) * half)
    with pytest.raises(RemoteProtocolError, match="more elements than"):
        decode(encode(m.ObjectInstruction(m.InstructionKind.DELETE, b"", names)))


def test_far_pointers_that_lead_in_a_circle_are_refused() -> None:
    here, there = word(0 << 3 | 2, 1), word(0 << 3 | 2, 0)
    with pytest.raises(RemoteProtocolError, match="landing pad"):
        decode(framed(here, there))


def test_a_far_pointer_to_itself_is_refused() -> None:
    for pad in (2, 6):  # a landing pad of one word, and of two
        with pytest.raises(RemoteProtocolError):
            decode(framed(word(0 << 3 | pad, 0) + word(0 << 3 | 2, 0)))


def test_many_segments_that_one_list_leads_to_again_and_again_are_paid_for_each_time() -> None:
    # 400 pointers, all far, to the one segment that holds 80 kB: 32 MB out of 83 kB.
    count, blob = 400, b"x" * 80_000
    body = bytes(24) + word(0 << 2 | 1, count << 3 | POINTER_ELEMENTS)
    far = word(0 << 3 | 2, 1) * count
    pad = word(0 << 2 | 1, len(blob) << 3 | BYTE_ELEMENTS)
    first = word(0, 1 | 1 << 16) + struct.pack("<Q", 3) + word(0, 1 | 3 << 16) + body + far
    with pytest.raises(RemoteProtocolError, match="again and again"):
        decode(framed(first, pad + blob))


@pytest.mark.parametrize(
    ("tag", "words", "complaint"),
    [
        (word(1, 1 | 1 << 16), 0, "does not say how"),
        (word(-1 << 2, 1 | 1 << 16), 0, "does not say how"),
        (word(2 << 2, 1 | 1 << 16), 2, "more elements than it has room for"),
        (word(1 << 2, 0xFFFF | 0xFFFF << 16), 2, "more elements than it has room for"),
    ],
)
def test_a_list_of_structs_that_does_not_add_up_is_refused(tag: bytes, words: int, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        decode(task_with_arguments(word(1 << 2 | 1, words << 3 | 7), tag + bytes(words * 8)))


def test_a_list_of_plain_elements_is_no_list_of_structs() -> None:
    with pytest.raises(RemoteProtocolError, match="where structs were expected"):
        decode(task_with_arguments(word(1 << 2 | 1, 1 << 3 | 5), bytes(8)))


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (framed(b""), "no root"),
        (framed(bytes(8)), "root of a message is null"),
        (framed(word(0, 1) + bytes(8)), "kind 0 has no body"),
        (framed(word(1 << 2 | 1, BLOB_8) + bytes(8)), "of kind 1 where kind 0"),
    ],
)
def test_an_envelope_that_holds_nothing_is_refused(message: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        decode(message)


def test_an_empty_envelope_means_a_message_of_kind_0_without_content() -> None:
    assert decode(framed(word(0, 1 << 16) + bytes(8))) is not None


@pytest.mark.parametrize("text", [b"no end..", b"\xff\xfe\xfd\0\0\0\0\0"])
def test_a_text_that_is_none_is_refused(text: bytes) -> None:
    body = bytes(16) + word(0 << 2 | 1, BLOB_8) + text
    with pytest.raises(RemoteProtocolError, match=r"TaskLog\.content: a text"):
        decode(envelope(4, 1, 2, body))


def test_writing_makes_what_reading_finds() -> None:
    out = bytearray(8)
    start = put_struct(out, 0, 1, 2)
    put_blob(out, start + 8, b"twelve bytes")
    assert put_list(out, start + 16, POINTER_ELEMENTS, 3) == len(out) - 24
    reader = Reader(framed(bytes(out)))
    found = reader.find_struct(reader.segments[0], 0)
    assert found is not None
    segment, start, data_words, pointers = found
    assert (start, data_words, pointers) == (8, 1, 2)
    assert reader.blob(segment, start + 8) == b"twelve bytes"
    assert reader.find_list(segment, start + 16, POINTER_ELEMENTS) == (segment, 48, 3)


def test_what_is_too_long_to_be_announced_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capnp, "MAX_BLOB", 9)
    with pytest.raises(LocalProtocolError, match="list of 10 elements"):
        put_blob(bytearray(8), 0, b"ten bytes.")
