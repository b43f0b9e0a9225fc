"""Cap'n Proto messages as bytes: stream framing, segments and pointers; nothing about what the messages mean.

A message is a table of segments followed by the segments, all in words of 8 bytes. Objects refer to each other by
pointers of one word: to a struct (some words of data, then some pointers), to a list, or *far*, into another segment,
where a landing pad of one word (or two) tells the rest. Peers use several segments for anything above about 8 KiB, so
reading follows far pointers; writing always makes one segment.

Whatever arrives may be hostile. Four rules keep the cost of reading proportional to the number of bytes received, and
below a second whatever that number is: every pointer is checked against its segment before it is followed; everything
that is followed is charged to a budget of words fixed by the size of the message (an honest message refers to each of
its words once); what is allocated is never more than what was charged for; and the elements of all lists together are
limited. Schemas here do not recurse, so depth needs no limit.
"""

from __future__ import annotations

import struct

from .errors import LocalProtocolError, RemoteProtocolError

WORD = 8
BYTE_ELEMENTS, SHORT_ELEMENTS, WORD_ELEMENTS, POINTER_ELEMENTS, STRUCT_ELEMENTS = 2, 3, 5, 6, 7
MAX_SEGMENTS = 512
MAX_ELEMENTS = 1 << 20
"""Elements of all lists of a message: as many objects as a client can have deleted at once."""
STRUCT_WEIGHT = 8
"""Elements that a struct counts for, which is about what it costs to read."""
MAX_BLOB = (1 << 29) - 1
"""The most elements that a pointer to a list can announce."""

_ELEMENT_BITS = (0, 1, 8, 16, 32, 64, 64)
_PADDING = tuple(bytes(n) for n in range(WORD))
_COUNT = struct.Struct("<I")
_POINTER = struct.Struct("<iI")
_POINTER_OUT = struct.Struct("<II")
_STRUCT, _LIST, _FAR = 0, 1, 2


Place = tuple[bytes, int, int]
"""What a pointer leads to: its segment, where it starts there, and the pointer's upper half, which tells its size."""


class Reader:
    """One received message: its segments, how many words may still be followed, and how many elements read."""

    __slots__ = ("budget", "elements", "segments")

    def __init__(self, message: bytes) -> None:
        self.segments = split_segments(message)
        # Twice the message leaves room for landing pads and for what the charging counts double.
        self.budget = len(message) // WORD * 2
        self.elements = MAX_ELEMENTS

    def charge(self, words: int) -> None:
        """Take `words` from the budget.

        Raises:
            RemoteProtocolError: the message refers to more words than an honest one of its size could.
        """
        self.budget -= words
        if self.budget < 0:
            raise RemoteProtocolError("the message refers to the same bytes again and again")

    def count(self, elements: int) -> None:
        """Take the elements of a list from those that may be read.

        Raises:
            RemoteProtocolError: there are too many.
        """
        self.elements -= elements
        if self.elements < 0:
            most = f"{MAX_ELEMENTS} elements, or {MAX_ELEMENTS // STRUCT_WEIGHT} structs"
            raise RemoteProtocolError(f"its lists have more elements than are read: {most}")

    def find_struct(self, segment: bytes, at: int) -> tuple[bytes, int, int, int] | None:
        """Follow the pointer at `at` to a struct: segment, start, words of data, number of pointers; None for null."""
        place = self._follow(segment, at, _STRUCT)
        if place is None:
            return None
        target, start, size = place
        data_words, pointers = size & 0xFFFF, size >> 16
        self._check(target, start, data_words + pointers)
        return target, start, data_words, pointers

    def find_list(self, segment: bytes, at: int, element: int) -> tuple[bytes, int, int] | None:
        """Follow the pointer at `at` to a list of plain elements: segment, start, count; None for null."""
        place = self._follow(segment, at, _LIST)
        if place is None:
            return None
        target, start, size = place
        if size & 7 != element:
            raise RemoteProtocolError(f"a list has elements of kind {size & 7} where kind {element} was expected")
        count = size >> 3
        self._check(target, start, (count * _ELEMENT_BITS[element] + 63) >> 6)
        if element != BYTE_ELEMENTS:  # bytes are read as a whole
            self.count(count)
        return target, start, count

    def find_structs(self, segment: bytes, at: int) -> tuple[bytes, int, int, int, int] | None:
        """Follow the pointer at `at` to a list of structs: segment, start, count, words and pointers of each."""
        place = self._follow(segment, at, _LIST)
        if place is None:
            return None
        target, start, size = place
        if size & 7 != STRUCT_ELEMENTS:
            raise RemoteProtocolError(f"a list has elements of kind {size & 7} where structs were expected")
        words = size >> 3
        self._check(target, start, words + 1)
        tag, shape = _POINTER.unpack_from(target, start)
        count, data_words, pointers = tag >> 2, shape & 0xFFFF, shape >> 16
        if tag & 3 != _STRUCT or count < 0:
            raise RemoteProtocolError("a list of structs does not say how its elements are made")
        if count * (data_words + pointers) > words:
            raise RemoteProtocolError("a list of structs announces more elements than it has room for")
        if count and not data_words + pointers:
            raise RemoteProtocolError("a list of structs announces elements without a size")  # any number, for nothing
        self.count(count * STRUCT_WEIGHT)
        return target, start + WORD, count, data_words, pointers

    def blob(self, segment: bytes, at: int) -> bytes:
        """Return the bytes that the pointer at `at` leads to; empty for null."""
        low, high = _POINTER.unpack_from(segment, at)
        if low & 3 == _LIST and high & 7 == BYTE_ELEMENTS:  # most pointers are such: the rest of the rules, in place
            start, count = at + WORD + ((low >> 2) << 3), high >> 3
            self.budget -= (count + 7) >> 3
            if start >= 0 and self.budget >= 0 and start + count <= len(segment):
                return segment[start : start + count]
        return self._blob_elsewhere(segment, at)

    def _blob_elsewhere(self, segment: bytes, at: int) -> bytes:
        found = self.find_list(segment, at, BYTE_ELEMENTS)
        if found is None:
            return b""
        target, start, count = found
        return target[start : start + count]

    def _follow(self, segment: bytes, at: int, kind: int) -> Place | None:
        low, high = _POINTER.unpack_from(segment, at)
        if low == high == 0:
            return None
        if low & 3 == kind:
            return (segment, at + WORD + ((low >> 2) << 3), high)
        if low & 3 == _FAR:
            return self._follow_far(low & 0xFFFFFFFF, high, kind)
        raise RemoteProtocolError(f"a pointer is of kind {low & 3} where kind {kind} was expected")

    def _follow_far(self, low: int, segment_number: int, kind: int) -> Place:
        """Follow a far pointer, through a landing pad of one word or, with the bit 4 set, of two."""
        pad_segment, pad = self._far_target(low, segment_number, 2 if low & 4 else 1)
        pad_low, pad_high = _POINTER.unpack_from(pad_segment, pad)
        if not low & 4:
            self._expect(pad_low, kind)
            return (pad_segment, pad + WORD + ((pad_low >> 2) << 3), pad_high)
        if pad_low & 7 != _FAR:
            raise RemoteProtocolError("a landing pad of two words does not start with a far pointer")
        segment, start = self._far_target(pad_low & 0xFFFFFFFF, pad_high, 0)
        tag_low, tag_high = _POINTER.unpack_from(pad_segment, pad + WORD)
        self._expect(tag_low, kind)
        return (segment, start, tag_high)

    def _far_target(self, low: int, number: int, words: int) -> tuple[bytes, int]:
        if number >= len(self.segments):
            raise RemoteProtocolError(f"a far pointer names segment {number} of {len(self.segments)}")
        segment, start = self.segments[number], (low >> 3) * WORD
        self._check(segment, start, words)
        return segment, start

    def _expect(self, low: int, kind: int) -> None:
        if low & 3 != kind:
            raise RemoteProtocolError(f"a landing pad is of kind {low & 3} where kind {kind} was expected")

    def _check(self, segment: bytes, start: int, words: int) -> None:
        if start < 0 or start + words * WORD > len(segment):
            raise RemoteProtocolError("a pointer leads out of its segment")
        self.charge(words)


