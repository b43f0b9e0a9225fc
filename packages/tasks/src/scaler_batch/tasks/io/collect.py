"""Outcomes on their way back, those of hostile bytes too."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scaler_batch.payload import Outcome, PayloadError, Store, body_size, decode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.commands import FetchOutcome, OpenOutcome
from scaler_batch.tasks.events import FetchFailed, OutcomeFetched, OutcomeRead, OutcomeUnreadable

logger = logging.getLogger(__name__)

AT_ONCE: Final = 64 * 1024
"""Bytes of an object, once it is opened, up to which that is done on the event loop: a fifteenth of the time that going
to a thread takes."""

Read = OutcomeRead | OutcomeUnreadable


async def fetch_outcome(store: Store, command: FetchOutcome) -> Read | OutcomeFetched | FetchFailed:
    """Fetch an object of outcomes, and open it if it is small."""
    try:
        sealed = await store.get(command.key)
    except StoreError as error:
        return FetchFailed(command.read, error)
    try:
        if body_size(sealed) > AT_ONCE:
            return OutcomeFetched(command.read, sealed)
        return OutcomeRead(command.read, decode_outcomes(sealed, positions=command.positions)[0])
    except Exception as error:  # the outermost frame of one object, which anybody may have written
        return _unreadable(command.read, command.key, error)


async def open_outcome(command: OpenOutcome) -> Read:
    """Open a large object of outcomes beside the event loop."""
    try:
        opened = await asyncio.to_thread(_decoded, command.sealed, command.positions)
    except Exception as error:  # the outermost frame of one object, which anybody may have written
        return _unreadable(command.read, command.key, error)
    if isinstance(opened, PayloadError):
        return _unreadable(command.read, command.key, opened)
    return OutcomeRead(command.read, opened)


def _unreadable(read: int, key: str, error: Exception) -> OutcomeUnreadable:
    if isinstance(error, PayloadError):
        return OutcomeUnreadable(read, str(error))
    logger.error("outcome %s cannot be read", key, exc_info=error)
    return OutcomeUnreadable(read, repr(error))


def _decoded(sealed: Buffer, positions: int) -> list[Outcome] | PayloadError:
    """Open an object in a thread; an error is returned without what it holds, so that is freed there too."""
    try:
        return decode_outcomes(sealed, positions=positions)[0]
    except PayloadError as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
