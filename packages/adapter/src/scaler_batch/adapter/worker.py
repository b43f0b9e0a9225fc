"""The worker: between the scheduler's messages and the task manager.

::

    scheduler ──► WorkerConnection ──events──► AWSBatchWorker ──requests──► AWSHPCTaskManager ──► AWS Batch
        ▲                                                                         │
        └──────────── SchedulerReplies ◄── results ◄──────────────────────────────┘
                            └──► object storage

The connection owns what the scheduler has been told, the task manager owns where each task is; in here nothing is
remembered about tasks at all. All that is remembered is which scheduler it is, to know it again after a lost link.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import Enum

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.output import Output
from scaler_batch.adapter.routes import Routes
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.translate import CONFIRMS, DIRECT, request_of
from scaler_batch.tasks import AWSHPCTaskManager, TasksError, Verdict
from scaler_batch.wire import (
    CancelRequested,
    ConnectionLostError,
    Event,
    LinkLost,
    LinkRestored,
    MessageIgnored,
    MessageRefused,
    ObjectsDeleted,
    ObjectStorageAddress,
    Registered,
    RegisteredAnew,
    RemoteProtocolError,
    ResultKind,
    SchedulerSilent,
    ShutdownRequested,
    StorageMoved,
    Task,
    TaskFlags,
    TaskReceived,
    TaskRedelivered,
    TlsError,
    WorkerConnection,
)

logger = logging.getLogger(__name__)


class End(Enum):
    """Why a worker serves a scheduler no longer."""

    STOPPED = "stopped"
    """Somebody told it to stop."""
    DISMISSED = "dismissed"
    """The scheduler wants no more."""
    REPLACED = "replaced"
    """Another scheduler listens in its place, which knows nothing of what this one has asked for."""


class AWSBatchWorker:
    """Routes what the scheduler says to the task manager.

    Args:
        link: The scheduler.
        storage: The object storage; opened when the scheduler names it.
        inputs: The cache to clear when objects are deleted.
        manager: Takes tasks on.
        routes: Where tasks with certain capabilities go.
        table: The capability whose link it is; ``None`` for the link of all tasks.
        output: Follows what tasks print, where their clients want to see it.
        identify: Tells which scheduler listens at the address, if it can; without it a scheduler that was started anew
            is taken for the one before.
    """

    def __init__(
        self,
        link: WorkerConnection,
        storage: StorageLink,
        inputs: CachedInputs,
        manager: AWSHPCTaskManager,
        routes: Routes = DIRECT,
        table: str | None = None,
        output: Output | None = None,
        identify: Callable[[], Awaitable[bytes | None]] | None = None,
    ) -> None:
        self._link = link
        self._storage = storage
        self._inputs = inputs
        self._manager = manager
        self._routes = routes
        self._table = table
        self._output = output
        self._identify = identify
        self._scheduler: bytes | None = None

    async def run(self) -> End:
        """Work until the scheduler wants it no more, or is another one.

        Raises:
            SchedulerLostError: The scheduler has been silent for too long.
            TlsError: The object storage cannot be trusted.
        """
        await self._is_another()
        async for event in self._link:
            match event:
                case ShutdownRequested():
                    logger.info("the scheduler asks to shut down")
                    return End.DISMISSED
                case LinkRestored():
                    logger.info("the link to the scheduler is back")
                    if await self._is_another():
                        return End.REPLACED
                case _:
                    await self._handle(event)
        return End.STOPPED

    async def _is_another(self) -> bool:
        """Ask which scheduler listens, and whether it is another one than the last time."""
        before, found = self._scheduler, await self._identify() if self._identify else None
        self._scheduler = found or before
        return found is not None and before is not None and found != before

    async def _handle(self, event: Event) -> None:
        match event:
            case TaskReceived(task=task):
                self._take(task)
            case CancelRequested(task_id=task_id, force=force):
                self._cancel(task_id, force)
            case ObjectsDeleted(object_ids=object_ids):
                self._inputs.drop(object_ids)
            case Registered(storage=address) | StorageMoved(storage=address):
                await self._connect_storage(address)
            case SchedulerSilent(seconds=seconds):
                raise SchedulerLostError(f"the scheduler has not answered for {seconds:.0f} s; giving up")
            case _:
                _log(event)

    def _take(self, task: Task) -> None:
        ids = {"task": task.task_id.hex()}
        try:
            self._manager.submit(request_of(task, self._link, self._routes, self._table))
        except RemoteProtocolError as error:
            logger.error("task %s cannot be taken on: %s", task.task_id.hex(), error, extra=ids)
            self._link.send_result(task.task_id, ResultKind.FAILED_WORKER_DIED, None)
        except TasksError:
            # It stays unanswered, and the scheduler gives it to another worker when it hears our goodbye.
            logger.info("task %s came while stopping and is left to others", task.task_id.hex(), extra=ids)
        else:
            logger.debug("task %s is taken on", task.task_id.hex(), extra=ids)
            if self._output is not None and TaskFlags.decode(task.metadata).stream_output:
                self._output.follow(task.task_id)

    def _cancel(self, task_id: bytes, force: bool) -> None:
        verdict = self._manager.cancel(task_id, force=force)
        if verdict is Verdict.CANCELLED and self._output is not None:
            self._output.forget(task_id)
        self._link.confirm_cancel(task_id, CONFIRMS[verdict])

    async def _connect_storage(self, address: ObjectStorageAddress) -> None:
        while True:
            try:
                client = await self._storage.open(address)
                break
            except TlsError:
                raise  # somebody has to change something first, and meanwhile others can have the tasks
            except ConnectionLostError as error:
                # It may be on its way up again; a scheduler that gives up on us says so on its own link.
                logger.warning("the object storage cannot be reached, trying again: %s", error)
        self._link.adopt(client.dialect)
        logger.info("registered with the scheduler; object storage at %s:%d", address.host, address.port)


def _log(event: Event) -> None:
    match event:
        case TaskRedelivered(task=task):
            logger.info("task %s was sent again; it is being worked on", task.task_id.hex())
        case RegisteredAnew():
            logger.info("registered anew, so that the scheduler sends again what was lost with the link")
        case LinkLost(reason=reason):
            logger.warning("the link to the scheduler is lost: %s", reason)
        case MessageRefused(reason=reason):
            logger.warning("a message of the scheduler was refused: %s", reason)
        case MessageIgnored(discriminant=discriminant):
            logger.debug("a message of kind %d is not for workers", discriminant)
