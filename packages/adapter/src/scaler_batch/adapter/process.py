"""The process: check what is needed, run the workers, heed signals, serve figures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scaler_batch.adapter.connecting import warn_if_readable
from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.fleet import Fleet, manager_link
from scaler_batch.adapter.member import Cloud, Member, leases_of
from scaler_batch.adapter.metrics import serving
from scaler_batch.adapter.payload_key import find_payload_key
from scaler_batch.adapter.preflight import check_resources, check_storage, ranked
from scaler_batch.adapter.settings import ProgramSettings, WorkerSettings
from scaler_batch.aws import BatchJobService, CredentialsError, open_session
from scaler_batch.tasks import Credentials
from scaler_batch.wire import parse

if TYPE_CHECKING:
    import boto3

logger = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

EXIT_ABANDONED: Final = 1
"""Exit code of a process that could not end by itself in time."""

_MARGIN: Final = 0.25
"""Seconds before the deadline at which a process that has not ended by itself is ended."""


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until it is told to stop, by a signal or by the scheduler.

    Raises:
        AdapterError: It cannot work, or cannot go on.
    """
    await run_program(ProgramSettings(settings))


async def run_program(settings: ProgramSettings, told: Callable[[], None] = lambda: None) -> None:
    """Run all workers of a process until they are told to stop, by a signal or by the scheduler.

    Args:
        settings: Which, and how.
        told: Called when a signal tells them to stop.

    Raises:
        AdapterError: They cannot work, or cannot go on.
    """
    worker = settings.worker
    warn_if_readable("scheduler", parse(worker.scheduler_address))
    session = _session(worker.aws_region)
    found = await check_resources(worker, session)
    worker = replace(ranked(worker, found.unranked), provisioned_prefix=found.prefix)
    if worker.match_vcpus:
        worker = replace(worker, tasks=replace(worker.tasks, processes=found.vcpus))
    key = await find_payload_key(worker.payload_key, session, worker.aws_region)
    worker = replace(worker, tasks=replace(worker.tasks, payload_key=key))
    with contextlib.closing(BatchJobService(session, worker.aws_region)) as jobs, signalled(told) as stop:
        credentials = Credentials(worker.tasks.credentials_patience)
        cloud = Cloud(session, jobs, jobs.logs, credentials)
        await check_storage(worker, lambda: cloud.store(leases_of(worker)))
        fleet = Fleet(settings.fleet, lambda: Member(worker, cloud), worker.scheduler_address)
        with serving(fleet, worker, settings.metrics):
            await fleet.run(stop, manager_link(worker, settings.fleet))


def _session(region: str) -> boto3.Session:
    try:
        return open_session(region=region)
    except CredentialsError as error:
        raise ResourceError(str(error)) from error


@contextlib.contextmanager
def signalled(told: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """Set an event at the first SIGTERM or SIGINT. The second one is the system's own affair and ends at once.

    Args:
        told: Called at the first one.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def heard(number: signal.Signals) -> None:
        logger.info("%s: stopping in order; once more to stop at once", number.name)
        stop.set()
        told()
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
            # Python would make an exception of SIGINT, which every `finally` on the way may take its time with.
            signal.signal(each, signal.SIG_DFL)

    for number in _SIGNALS:
        loop.add_signal_handler(number, heard, number)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def leave_within(seconds: float) -> None:
    """End the process before the deadline, whatever still holds it up.

    Everything that is stopped keeps to the deadline by itself. What remains is what Python waits for on its way out,
    such as a thread that packs a large task, and no coroutine can cut that short.
    """
    timer = threading.Timer(max(seconds - _MARGIN, 0.0), _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    logger.error("the process has not ended by itself before the shutdown deadline; leaving at once")
    logging.shutdown()
    os._exit(EXIT_ABANDONED)
