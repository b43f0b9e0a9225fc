"""The worker: between the scheduler's messages and the task manager.

::

    scheduler ──► WorkerConnection ──events──► AWSBatchWorker ──requests──► AWSHPCTaskManager ──► AWS Batch
        ▲                                                                         │
        └──────────── SchedulerReplies ◄── results ◄──────────────────────────────┘
                            └──► object storage

The connection owns what the scheduler has been told, the task manager owns where each task is; in here nothing is
remembered about tasks at all.
"""

from __future__ import annotations

import logging

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.translate import CONFIRMS, request_of
from scaler_batch.tasks import AWSHPCTaskManager
from scaler_batch.wire import (
    CancelRequested,
    Event,
    LinkLost,
    LinkRestored,
    MessageIgnored,
    MessageRefused,
    ObjectsDeleted,
    ObjectStorageAddress,
    Registered,
    RemoteProtocolError,
    ResultKind,
    SchedulerSilent,
    ShutdownRequested,
    StorageMoved,
    Task,
    TaskReceived,
    TaskRedelivered,
    WorkerConnection,
)

logger = logging.getLogger(__name__)


class AWSBatchWorker:
    """Routes what the scheduler says to the task manager.

    Args:
        link: The scheduler.
        storage: The object storage; opened when the scheduler names it.
        inputs: The cache to clear when objects are deleted.
        manager: Takes tasks on.
    """

    def __init__(
        self, link: WorkerConnection, storage: StorageLink, inputs: CachedInputs, manager: AWSHPCTaskManager
    ) -> None:
        self._link = link
        self._storage = storage
        self._inputs = inputs
        self._manager = manager

    async def run(self) -> None:
        """Work until the scheduler wants it no more.

        Raises:
            SchedulerLostError: The scheduler has been silent for too long.
        """
        async for event in self._link:
            if isinstance(event, ShutdownRequested):
                logger.info("the scheduler asks to shut down")
                return
            await self._handle(event)

    async def _handle(self, event: Event) -> None:
        match event:
            case TaskReceived(task=task):
                self._take(task)
            case CancelRequested(task_id=task_id, force=force):
                self._link.confirm_cancel(task_id, CONFIRMS[self._manager.cancel(task_id, force=force)])
            case ObjectsDeleted(object_ids=object_ids):
                self._inputs.drop(object_ids)
            case Registered(storage=address) | StorageMoved(storage=address):
                await self._connect_storage(address)
            case SchedulerSilent(seconds=seconds):
                raise SchedulerLostError(f"the scheduler has not answered for {seconds:.0f} s; giving up")
            case _:
                _log(event)

    def _take(self, task: Task) -> None:
        try:
            self._manager.submit(request_of(task))
        except RemoteProtocolError as error:
            logger.error("task %s cannot be taken on: %s", task.task_id.hex(), error)
            self._link.send_result(task.task_id, ResultKind.FAILED_WORKER_DIED, None)

    async def _connect_storage(self, address: ObjectStorageAddress) -> None:
        client = await self._storage.open(address)
        self._link.adopt(client.dialect)
        logger.info("registered with the scheduler; object storage at %s:%d", address.host, address.port)


def _log(event: Event) -> None:
    match event:
        case TaskRedelivered(task=task):
            logger.info("task %s was sent again; it is being worked on", task.task_id.hex())
        case LinkLost(reason=reason):
            logger.warning("the link to the scheduler is lost: %s", reason)
        case LinkRestored():
            logger.info("the link to the scheduler is back")
        case MessageRefused(reason=reason):
            logger.warning("a message of the scheduler was refused: %s", reason)
        case MessageIgnored(discriminant=discriminant):
            logger.debug("a message of kind %d is not for workers", discriminant)
