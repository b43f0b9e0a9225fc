"""The stage that fetches and opens outcomes, and decides what becomes of tasks that have none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from scaler_batch.payload import Outcome, PayloadError, Store, body_size, decode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.errors import NotStoredError, StoreError
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError, TaskFailedError
from scaler_batch.tasks.flight import Flight, Job
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.outages import Outage
from scaler_batch.tasks.reply import Replies

logger = logging.getLogger(__name__)

_FIRST_WAIT: Final = 1.0
"""Seconds before an object is fetched again; each wait is twice the one before."""

_LONGEST_WAIT: Final = 30.0
"""Seconds between two tries at most."""

_AT_ONCE: Final = 64 * 1024
"""Bytes of an object, once it is opened, up to which that is done on the event loop: a fifteenth of the time that going
to a thread takes."""


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
        outage_patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._flight = flight
        self._store = store
        self._replies = replies
        self._janitor = janitor
        self._learn = learn
        self._again = again
        self._freed = freed
        self._outage_patience = outage_patience
        self._clock = clock
        self._outage = Outage(outage_patience)
        # Large ones one at a time: what is compressed may need a thousand times its size.
        self._opening = asyncio.Lock()
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
        if not self._is_wanted(job) or await self._read(job, key):
            self._janitor.discard(key)
        job.fetching -= 1
        await self.settle(job)

    def _is_wanted(self, job: Job) -> bool:
        return any(map(self._ledger.holds, job.unanswered.values()))

    async def _read(self, job: Job, key: str) -> bool:
        """Answer for what an object says; ``False`` where it could not be fetched, and so must not be removed."""
        sealed = await self._fetch(job, key)
        if sealed is None:
            return False
        for outcome in await self._opened(job, key, sealed):
            await self._answer(job, outcome)
        return True

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

    async def _fetch(self, job: Job, key: str) -> Buffer | None:
        """Fetch an object, trying for as long as there is hope and somebody waits; ``None`` where it cannot be had."""
        outage, wait = Outage(self._outage_patience), _FIRST_WAIT
        while True:
            try:
                sealed = await self._store.get(key)
            except StoreError as error:
                if not self._may_wait(error, outage, job):
                    text = f"the task has run, but its outcome could not be fetched from S3: {error}"
                    job.trouble = StorageUnavailableError(text)
                    return None
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                self._outage.worked()
                return sealed

    def _may_wait(self, error: StoreError, outage: Outage, job: Job) -> bool:
        """Decide whether to fetch an object again: there is hope for it, and for the storage as a whole."""
        if isinstance(error, NotStoredError):
            return False
        now = self._clock()
        outage.failed(error, now)
        if self._outage.failed(error, now):
            logger.warning("outcomes cannot be fetched for %.0f s, trying again: %s", self._outage.seconds(now), error)
        return not (outage.is_hopeless or self._outage.is_hopeless) and self._is_wanted(job)

    async def _opened(self, job: Job, key: str, sealed: Buffer) -> list[Outcome]:
        try:
            if body_size(sealed) <= _AT_ONCE:
                return decode_outcomes(sealed, positions=job.size)[0]
            async with self._opening:
                opened = await asyncio.to_thread(_decoded, sealed, job.size)
            if isinstance(opened, PayloadError):
                raise opened
            return opened
        except PayloadError as error:
            job.trouble = OutcomeUnreadableError(f"the task has run, but its outcome {key} cannot be read: {error}")
        except Exception as error:  # the outermost frame of one object, which anybody may have written
            logger.exception("outcome %s cannot be read", key)
            job.trouble = OutcomeUnreadableError(f"the task has run, but its outcome {key} cannot be read: {error!r}")
        return []


def _decoded(sealed: Buffer, positions: int) -> list[Outcome] | PayloadError:
    """Open an object beside the event loop; an error is returned without what it holds, so that is freed here too."""
    try:
        return decode_outcomes(sealed, positions=positions)[0]
    except PayloadError as error:
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)
