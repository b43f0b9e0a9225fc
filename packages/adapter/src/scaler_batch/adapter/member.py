"""One worker of this process, from its first word to its last.

::

    Member ─ run ──────────────── one task manager, one lease, one prefix in the bucket
       └──── scheduler, and the next one where it is started anew ── one link each, under a new worker id

A scheduler that was started anew knows nothing of what the one before it had asked for. Its predecessor's tasks are
cancelled, so that no job runs for nobody, and the worker registers as a new one; the task manager goes on.

Stopping ends the jobs first and says goodbye then: the scheduler hands our tasks to other workers the moment it hears
the goodbye, and none of them shall run twice at the same time. All of it keeps to one deadline
(:mod:`~scaler_batch.adapter.deadline`), so goodbye is said in time even where the jobs could not be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.adapter.connecting import connected, warn_if_readable
from scaler_batch.adapter.cost_tags import with_tags
from scaler_batch.adapter.deadline import Deadline, closing
from scaler_batch.adapter.heartbeat import HeartbeatManager
from scaler_batch.adapter.incarnation import incarnation_of
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.logs import RUN
from scaler_batch.adapter.output import LogReader, Output
from scaler_batch.adapter.replies import SchedulerReplies
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.worker import AWSBatchWorker, End
from scaler_batch.aws import s3_environment
from scaler_batch.payload import RunLocation
from scaler_batch.payload.listings import Boto3Listing
from scaler_batch.payload.s3 import PATIENCE, S3RunStore, boto3_credentials
from scaler_batch.tasks import (
    AWSHPCTaskManager,
    Credentials,
    JobService,
    LeaseHolder,
    Leases,
    PatientJobs,
    PatientStore,
    Snapshot,
    new_run_id,
)
from scaler_batch.wire import (
    LogStream,
    ObjectStorageAddress,
    ObjectStorageClient,
    StorageSettings,
    WorkerConnection,
    endpoint_of,
    new_worker_id,
    parse,
)

if TYPE_CHECKING:
    import boto3

logger = logging.getLogger(__name__)

LEASES: Final = "leases"
"""Where the leases of all runs lie, below the prefix that they share."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """What all workers of a process use of AWS.

    Attributes:
        session: Where credentials come from.
        jobs: AWS Batch; all calls of the process keep to its one rate.
        logs: What jobs have printed.
        credentials: Knows whether AWS takes our credentials, so that it is said once a process.
    """

    session: boto3.Session
    jobs: JobService
    logs: LogReader
    credentials: Credentials = field(default_factory=Credentials)

    def store(self, run: RunLocation) -> S3RunStore:
        """The objects of a run."""
        environment = s3_environment(self.session)
        return S3RunStore(
            run,
            credentials=boto3_credentials(self.session),
            environment=environment,
            listing=Boto3Listing(self.session, run, environment=environment),
        )


@dataclass(frozen=True, slots=True)
class OtherRuns:
    """Where the objects of other runs below the same prefix lie.

    Attributes:
        cloud: AWS.
        run: This run.
    """

    cloud: Cloud
    run: RunLocation

    def of(self, run_id: str) -> PatientStore:
        """The store of a run.

        Raises:
            ContractError: It is not the id of a run.
        """
        other = RunLocation(self.run.bucket, self.run.prefix, run_id, self.run.region)
        return PatientStore(self.cloud.store(other), self.cloud.credentials)


class Member:
    """One worker.

    Args:
        settings: What it is told.
        cloud: AWS.
    """

    def __init__(self, settings: WorkerSettings, cloud: Cloud) -> None:
        self._run = run = new_run(settings)
        self._settings = settings = with_tags(settings, run.run_id)
        self.run_id = ""
        self.worker_id = ""
        self._storage = StorageLink(settings.object_storage, partial(_storage_client, settings))
        self._inputs = CachedInputs(self._storage)
        self.run_id = run.run_id
        self._output = Output(cloud.jobs, cloud.logs, self._job_of, self._say)
        self._replies = SchedulerReplies(self._storage, self._output, closing(settings.shutdown_deadline))
        self._manager = AWSHPCTaskManager(
            settings.tasks,
            run,
            jobs=cloud.jobs,
            store=cloud.store(run).with_patience(max(1.0, min(PATIENCE, settings.tasks.outage_patience))),
            inputs=self._inputs,
            sink=self._replies,
            credentials=cloud.credentials,
        )
        self._leases = Leases(
            PatientStore(cloud.store(leases_of(settings)), cloud.credentials),
            holder=LeaseHolder(
                settings.name,
                run.run_id,
                sorted({settings.tasks.job_queue, *(shape.queue for shape in settings.routes.shapes.values())}),
            ),
            jobs=PatientJobs(cloud.jobs, cloud.credentials),
            runs=OtherRuns(cloud, run),
        )
        self._links: list[WorkerConnection] = []

    def _job_of(self, task_id: bytes) -> str | None:
        return self._manager.job_of(task_id)

    def _say(self, task_id: bytes, stream: LogStream, content: str) -> None:
        for link in self._links:
            link.send_log(task_id, stream, content)

    def snapshot(self) -> Snapshot:
        """Look at the worker's tasks and jobs."""
        return self._manager.snapshot()

    async def work(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, or the scheduler wants no more.

        Raises:
            SchedulerLostError: The scheduler cannot be reached, or has been silent for too long.
        """
        RUN.set(self.run_id)
        tasks = self._settings.tasks
        logger.info("run %s: queue %s, definition %s", self._run, tasks.job_queue, tasks.job_definition)
        async with (
            contextlib.aclosing(self._storage),
            self._replies,
            self._manager,
            _beside(self._leases.run()),
            _beside(self._output.run()),
        ):
            patience = 0.0
            while await self._serve(stop, patience) is End.REPLACED:
                logger.warning("the scheduler was started anew: what its predecessor had asked for is cancelled")
                # One that was there may take its time to be there again.
                patience = self._settings.link.silence_limit

    async def _serve(self, stop: asyncio.Event, patience: float) -> End:
        """Serve one scheduler to its end, or to ours."""
        settings, end = self._settings, End.STOPPED
        deadline = Deadline(settings.shutdown_deadline)
        tables = (None, *settings.routes.shapes)
        self._links = links = [self._link(table) for table in tables]
        self.worker_id = links[0].identity.decode()
        workers = [self._worker(each, table) for each, table in zip(links, tables, strict=True)]
        entered: list[WorkerConnection] = []
        async with contextlib.AsyncExitStack() as stack:
            try:
                for each in links:
                    await stack.enter_async_context(connected(each, settings, stop, patience))
                    entered.append(each)
                end = await _until(stop, lambda: _first(workers), lambda: self._drain(deadline))
            finally:
                deadline.begin()
                if end is End.REPLACED:
                    self._cancel_all()
                else:
                    await self._stop(deadline)
                await self._say_goodbye(entered, deadline)
        return end

    def _link(self, table: str | None) -> WorkerConnection:
        settings = self._settings
        identity = new_worker_id(settings.name if table is None else f"{settings.name}-{table}")
        heartbeat = HeartbeatManager(settings, self.snapshot, table)
        return WorkerConnection(settings.scheduler_address, heartbeat, identity=identity, settings=settings.link)

    def _worker(self, link: WorkerConnection, table: str | None) -> AWSBatchWorker:
        scheduler = parse(self._settings.scheduler_address)
        return AWSBatchWorker(
            link,
            self._storage,
            self._inputs,
            self._manager,
            self._settings.routes,
            table,
            self._output,
            identify=lambda: incarnation_of(scheduler, self._settings.link.tls),
        )

    @property
    def _open_tasks(self) -> frozenset[bytes]:
        return frozenset().union(*(link.open_tasks for link in self._links))

    def _cancel_all(self) -> None:
        for task_id in self._open_tasks:
            self._manager.cancel(task_id, force=True)
            self._output.forget(task_id)

    async def _drain(self, deadline: Deadline) -> None:
        """Give back what has not been started, and wait for the rest."""
        deadline.begin()
        if self._settings.on_shutdown != "drain":
            return
        for task_id in self._open_tasks:
            self._manager.cancel(task_id, force=False)
        logger.info("stopping: %d task(s) are to be finished first", self.snapshot().tasks)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline.until_terminating()):
                await self._manager.drain()

    async def _stop(self, deadline: Deadline) -> None:
        logger.info("stopping: ending all jobs")
        if not await self._manager.stop(deadline.until_goodbye()):
            logger.warning("a worker named %s that starts on will end what is left", self._settings.name)
            return
        try:
            async with asyncio.timeout(deadline.until_goodbye()):
                await self._leases.give_back()
        except TimeoutError:
            logger.warning("the lease could not be given back in time; the next worker of this name removes it")

    async def _say_goodbye(self, links: Sequence[WorkerConnection], deadline: Deadline) -> None:
        """Leave all links at once: over a broken one the goodbye takes as long as it may."""
        self._links = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline.until_over()):
                await asyncio.gather(*(each.close() for each in links))


def _storage_client(settings: WorkerSettings, address: ObjectStorageAddress | str) -> ObjectStorageClient:
    """A client that leaves in time: the storage has confirmed whatever matters before that."""
    warn_if_readable("object storage", endpoint_of(address))
    limits = StorageSettings(close_grace=closing(settings.shutdown_deadline), tls=settings.link.tls)
    return ObjectStorageClient(address, settings=limits)


def new_run(settings: WorkerSettings) -> RunLocation:
    """Where a new run's objects lie.

    Raises:
        ContractError: The settings make no address.
    """
    return RunLocation(settings.s3_bucket, settings.s3_prefix, new_run_id(settings.name), settings.aws_region)


def leases_of(settings: WorkerSettings) -> RunLocation:
    """Where the leases of all runs lie.

    Raises:
        ContractError: The settings make no address.
    """
    return RunLocation(settings.s3_bucket, settings.s3_prefix, LEASES, settings.aws_region)


@contextlib.asynccontextmanager
async def _beside(chore: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something that has no end while the worker works."""
    async with asyncio.TaskGroup() as group:
        doing = group.create_task(chore)
        try:
            yield
        finally:
            doing.cancel()


async def _first(workers: Sequence[AWSBatchWorker]) -> End:
    """Let all work until one is done, and return why."""
    ends: list[End] = []

    async def work(worker: AWSBatchWorker) -> None:
        ends.append(await worker.run())
        for each in working:
            each.cancel()

    async with asyncio.TaskGroup() as group:
        working = [group.create_task(work(worker)) for worker in workers]
    return ends[0]


async def _until(
    stop: asyncio.Event, work: Callable[[], Awaitable[End]], wind_down: Callable[[], Awaitable[None]]
) -> End:
    """Work to the end, or until ``stop`` is set; then wind down while the work goes on."""
    ends: list[End] = []
    over = asyncio.Event()

    async def go() -> None:
        try:
            ends.append(await work())
        finally:
            over.set()

    async def heed() -> None:
        await stop.wait()
        over.set()

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(go()), group.create_task(heed())]
        await over.wait()
        if stop.is_set() and not ends:
            await wind_down()
        for each in running:
            each.cancel()
    return ends[0] if ends else End.STOPPED
