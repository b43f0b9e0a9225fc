"""Outcomes on their way back, those of hostile bytes too. What its job has not signed is not looked into at all."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scaler_batch.payload import JobSeal, Outcome, PayloadError, Store, body_size, decode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.errors import StoreError, UnsignedError
from scaler_batch.tasks.commands import FetchOutcome, OpenOutcome
from scaler_batch.tasks.events import FetchFailed, OutcomeFetched, OutcomeRead, OutcomeRefused, OutcomeUnreadable

logger = logging.getLogger(__name__)

AT_ONCE: Final = 64 * 1024
"""Bytes of an object, as it is and once it is opened, up to which that is done on the event loop: a fifteenth of the
time that going to a thread takes."""

Read = OutcomeRead | OutcomeUnreadable | OutcomeRefused


async def fetch_outcome(store: Store, command: FetchOutcome) -> Read | OutcomeFetched | FetchFailed:
    """Fetch an object of outcomes, and open it if it is small."""
    try:
        sealed = await store.get(command.key)
    except StoreError as error:
        return FetchFailed(command.read, error)
    if len(sealed) > AT_ONCE:
        return OutcomeFetched(command.read, sealed)
    try:
        envelope = command.seal.open(command.key, sealed)
        if body_size(envelope) > AT_ONCE:
            return OutcomeFetched(command.read, sealed)
        return OutcomeRead(command.read, decode_outcomes(envelope, positions=command.positions)[0])
    except UnsignedError:
        return OutcomeRefused(command.read)
    except Exception as error:  # the outermost frame of one object, which anybody may have written
        return _unreadable(command.read, command.key, error)


async def open_outcome(command: OpenOutcome) -> Read:
    """Open a large object of outcomes beside the event loop."""
    try:
        opened = await asyncio.to_thread(_decoded, command.seal, command.key, command.sealed, command.positions)
    except Exception as error:  # the outermost frame of one object, which anybody may have written
        return _unreadable(command.read, command.key, error)
    if isinstance(opened, UnsignedError):
        return OutcomeRefused(command.read)
    if isinstance(opened, PayloadError):
        return _unreadable(command.read, command.key, opened)
    return OutcomeRead(command.read, opened)


def _unreadable(read: int, key: str, error: Exception) -> OutcomeUnreadable:
    if isinstance(error, PayloadError):
        return OutcomeUnreadable(read, str(error))
    logger.error("outcome %s cannot be read", key, exc_info=error)
    return OutcomeUnreadable(read, repr(error))


def _decoded(seal: JobSeal, key: str, sealed: Buffer, positions: int) -> list[Outcome] | PayloadError:
    """Open an object in a thread; an error is returned without what it holds, so that is freed there too."""
    try:
        return decode_outcomes(seal.open(key, sealed), positions=positions)[0]
    except PayloadError as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
