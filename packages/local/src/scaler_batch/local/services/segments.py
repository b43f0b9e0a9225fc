"""Bytes that are appended and forgotten, in files of limited size that have no names.

What is written goes to the end of the newest segment; a segment is deleted when nobody refers to it any more. Unlike
:class:`~.objects.Arena`, nothing is searched or moved, because log lines come in tens of thousands of small pieces.
"""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Final

SEGMENT_BYTES: Final = 32 << 20


class Segment:
    """One file. It lives for as long as somebody refers to it."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self.file = os.dup(file.fileno())
        self.end = 0

    def read(self, offset: int, length: int) -> bytes:
        """A part of what was written."""
        return os.pread(self.file, length, offset)

    def __del__(self) -> None:
        """Delete the file: it has no name, so closing does so."""
        os.close(self.file)


class SegmentedLog:
    """Appends to segments. Thread-safe.

    Args:
        segment_bytes: A new segment is begun when the newest one is at least this long.
    """

    def __init__(self, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._newest: Segment | None = None

    def append(self, content: bytes) -> tuple[Segment, int]:
        """Write something. Returns the segment and the offset in it; who keeps the segment keeps its file."""
        with self._lock:
            if self._newest is None or self._newest.end >= self._segment_bytes:
                self._newest = Segment()
            segment, offset = self._newest, self._newest.end
            segment.end += len(content)
        view = memoryview(content)
        while view:
            view = view[os.pwrite(segment.file, view, offset + len(content) - len(view)) :]
        return segment, offset
