"""Results on their way to the client: first into the object storage, then announced.

In that order and not at once, because a client that is told of an object which then gets lost waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Self, cast

from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.translate import Answer, answer_of
from scaler_batch.tasks import Result, TaskRequest
from scaler_batch.wire import ResultKind, Task, WireError, WorkerConnection, new_result_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer whose object lies in the storage; without an object where it could not be stored."""

    answer: Answer
    object_id: bytes | None


class SchedulerReplies:
    """Answers tasks through object storage and scheduler. An async context manager, for what it does behind the scenes.

    Args:
        link: The scheduler.
        storage: The object storage.
    """

    def __init__(self, link: WorkerConnection, storage: StorageLink) -> None:
        self._link = link
        self._storage = storage
        self._removals = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Be ready."""
        await self._removals.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        """Wait for removals under way."""
        await self._removals.__aexit__(*raised)

    async def prepare(self, request: TaskRequest, result: Result) -> Stored:
        """Store what the client is to read."""
        answer = answer_of(result)
        object_id = new_result_id(_task(request).source)
        try:
            client = await self._storage.client()
            await client.set(object_id, answer.content)
        except WireError as error:
            # The client raises WorkerDiedError, which needs no object.
            logger.error("the result of task %s could not be stored: %s", request.task_id.hex(), error)
            return Stored(Answer(ResultKind.FAILED_WORKER_DIED, b""), None)
        return Stored(answer, object_id)

    def announce(self, request: TaskRequest, prepared: Stored) -> None:
        """Tell the scheduler."""
        answer = prepared.answer
        self._link.send_result(
            request.task_id, answer.kind, prepared.object_id, len(answer.content), profile=answer.profile
        )
        logger.info("task %s: %s", request.task_id.hex(), answer.kind.name.lower())

    def discard(self, request: TaskRequest, prepared: Stored) -> None:
        """Remove what was stored for a task that was cancelled meanwhile: nobody else knows of it."""
        if prepared.object_id is not None:
            self._removals.create_task(self._remove(prepared.object_id))

    async def _remove(self, object_id: bytes) -> None:
        try:
            await (await self._storage.client()).delete(object_id)
        except WireError as error:
            logger.warning("an abandoned result stays in the object storage: %s", error)


def _task(request: TaskRequest) -> Task:
    return cast("Task", request.context)