def split_segments(message: bytes) -> list[bytes]:
    """Take a message in stream framing apart into its segments.

    Raises:
        RemoteProtocolError: the table and the bytes do not agree.
    """
    if len(message) < WORD:
        raise RemoteProtocolError(f"a message of {len(message)} bytes has no room for a table of segments")
    count = _COUNT.unpack_from(message)[0] + 1
    if count > MAX_SEGMENTS:
        raise RemoteProtocolError(f"a message announces {count} segments; at most {MAX_SEGMENTS} are read")
    position = (4 * (count + 1) + 7) // WORD * WORD
    if len(message) < position:
        raise RemoteProtocolError("a message ends within its table of segments")
    segments = []
    for words in struct.unpack_from(f"<{count}I", message, 4):
        end = position + words * WORD
        segments.append(message[position:end])
        position = end
    if position != len(message):
        raise RemoteProtocolError(f"a message announces {position} bytes and has {len(message)}")
    return segments


def put_struct(out: bytearray, at: int, data_words: int, pointers: int) -> int:
    """Append room for a struct, let the pointer at `at` lead to it, and return where it starts."""
    start = len(out)
    if data_words + pointers == 0:
        _POINTER.pack_into(out, at, -4, 0)  # a struct without size lies, by convention, at its own pointer
        return start
    _POINTER_OUT.pack_into(out, at, (start - at - WORD) >> 1, data_words | pointers << 16)
    out += bytes((data_words + pointers) * WORD)
    return start


def put_list(out: bytearray, at: int, element: int, count: int) -> int:
    """Append room for a list of plain elements, let the pointer at `at` lead to it, and return where it starts."""
    start = len(out)
    _announce(out, at, element, count)
    out += bytes((count * _ELEMENT_BITS[element] + 63) // 64 * WORD)
    return start


def put_structs(out: bytearray, at: int, count: int, data_words: int, pointers: int) -> int:
    """Append room for a list of structs, let the pointer at `at` lead to it, and return where its first one starts."""
    words = count * (data_words + pointers)
    _announce(out, at, STRUCT_ELEMENTS, words)
    out += _POINTER_OUT.pack(count << 2, data_words | pointers << 16)
    start = len(out)
    out += bytes(words * WORD)
    return start


def put_blob(out: bytearray, at: int, blob: bytes) -> None:
    """Append bytes and let the pointer at `at` lead to them; nothing for empty ones, which read the same."""
    if blob:
        _announce(out, at, BYTE_ELEMENTS, len(blob))
        out += blob
        out += _PADDING[-len(blob) % WORD]


def _announce(out: bytearray, at: int, element: int, count: int) -> None:
    if count > MAX_BLOB:
        raise LocalProtocolError(f"a list of {count} elements is longer than the {MAX_BLOB} that can be announced")
    _POINTER_OUT.pack_into(out, at, (len(out) - at - WORD) >> 1 | _LIST, element | count << 3)
