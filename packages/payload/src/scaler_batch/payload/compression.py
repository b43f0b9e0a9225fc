"""Gzip where it pays.

Small bodies travel as they are: gzip's header and the processor time cost more than the bytes they save. Large ones are
probed first, because arrays of floats and images often do not shrink at all and compressing them in vain is the most
expensive thing this package could do. The output is plain gzip, so that any tool can open what lies in the bucket.
"""

from __future__ import annotations

from typing import Any, Final

from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.errors import MalformedError, OversizedError

_engine: Any
try:
    # The extra [fast]: the same format at a multiple of the speed.
    from isal import isal_zlib as _engine
except ImportError:
    import zlib as _engine

THRESHOLD: Final = 4096
"""Bodies of up to this many bytes are never compressed (setup guide, "Payload Handling")."""

_PROBE: Final = 64 * 1024
"""Bytes compressed on trial before a large body is compressed whole."""

_WORTHWHILE: Final = 0.95
"""A body that keeps more than this share of its size is sent as it is."""

_IS_ISAL: Final = _engine.__name__.startswith("isal")

_THOROUGH: Final = 2 if _IS_ISAL else 6
_FAST: Final = 1
_FAST_ABOVE: Final = 1024 * 1024
"""Above this many bytes gzip runs at its fastest level: a tenth more bytes for a quarter of the time."""

_GZIP_WINDOW: Final = 31
"""zlib's code for "a gzip header and trailer, with the largest window"."""


def compress(pieces: Pieces) -> bytes | None:
    """Return a body, given in pieces, as gzip, or ``None`` where it should travel as it is."""
    size = size_of(pieces)
    if size <= THRESHOLD or not _shrinks(pieces):
        return None
    # The header has no time stamp: equal bodies give equal bytes, by one engine.
    engine = _engine.compressobj(_FAST if size > _FAST_ABOVE else _THOROUGH, _engine.DEFLATED, _GZIP_WINDOW)
    packed: bytes = b"".join([*map(engine.compress, pieces), engine.flush()])
    return packed if len(packed) < size * _WORTHWHILE else None


def _shrinks(pieces: Pieces) -> bool:
    """Try the middle of the largest piece: what is not large is not expensive, and compressed without trying."""
    largest = max(pieces, key=len)
    if len(largest) <= _PROBE:
        return True
    middle = (len(largest) - _PROBE) // 2
    probe = largest[middle : middle + _PROBE]
    return len(_engine.compress(probe, _FAST)) < len(probe) * _WORTHWHILE


def expand(packed: Buffer, size: int) -> bytes:
    """Return the body of exactly ``size`` bytes that :func:`compress` packed.

    Never makes more than ``size + 1`` bytes, whatever ``packed`` claims.

    Raises:
        OversizedError: It expands beyond ``size``.
        MalformedError: It is not one whole gzip member of ``size`` bytes.
    """
    engine = _engine.decompressobj(_GZIP_WINDOW)
    try:
        body: bytes = engine.decompress(packed, size + 1)
    except _engine.error as error:
        raise MalformedError(f"not gzip: {error}") from error
    if len(body) > size:
        raise OversizedError(f"expands beyond the {size} bytes it declares")
    if len(body) < size or not engine.eof or engine.unused_data:
        raise MalformedError(f"gzip of {size} bytes is truncated, or followed by something else")
    return body
