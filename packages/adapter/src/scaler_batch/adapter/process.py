"""A worker's whole life: check, connect, work, stop in order.

Stopping ends the jobs first and says goodbye then: the scheduler hands our tasks to other workers the moment it hears
the goodbye, and none of them shall run twice at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from secrets import token_hex

import boto3

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.heartbeat import HeartbeatManager
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.preflight import check_resources
from scaler_batch.adapter.replies import SchedulerReplies
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.worker import AWSBatchWorker
from scaler_batch.payload import RunLocation
from scaler_batch.payload.s3 import S3RunStore, boto3_credentials
from scaler_batch.tasks import AWSHPCTaskManager
from scaler_batch.tasks.aws import BatchJobService
from scaler_batch.wire import ConnectionLostError, WorkerConnection, new_worker_id

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until it is told to stop, by a signal or by the scheduler.

    Raises:
        AdapterError: It cannot work, or cannot go on.
    """
    session = boto3.Session(region_name=settings.aws_region)
    await check_resources(settings, session)
    run = _new_run(settings)
    logger.info("run %s: queue %s, definition %s", run, settings.tasks.job_queue, settings.tasks.job_definition)
    with contextlib.closing(BatchJobService(session, settings.aws_region)) as jobs, _signalled() as stop:
        storage = StorageLink()
        inputs = CachedInputs(storage)
        heartbeat = HeartbeatManager(settings.queue_size, lambda: manager.snapshot())
        link = WorkerConnection(
            settings.scheduler_address, heartbeat, identity=new_worker_id(settings.name), settings=settings.link
        )
        replies = SchedulerReplies(link, storage)
        store = S3RunStore(run, credentials=boto3_credentials(session))
        manager = AWSHPCTaskManager(settings.tasks, run, jobs=jobs, store=store, inputs=inputs, sink=replies)
        async with _connected(link, settings), contextlib.aclosing(storage), replies, manager:
            try:
                await _work(AWSBatchWorker(link, storage, inputs, manager), stop)
            finally:
                logger.info("stopping: ending all jobs")
                await manager.stop(settings.shutdown_deadline)


def _new_run(settings: WorkerSettings) -> RunLocation:
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return RunLocation(settings.s3_bucket, settings.s3_prefix, f"{started}-{token_hex(4)}", settings.aws_region)


@contextlib.contextmanager
def _signalled() -> Iterator[asyncio.Event]:
    """Set an event at the first SIGTERM or SIGINT. The second one is the system's own affair and ends at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def release() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def heard(number: signal.Signals) -> None:
        logger.info("%s: stopping in order; once more to stop at once", number.name)
        stop.set()
        release()

    for number in _SIGNALS:
        loop.add_signal_handler(number, heard, number)
    try:
        yield stop
    finally:
        release()


@contextlib.asynccontextmanager
async def _connected(link: WorkerConnection, settings: WorkerSettings) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(link)
        except ConnectionLostError as error:
            raise SchedulerLostError(
                f"Failed to connect to scheduler at {settings.scheduler_address}: {error}. Check that the scheduler "
                "runs, that the address is right, and that the port can be reached from here"
            ) from error
        yield


async def _work(worker: AWSBatchWorker, stop: asyncio.Event) -> None:
    """Work until the worker is done or ``stop`` is set, whichever comes first."""

    async def work() -> None:
        try:
            await worker.run()
        finally:
            stop.set()

    async with asyncio.TaskGroup() as group:
        working = group.create_task(work())
        await stop.wait()
        working.cancel()
