"""Large objects, which lie in the store by themselves: once for a run, however many submissions use them.

An object is known by its hash, which is in its key, and the key stands in packs. So whoever reads a pack that can be
trusted knows what to find.
"""

from __future__ import annotations

from typing import Final

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.bundles import Reference
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import AlteredError, MalformedError, VersionError
from scaler_batch.payload.hashing import check_digest
from scaler_batch.payload.keys import digest_in

THRESHOLD: Final = 1024 * 1024
"""Bytes above which an object is stored by itself, unless told otherwise: above it the time to store and fetch it is
longer than that of one more request."""


def encode_object(data: Buffer) -> Pieces:
    """Seal an object, without copying it unless it shrinks."""
    return seal(Kind.OBJECT, [data])


def decode_object(sealed: Buffer, reference: Reference) -> memoryview:
    """Read what :func:`encode_object` wrote; a view of it where it is not compressed.

    Args:
        sealed: What lies in the store.
        reference: What a pack says of it.

    Raises:
        AlteredError: It is not what the pack says: other bytes, or none of ours.
    """
    # Never more than what the pack says is expanded before the hash can be told.
    try:
        body = unseal(Kind.OBJECT, sealed, max_body=min(reference.size, MAX_BODY))
    except (MalformedError, VersionError) as error:
        raise AlteredError(reference.key) from error
    if len(body) != reference.size:
        raise AlteredError(reference.key)
    check_digest(body, digest_in(reference.key), reference.key)
    return body
