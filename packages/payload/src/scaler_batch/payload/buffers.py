"""Bytes that are moved, not read."""

from __future__ import annotations

from collections.abc import Sequence

Buffer = bytes | memoryview
"""Bytes in one piece; a view is of single bytes, contiguous, and not written to while it is in use."""

Pieces = Sequence[Buffer]
"""Bytes in several pieces, one after the other. Large values are never copied only to stand beside their header."""


def size_of(pieces: Pieces) -> int:
    """How many bytes there are in all."""
    return sum(map(len, pieces))
