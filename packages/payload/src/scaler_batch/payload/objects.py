"""Large objects, which lie in the store by themselves: once for a run, however many submissions use them."""

from __future__ import annotations

from typing import Final

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError

THRESHOLD: Final = 1024 * 1024
"""Bytes above which an object is stored by itself, unless told otherwise: above it the time to store and fetch it is
longer than that of one more request."""


def digest(data: Buffer) -> str:
    """What an object is known by: the SHA-256 of its bytes, in hex."""
    # Imported here: the runner, which has to be quick to start, never asks.
    import hashlib

    return hashlib.sha256(data).hexdigest()


def encode_object(data: Buffer) -> Pieces:
    """Seal an object, without copying it unless it shrinks."""
    return seal(Kind.OBJECT, [data])


def decode_object(sealed: Buffer, size: int) -> memoryview:
    """Read what :func:`encode_object` wrote; a view of it where it is not compressed.

    Raises:
        MalformedError: Damaged, or not an object of ``size`` bytes.
        VersionError: Written by a version this reader does not know.
    """
    body = unseal(Kind.OBJECT, sealed, max_body=min(size, MAX_BODY))
    if len(body) != size:
        raise MalformedError(f"an object of {len(body)} bytes, where one of {size} is expected")
    return body
