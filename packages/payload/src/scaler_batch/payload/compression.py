"""Gzip where it pays.

Small bodies travel as they are: gzip's header and the processor time cost more than the bytes they save. Large ones are
probed first, because arrays of floats and images often do not shrink at all and compressing them in vain is the most
expensive thing this package could do. The output is plain gzip, so that any tool can open what lies in the bucket.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from scaler_batch.payload.errors import MalformedError, OversizedError

THRESHOLD: Final = 4096
"""Bodies of up to this many bytes are never compressed (setup guide, "Payload Handling")."""

_PROBE: Final = 64 * 1024
"""Bytes compressed on trial before a large body is compressed whole."""

_WORTHWHILE: Final = 0.95
"""A body that keeps more than this share of its size is sent as it is."""

_THOROUGH: Final = 6
_FAST: Final = 1
_FAST_ABOVE: Final = 1024 * 1024
"""Above this many bytes gzip runs at its fastest level: a tenth more bytes for a quarter of the time."""

_GZIP_WINDOW: Final = 31
"""zlib's code for "expect a gzip header and trailer, with the largest window"."""


def compress(body: bytes | memoryview) -> bytes | None:
    """Return ``body`` as gzip, or ``None`` where it should travel as it is."""
    size = len(body)
    if size <= THRESHOLD or not _shrinks(body):
        return None
    # No time stamp: equal bodies shall give equal bytes.
    packed = gzip.compress(body, compresslevel=_FAST if size > _FAST_ABOVE else _THOROUGH, mtime=0)
    return packed if len(packed) < size * _WORTHWHILE else None


def _shrinks(body: bytes | memoryview) -> bool:
    if len(body) <= _PROBE:
        return True
    middle = (len(body) - _PROBE) // 2
    probe = body[middle : middle + _PROBE]
    return len(zlib.compress(probe, _FAST)) < len(probe) * _WORTHWHILE


def expand(packed: bytes | memoryview, size: int) -> bytes:
    """Return the body of exactly ``size`` bytes that :func:`compress` packed.

    Never makes more than ``size + 1`` bytes, whatever ``packed`` claims.

    Raises:
        OversizedError: It expands beyond ``size``.
        MalformedError: It is not one whole gzip member of ``size`` bytes.
    """
    engine = zlib.decompressobj(_GZIP_WINDOW)
    try:
        body = engine.decompress(packed, size + 1)
    except zlib.error as error:
        raise MalformedError(f"not gzip: {error}") from error
    if len(body) > size:
        raise OversizedError(f"expands beyond the {size} bytes it declares")
    if len(body) < size or not engine.eof or engine.unused_data:
        raise MalformedError(f"gzip of {size} bytes is truncated, or followed by something else")
    return body
