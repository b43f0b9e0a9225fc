"""What goes around every body: what it is, which version, how large, and whether it arrived whole.

::

    offset  size  field
    0       4     magic 53 42 50 4C ("SBPL")
    4       1     format version
    5       1     kind: 1 pack, 2 outcomes, 3 table of a pack in parts, 4 object
    6       1     flags: bit 0 the stored body is gzip; all others must be 0
    7       1     0
    8       8     size of the body before compression, u64 little-endian
    16      4     CRC-32 of the stored body, u32 little-endian
    20      …     the stored body

A reader refuses every version, kind and flag that it does not know: guessing would turn a mismatch of releases into a
wrong result.
"""

from __future__ import annotations

import functools
import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

from scaler_batch.payload import compression
from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.errors import MalformedError, OversizedError, VersionError

MAGIC: Final = b"SBPL"
_HEADER: Final = struct.Struct("<4sBBBBQI")
HEADER_SIZE: Final = _HEADER.size
_GZIP: Final = 1

MAX_BODY: Final = 5 * 1024**3
"""Largest body a reader accepts unless told otherwise, in bytes: the largest object one S3 PUT takes."""


class Kind(IntEnum):
    """What a body is."""

    PACK = 1
    OUTCOMES = 2
    TABLE = 3
    OBJECT = 4


def seal(kind: Kind, body: Pieces) -> Pieces:
    """Put a body, given in pieces, into an envelope, compressed where that pays; large pieces are not copied."""
    packed = compression.compress(body)
    stored, flags = (body, 0) if packed is None else ([packed], _GZIP)
    checksum = functools.reduce(lambda crc, piece: zlib.crc32(piece, crc), stored, 0)
    return [_HEADER.pack(MAGIC, FORMAT_VERSION, kind, flags, 0, size_of(body), checksum), *stored]


def body_size(sealed: Buffer) -> int:
    """Return how many bytes the body of an envelope claims to have, which is what unsealing it takes at most.

    Raises:
        MalformedError: It is not an envelope.
    """
    return _header(memoryview(sealed)).size


class _Header(NamedTuple):
    version: int
    kind: int
    flags: int
    reserved: int
    size: int
    checksum: int


def _header(view: memoryview) -> _Header:
    if len(view) < HEADER_SIZE or bytes(view[:4]) != MAGIC:
        raise MalformedError("this is not an envelope of scaler-batch")
    return _Header._make(_HEADER.unpack_from(view)[1:])


def unseal(kind: Kind, sealed: Buffer, *, max_body: int = MAX_BODY) -> memoryview:
    """Take the body out of an envelope without copying it where it is not compressed.

    Args:
        kind: What the caller expects to find.
        sealed: The whole envelope.
        max_body: Largest body to accept, in bytes.

    Raises:
        MalformedError: Damaged, truncated, of another kind, or no envelope at all.
        OversizedError: The body is, or claims to be, larger than ``max_body``.
        VersionError: Written by a version this reader does not know.
    """
    view = memoryview(sealed)
    version, found, flags, reserved, size, checksum = _header(view)
    if version != FORMAT_VERSION:
        raise VersionError(version, FORMAT_VERSION)
    if found != kind or flags & ~_GZIP or reserved:
        raise MalformedError(f"expected {kind.name.lower()} (kind {kind:d}), found kind {found} with flags {flags:#x}")
    if size > max_body:
        raise OversizedError(f"a body of {size} bytes, where at most {max_body} are accepted")
    stored = view[HEADER_SIZE:]
    if zlib.crc32(stored) != checksum:
        raise MalformedError("the checksum does not match: the bytes were damaged on their way")
    if flags & _GZIP:
        return memoryview(compression.expand(stored, size))
    if len(stored) != size:
        raise MalformedError(f"{len(stored)} bytes in an envelope that declares {size}")
    return stored
