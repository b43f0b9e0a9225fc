"""Where a pack travels: in the parameters of its job, or through the store.

A decision on the size that is really sent, against limits held as data with their source. The setup guide's table lets
28 KiB travel inline. AWS Batch does accept such a job, since a SubmitJob request may be 30 KiB, and then fails it with
``Container Overrides length must be at most 8192``: ECS counts what ``Ref::`` parameters put into the command. The
default is therefore what AWS runs, not what it accepts.
"""

from __future__ import annotations

import base64
from typing import Final, NamedTuple

from scaler_batch.payload.contract import FIRST_PACK_IN_STORE, FORMAT_VERSION, PACK_IN_STORE
from scaler_batch.payload.errors import MalformedError, VersionError
from scaler_batch.payload.hashing import is_digest
from scaler_batch.payload.parts import Pack

REQUEST_LIMIT: Final = 30 * 1024
"""Bytes of one SubmitJob request at most. Source: AWS Batch service limits."""

OVERRIDES_LIMIT: Final = 8192
"""Characters of container overrides at most, JSON included. Source: ECS API reference, RunTask."""

OVERRIDES_RESERVE: Final = 1024
"""Characters of the overrides kept free for the run's address (:data:`~.keys.LONGEST_ADDRESS`), the rest of the
command, Batch's own variables, which name queue and compute environment (128 characters at most), and the JSON around
them."""

INLINE_LIMIT: Final = (OVERRIDES_LIMIT - OVERRIDES_RESERVE) // 4 * 3
"""Bytes of a sealed pack that travel inline by default: what is left of the overrides, in base64. 5,376 bytes."""

MAX_INLINE_LIMIT: Final = 28 * 1024 // 4 * 3
"""Bytes of a sealed pack that can travel inline at most, where overrides are not limited: 28 KiB in base64."""


class Placement(NamedTuple):
    """Where a pack travels.

    Attributes:
        parameter: Value of the job's pack parameter.
        stored: Whether the pack has to be put into the store before the job is submitted.
    """

    parameter: str
    stored: bool


class Stored(NamedTuple):
    """A pack that lies in the store.

    Attributes:
        digest: SHA-256, in hex, of the pack in one piece, or of the table.
        table: Bytes of the table at its beginning; 0 for a pack in one piece.
    """

    digest: str
    table: int = 0


def place(pack: Pack, *, inline_limit: int = INLINE_LIMIT) -> Placement:
    """Decide where a sealed pack travels.

    Args:
        pack: The sealed pack.
        inline_limit: Largest pack to send inline, in bytes before base64; 0 sends everything through the store.
    """
    if pack.table:
        return Placement(f"{PACK_IN_STORE}{pack.digest}:{pack.table}", stored=True)
    if pack.size > inline_limit:
        return Placement(f"{PACK_IN_STORE}{pack.digest}", stored=True)
    return Placement(base64.b64encode(b"".join(pack.pieces)).decode("ascii"), stored=False)


def locate(parameter: str) -> bytes | Stored:
    """Read what :func:`place` put into the parameter: the pack itself, or where in the store it lies.

    Raises:
        MalformedError: It is neither.
        VersionError: Written by a version this reader does not know.
    """
    if parameter.startswith(PACK_IN_STORE):
        return _stored(parameter)
    if parameter.startswith(FIRST_PACK_IN_STORE):
        raise VersionError(1, FORMAT_VERSION)
    try:
        return base64.b64decode(parameter, validate=True)
    except ValueError as error:
        raise MalformedError(f"the inline pack is not base64: {error}") from error


def _stored(parameter: str) -> Stored:
    digest, colon, size = parameter.removeprefix(PACK_IN_STORE).partition(":")
    if not is_digest(digest) or (colon and not _is_size(size)):
        raise MalformedError("the parameter names no pack in the store by its SHA-256")
    return Stored(digest, int(size) if colon else 0)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) < 11
