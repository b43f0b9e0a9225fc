"""Results on their way to the client: first into the object storage, then announced.

In that order and not at once, because a client that is told of an object which then gets lost waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Any, Self, cast

from scaler_batch.adapter.output import Output
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.translate import Answer, Errand, answer_of
from scaler_batch.payload import Outcome
from scaler_batch.tasks import Result, TaskRequest
from scaler_batch.wire import LocalProtocolError, Profile, ResultKind, WireError, new_result_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer whose object lies in the storage.

    Attributes:
        answer: What the client gets.
        object_id: Where it lies; ``None`` where it could not be stored.
        job_id: The job that left no outcome, if that is why the task failed.
    """

    answer: Answer
    object_id: bytes | None
    job_id: str = ""


class SchedulerReplies:
    """Answers tasks through object storage and scheduler. An async context manager, for what it does behind the scenes.

    Args:
        storage: The object storage.
        output: What tasks have printed; the result of one waits for the end of it.
        parting: Seconds for which leaving waits for removals under way.
    """

    def __init__(self, storage: StorageLink, output: Output | None = None, parting: float = 1.0) -> None:
        self._storage = storage
        self._output = output
        self._parting = parting
        self._removals = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Be ready."""
        await self._removals.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        """Wait for removals under way, though not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parting):
                await self._removals.__aexit__(*raised)

    async def prepare(self, request: TaskRequest, result: Result) -> Stored:
        """Store what the client is to read."""
        if self._output is not None:
            await self._output.finish(request.task_id)
        answer = answer_of(result)
        object_id = new_result_id(_errand(request).task.source)
        try:
            client = await self._storage.client()
            await client.set(object_id, answer.content)
        except WireError as error:
            # The client raises WorkerDiedError, which needs no object.
            task = request.task_id.hex()
            logger.error("the result of task %s could not be stored: %s", task, error, extra={"task": task})
            return Stored(Answer(ResultKind.FAILED_WORKER_DIED, b""), None)
        return Stored(answer, object_id, "" if isinstance(result, Outcome) else result.job_id)

    def announce(self, request: TaskRequest, prepared: Stored) -> None:
        """Tell the scheduler."""
        answer, link = prepared.answer, _errand(request).link
        profile = answer.profile if _can_travel(answer.profile) else None
        link.send_result(request.task_id, answer.kind, prepared.object_id, len(answer.content), profile=profile)
        task = request.task_id.hex()
        ids = {"task": task, "job": prepared.job_id}
        logger.info("task %s: %s", task, answer.kind.name.lower(), extra=ids)

    def discard(self, request: TaskRequest, prepared: Stored) -> None:
        """Remove what was stored for a task that was cancelled meanwhile: nobody else knows of it."""
        if prepared.object_id is not None:
            self._removals.create_task(self._remove(prepared.object_id))

    async def _remove(self, object_id: bytes) -> None:
        try:
            await (await self._storage.client()).delete(object_id)
        except WireError as error:
            logger.warning("an abandoned result stays in the object storage: %s", error)


def _errand(request: TaskRequest) -> Errand:
    return cast("Errand", request.context)


def _can_travel(profile: Profile | None) -> bool:
    """Whether the scheduler's protocol can express what running a task took; the answer does not depend on it."""
    try:
        if profile is not None:
            profile.encode()
    except LocalProtocolError as error:
        logger.warning("the profile of a task is left out: %s", error)
        return False
    return True
