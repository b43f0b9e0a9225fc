"""The stage that fetches and opens outcomes, and decides what becomes of tasks that have none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from scaler_batch.payload import Outcome, PayloadError, Store, decode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError, TaskFailedError
from scaler_batch.tasks.flight import Flight, Job
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.reply import Replies

_AT_ONCE: Final = 64 * 1024
"""Bytes of an object up to which it is opened on the event loop: a fifteenth of the time that going to a thread takes,
and at gzip's best ratio not long enough to be missed."""


class Collector:
    """Fetches the outcomes that the watcher has seen, and closes the jobs that they answer."""

    def __init__(
        self,
        ledger: Ledger,
        flight: Flight,
        store: Store,
        replies: Replies,
        janitor: Janitor,
        learn: Callable[[Job, Outcome], None],
        again: Callable[[Task], None],
        freed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._flight = flight
        self._store = store
        self._replies = replies
        self._janitor = janitor
        self._learn = learn
        self._again = again
        self._freed = freed
        self._queue: asyncio.Queue[tuple[Job, str]] = asyncio.Queue()

    def put(self, job: Job, key: str) -> None:
        """Fetch some of a job's outcomes when their turn comes."""
        job.seen.add(key)
        job.fetching += 1
        if job.size == 1:
            # There is nothing that it could say besides: its slot is free before that is read.
            self._flight.close(job)
            for task in job.unanswered.values():
                self._ledger.move(task, Stage.COLLECTING)
        self._queue.put_nowait((job, key))

    async def run(self) -> None:
        """Fetch outcomes, one object after the other; run several of these side by side."""
        while True:
            await self._collect(*await self._queue.get())

    async def _collect(self, job: Job, key: str) -> None:
        if any(map(self._ledger.holds, job.unanswered.values())):
            for outcome in await self._fetch(job, key):
                await self._answer(job, outcome)
        self._janitor.discard(key)
        job.fetching -= 1
        await self.settle(job)

    async def _answer(self, job: Job, outcome: Outcome) -> None:
        self._learn(job, outcome)
        if (task := job.unanswered.pop(outcome.position, None)) is not None:
            await self._replies.put(task, outcome)

    async def settle(self, job: Job) -> None:
        """Close a job that has answered all its tasks, or will answer no more, as soon as all that it said is read."""
        if job.fetching:
            return
        if job.size == 1 and job.seen and job.unanswered and job.verdict is None:
            job.verdict = OutcomeUnreadableError("the job has published outcomes, but none for this task")
        if job.unanswered and job.verdict is None:
            return
        if self._flight.close(job):
            self._freed()
        if job.verdict is not None:
            left, job.unanswered = list(job.unanswered.values()), {}
            for task in left:
                await self._give_up(job, task, job.verdict)

    async def _give_up(self, job: Job, task: Task, verdict: TaskFailedError) -> None:
        """Answer for a task that its job has left without an answer, or run it again by itself if others shared it."""
        if job.trouble is not None or job.size == 1:
            await self._replies.put(task, job.trouble or verdict)
        elif self._ledger.move(task, Stage.QUEUED):
            task.alone = True
            self._again(task)

    async def _fetch(self, job: Job, key: str) -> list[Outcome]:
        try:
            return await _opened(await self._store.get(key))
        except StoreError as error:
            text = f"the task has run, but its outcome could not be fetched from S3: {error}"
            job.trouble = StorageUnavailableError(text)
        except PayloadError as error:
            job.trouble = OutcomeUnreadableError(f"the task has run, but its outcome {key} cannot be read: {error}")
        return []


async def _opened(sealed: Buffer) -> list[Outcome]:
    if len(sealed) <= _AT_ONCE:
        return decode_outcomes(sealed)[0]
    return (await asyncio.to_thread(decode_outcomes, sealed))[0]
