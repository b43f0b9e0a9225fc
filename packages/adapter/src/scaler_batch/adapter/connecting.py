"""Reaching the scheduler: at once, or with the patience that one deserves which was there before."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.wire import ConnectionLostError, Endpoint, TlsError, TransportKind, WorkerConnection

logger = logging.getLogger(__name__)


def warn_if_readable(what: str, endpoint: Endpoint) -> None:
    """Say so once where whoever is on the network between here and there can read and change everything."""
    if not endpoint.is_private:
        logger.warning(
            "the link to the %s at %s is not encrypted: whoever can reach the network between can read functions, "
            "arguments and results, and replace them by code of their own; use a wss:// address",
            what,
            endpoint,
        )


@contextlib.asynccontextmanager
async def connected(
    link: WorkerConnection, settings: WorkerSettings, stop: asyncio.Event, patience: float
) -> AsyncIterator[None]:
    """Connect, and try again for so many seconds; a word to stop ends the attempt.

    Raises:
        SchedulerLostError: Nobody answers.
        TlsError: Whoever answers cannot be trusted, or refuses our certificate.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + patience
    async with contextlib.AsyncExitStack() as stack:
        while True:
            try:
                async with _unless(stop):
                    await stack.enter_async_context(link)
                break
            except TimeoutError:
                why = "told to stop before it answered"
                raise SchedulerLostError.unreachable(settings.scheduler_address, why) from None
            except TlsError:
                raise
            except ConnectionLostError as error:
                if stop.is_set() or now() >= deadline:
                    raise SchedulerLostError.unreachable(settings.scheduler_address, error) from error
        if settings.link.io_threads > 1 and link.transport is TransportKind.YMQ:
            logger.info("more than one I/O thread has no effect: over YMQ the event loop serves the link")
        yield


@contextlib.asynccontextmanager
async def _unless(stop: asyncio.Event) -> AsyncIterator[None]:
    """Go on until ``stop`` is set, which raises TimeoutError."""
    async with asyncio.timeout(None) as limit:

        async def heed() -> None:
            await stop.wait()
            limit.reschedule(asyncio.get_running_loop().time())

        # Not a task group, which would put an error of the body into a group of errors.
        heeding = asyncio.ensure_future(heed())
        try:
            yield
        finally:
            heeding.cancel()
