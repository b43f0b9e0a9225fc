"""The bytes of large objects in one file on disk, not in the server's memory.

moto keeps objects of up to 5 MB in memory and gives each larger one a file of its own, so an afternoon of outputs takes
hundreds of megabytes, and many large objects take all file descriptors. The file here has no name, so it goes with the
process, however that ends. Space that objects give back is used again.
"""

from __future__ import annotations

import bisect
import os
import tempfile
import threading
import weakref
from types import SimpleNamespace
from typing import Final

from moto.s3 import models

LARGE: Final = 64 << 10
"""Bytes; smaller objects stay in memory."""

Extent = tuple[int, int]
"""Where something lies in the file: offset and length."""


class Arena:
    """A file whose parts are given out and given back. Thread-safe."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._lock = threading.RLock()
        self._free: list[Extent] = []
        self._end = 0

    @property
    def size(self) -> int:
        """How long the file is."""
        return self._end

    def store(self, content: bytes) -> Extent:
        """Write something down."""
        with self._lock:
            offset = self._take(len(content))
        view = memoryview(content)
        while view:
            view = view[os.pwrite(self._file, view, offset + len(content) - len(view)) :]
        return offset, len(content)

    def load(self, extent: Extent, begin: int, length: int) -> bytes:
        """Read a part of what was written."""
        offset, size = extent
        return os.pread(self._file, max(0, min(length, size - begin)), offset + begin)

    def release(self, extent: Extent) -> None:
        """Give space back; beside other free space the two become one."""
        with self._lock:
            at = bisect.bisect(self._free, extent)
            offset, size = extent
            if at < len(self._free) and self._free[at][0] == offset + size:
                size += self._free.pop(at)[1]
            if at and sum(self._free[at - 1]) == offset:
                offset, before = self._free.pop(at - 1)
                size, at = before + size, at - 1
            self._free.insert(at, (offset, size))
            self._shorten()

    def _take(self, length: int) -> int:
        """The first free space that is large enough, or new space at the end."""
        for at, (offset, size) in enumerate(self._free):
            if size >= length:
                self._free[at : at + 1] = [(offset + length, size - length)] if size > length else []
                return offset
        offset, self._end = self._end, self._end + length
        return offset

    def _shorten(self) -> None:
        """Give free space at the end back to the disk."""
        if sum(self._free[-1]) == self._end:
            self._end = self._free.pop()[0]
            os.ftruncate(self._file, self._end)


class StoredValue:
    """An object's bytes, with as much of a file's interface as moto uses.

    Args:
        arena: Where they go when they are many.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._small = b""
        self._extent: Extent | None = None
        self._at = 0

    def seek(self, at: int) -> None:
        """Read from here on."""
        self._at = at

    def read(self, length: int = -1) -> bytes:
        """The next bytes; all that are left by default."""
        length = self._size if length < 0 else length
        if self._extent is None:
            content = self._small[self._at : self._at + length]
        else:
            content = self._arena.load(self._extent, self._at, length)
        self._at += len(content)
        return content

    def truncate(self) -> None:
        """Have no bytes."""
        if self._extent is not None:
            self._arena.release(self._extent)
        self._extent, self._small = None, b""

    def write(self, content: bytes) -> None:
        """Have these bytes."""
        self.truncate()
        if len(content) < LARGE:
            self._small = bytes(content)
        else:
            self._extent = self._arena.store(content)

    def close(self) -> None:
        """Be gone."""
        self.truncate()

    __del__ = close

    @property
    def _size(self) -> int:
        return len(self._small) if self._extent is None else self._extent[1]


def install() -> None:
    """Have moto's S3 keep its objects this way."""
    arena = Arena()
    buffers = SimpleNamespace(SpooledTemporaryFile=lambda max_size: StoredValue(arena))
    models.tempfile = buffers  # type: ignore[assignment,attr-defined]
