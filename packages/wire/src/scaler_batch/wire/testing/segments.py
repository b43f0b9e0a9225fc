"""Messages laid out over several segments, as peers lay out large ones, for tests of whoever reads them."""

from __future__ import annotations

import struct
from random import Random

from ..capnp import STRUCT_ELEMENTS, WORD, split_segments

_WORD = struct.Struct("<iI")
_STRUCT, _FAR, _TWO_WORDS = 0, 2, 4
_ELEMENT_BITS = (0, 1, 8, 16, 32, 64, 64)
_POINTER_ELEMENTS = 6


def scatter(frame: bytes, segments: int, random: Random) -> bytes:
    """Return the same message with its objects strewn over so many segments, by far pointers of both kinds.

    Args:
        frame: a message in one segment.
        segments: how many segments to use.
        random: decides where each object goes.
    """
    (source,) = split_segments(frame)
    copy = _Copy(source, segments, random)
    copy.target[0] += bytes(WORD)
    copy.pointer(0, 0, 0)
    sizes = [len(segment) // WORD for segment in copy.target]
    table = struct.pack(f"<{segments + 1}I", segments - 1, *sizes)
    return table + bytes(-len(table) % WORD) + b"".join(copy.target)


class _Copy:
    def __init__(self, source: bytes, segments: int, random: Random) -> None:
        self.source = source
        self.target = [bytearray() for _ in range(segments)]
        self.random = random

    def pointer(self, at: int, number: int, there: int) -> None:
        """Copy what the pointer at `at` leads to, and let the one `there` in segment `number` lead to the copy."""
        low, high = _WORD.unpack_from(self.source, at)
        if low == high == 0:
            return
        start = at + WORD + (low >> 2) * WORD
        words = self._words(low, high)
        if low & 3 == _STRUCT and words == 0:  # lies at its own pointer; anywhere else it would look like null
            _WORD.pack_into(self.target[number], there, low, high)
            return
        home, place = self._make_room(number, there, low & 3, high, words)
        self.target[home][place : place + words * WORD] = self.source[start : start + words * WORD]
        for offset in self._pointers(low, high, start):
            _WORD.pack_into(self.target[home], place + offset, 0, 0)
            self.pointer(start + offset, home, place + offset)

    def _make_room(self, number: int, there: int, kind: int, size: int, words: int) -> tuple[int, int]:
        home = self.random.randrange(len(self.target))
        if home == number:
            place = self._append(home, words)
            self._point(number, there, kind, place, size)
            return home, place
        if self.random.random() < 0.5:
            pad = self._append(home, 1)
            place = self._append(home, words)
            self._point(home, pad, kind, place, size)
            _WORD.pack_into(self.target[number], there, pad | _FAR, home)
            return home, place
        between = self.random.randrange(len(self.target))
        pad = self._append(between, 2)
        place = self._append(home, words)
        _WORD.pack_into(self.target[between], pad, place | _FAR, home)
        _WORD.pack_into(self.target[between], pad + WORD, kind, size)
        _WORD.pack_into(self.target[number], there, pad | _TWO_WORDS | _FAR, between)
        return home, place

    def _append(self, number: int, words: int) -> int:
        segment = self.target[number]
        segment += bytes(words * WORD)
        return len(segment) - words * WORD

    def _point(self, number: int, there: int, kind: int, place: int, size: int) -> None:
        _WORD.pack_into(self.target[number], there, (place - there - WORD) // WORD * 4 | kind, size)

    @staticmethod
    def _words(low: int, high: int) -> int:
        if low & 3 == _STRUCT:
            return (high & 0xFFFF) + (high >> 16)
        if high & 7 == STRUCT_ELEMENTS:
            return (high >> 3) + 1
        return ((high >> 3) * _ELEMENT_BITS[high & 7] + 63) // 64

    def _pointers(self, low: int, high: int, start: int) -> list[int]:
        """Return where the pointers of an object lie, in bytes from its start."""
        if low & 3 == _STRUCT:
            return [((high & 0xFFFF) + i) * WORD for i in range(high >> 16)]
        if high & 7 == _POINTER_ELEMENTS:
            return [i * WORD for i in range(high >> 3)]
        if high & 7 != STRUCT_ELEMENTS:
            return []
        tag, shape = _WORD.unpack_from(self.source, start)
        data, pointers = shape & 0xFFFF, shape >> 16
        stride = data + pointers
        return [(1 + n * stride + data + i) * WORD for n in range(tag >> 2) for i in range(pointers)]
