"""The stage that turns waiting tasks into jobs: pack, place, submit.

One submission at a time. That is what gathers tasks into arrays (see :mod:`~scaler_batch.tasks.batching`), and it makes
numbering and retrying plain.

SubmitJob has no idempotency token, and the answer to one that worked can get lost. Each job therefore carries a name
that no other has, and after a failure that may have had its effect the name is looked up before anything is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final

from scaler_batch.aws import JobShape, JobSpec, ServiceError
from scaler_batch.payload import Pack, RunLocation, Store, encode_pack, place
from scaler_batch.payload.contract import PACK_PARAMETER, RUN_PARAMETER, SEQUENCE_PARAMETER
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.batching import bundle_size, next_batch
from scaler_batch.tasks.capacity import Room, gathering, may_start
from scaler_batch.tasks.errors import StorageUnavailableError, SubmitRejectedError, TaskFailedError
from scaler_batch.tasks.flight import Flight, Job, Submission
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.loading import Loader, Ready
from scaler_batch.tasks.objects import Objects
from scaler_batch.tasks.pace import Pace, Stream
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.vocabulary import job_names

logger = logging.getLogger(__name__)

_NEAREST: Final = 0.001
"""Seconds that waiting for a moment takes at least."""

LOOKS: Final = (1.0, 2.0, 5.0, 12.0)
"""Seconds between looks for a job that AWS Batch may have taken: at 1, 3, 8 and 20 s. ListJobs lags behind SubmitJob,
usually by less than a second; AWS states no bound."""


class Submitter:
    """Submits what waits, as far as slots are free.

    Attributes:
        in_doubt: Queues by name of the jobs of which AWS Batch may have taken one more than we know of.
    """

    def __init__(
        self,
        settings: TaskManagerSettings,
        run: RunLocation,
        *,
        work: asyncio.Event,
        backlog: Backlog,
        ledger: Ledger,
        flight: Flight,
        replies: Replies,
        jobs: JobService,
        store: Store,
        loader: Loader,
        objects: Objects,
        abandon: Callable[[Job], None],
        check_storage: Callable[[], Awaitable[None]],
        backoff: Backoff,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._run = run
        self._work = work
        self._backlog = backlog
        self._ledger = ledger
        self._flight = flight
        self._replies = replies
        self._jobs = jobs
        self._store = store
        self._loader = loader
        self._objects = objects
        self._abandon = abandon
        self._check_storage = check_storage
        self._backoff = backoff
        self._clock = clock
        self._paces: dict[JobShape, Pace] = {}
        self._stream = Stream(clock)
        self._short_since: float | None = None
        self._gather_until = -math.inf
        self._sequences = count(1)
        self._submitting = asyncio.Lock()
        self._leaving = asyncio.Event()
        self.in_doubt: dict[str, str] = {}

    async def run(self) -> None:
        """Submit for as long as the manager lives; woken by new tasks and by freed slots."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._work.wait()
            self._work.clear()
            while batch := self._due():
                await self._submit(*batch)

    async def settle(self) -> None:
        """Wait until no job is being submitted, and try nothing twice any more.

        What is loading now will not be submitted, where its tasks are given up. What is in doubt is for whoever stops.
        """
        self._leaving.set()
        async with self._submitting:
            pass

    def pace(self, shape: JobShape) -> Pace:
        """What tasks of a shape have taken."""
        return self._paces.setdefault(shape, Pace())

    def arrived(self, task: Task) -> None:
        """Let a task wait for its turn."""
        self._stream.note()
        self._backlog.put(task)
        self._work.set()

    def _until_next(self) -> float | None:
        """Seconds until it may be time to submit although nothing happens; ``None`` while nothing waits for time."""
        if self._backlog.next_shape() is None:
            return None
        moments = [self._gather_until]
        if self._short_since is not None:
            moments.append(self._short_since + self._settings.refill_wait)
        ahead = [moment - self._clock() for moment in moments if moment > self._clock()]
        # A clock does not resolve what is too near: it would be waited for without an end.
        return max(min(ahead), _NEAREST) if ahead else None

    def _due(self) -> tuple[JobShape, list[list[Task]]] | None:
        """The tasks that leave now, in bundles; ``None`` if none do."""
        while (shape := self._backlog.next_shape()) is not None:
            size = self._bundle_size(shape)
            room = self._room(shape, size)
            jobs = may_start(room)
            if not jobs or (self._clock() < self._gather_until and not room.urgent):
                return None
            self._short_since = None
            batch = next_batch(self._backlog, shape, jobs, size, lambda task: self._ledger.move(task, Stage.SUBMITTING))
            if batch:
                return shape, batch
        self._short_since = None
        return None

    def _bundle_size(self, shape: JobShape) -> int:
        if self._settings.tasks_per_job != "auto":
            return self._settings.tasks_per_job
        free = self._settings.max_concurrent_jobs - self._flight.open
        return bundle_size(self._backlog.waiting(shape), free, self.pace(shape).seconds, shape.timeout)

    def _room(self, shape: JobShape, size: int) -> Room:
        free = self._settings.max_concurrent_jobs - self._flight.open
        first, now = self._backlog.peek(shape), self._clock()
        if free > 0 and self._short_since is None:
            self._short_since = now
        return Room(
            slots=self._settings.max_concurrent_jobs,
            free=free,
            wanted=-(-self._backlog.waiting(shape) // size),
            urgent=first is not None and first.request.priority > 0,
            waited=0.0 if self._short_since is None else now - self._short_since,
            patience=self._settings.refill_wait,
        )

    async def _submit(self, shape: JobShape, batch: Sequence[Sequence[Task]]) -> None:
        sequence = next(self._sequences)
        bundles = await self._loader.load(batch, sequence)
        try:
            if bundles:
                await self._send(sequence, shape, bundles)
        except TaskFailedError as failure:
            for ready in (ready for bundle in bundles for ready in bundle):
                await self._replies.put(ready.task, failure)
        finally:
            self._gather_until = self._clock() + gathering(self._stream.seconds, self._flight.open)
            if not self._flight.holds(sequence):
                self._objects.release(sequence)

    async def _send(self, sequence: int, shape: JobShape, bundles: Sequence[Sequence[Ready]]) -> None:
        await self._check_storage()
        pack = await self._packed(bundles)
        placement = place(pack, inline_limit=self._settings.inline_limit)
        if placement.stored:
            await self._put(pack_key(sequence), pack)
        parameters = {
            RUN_PARAMETER: str(self._run),
            SEQUENCE_PARAMETER: str(sequence),
            PACK_PARAMETER: placement.parameter,
        }
        name = f"{job_names(self._run.run_id)}{sequence}"
        tasks = [[ready.task for ready in bundle] for bundle in bundles]
        logger.info(
            "submitting %s: %d task(s) in %d job(s), pack of %d bytes %s",
            name, sum(map(len, tasks)), len(tasks), pack.size, "in S3" if placement.stored else "inline",
        )  # fmt: skip
        async with self._submitting:
            if any(self._ledger.holds(task) for bundle in tasks for task in bundle):
                job_id = await self._submit_once(JobSpec(name, shape, parameters, len(tasks)))
                logger.info("submitted %s as job %s", name, job_id)
                self._launched(Submission(sequence, job_id, shape, tasks))

    async def _packed(self, bundles: Sequence[Sequence[Ready]]) -> Pack:
        calls = [[ready.call for ready in bundle] for bundle in bundles]
        shared = max(map(len, calls)) > 1
        processes = self._settings.processes if shared else 0
        return await asyncio.to_thread(encode_pack, calls, client=self._settings.client, processes=processes)

    async def _put(self, key: str, pack: Pack) -> None:
        try:
            await self._store.put(key, pack.pieces)
        except StoreError as error:
            raise StorageUnavailableError(f"the task's data could not be put into S3: {error}") from error

    async def _submit_once(self, job: JobSpec) -> str:
        """Submit a job, as often as it takes and no more than once."""
        waits = self._backoff.waits()
        self.in_doubt[job.name] = job.shape.queue
        unsure, sent = False, 0
        while True:
            try:
                sent += 1
                job_id = await self._jobs.submit(job)
                self._resolve(job, certain=not unsure)
                return job_id
            except ServiceError as error:
                # For good: what was not to be found a moment ago may have been taken all the same.
                unsure = unsure or error.ambiguous
                if unsure and (found := await self._find(job)) is not None:
                    self._resolve(job, certain=sent == 1)
                    return found
                wait = next(waits, None) if error.retryable and not self._leaving.is_set() else None
                if wait is None:
                    self._resolve(job, certain=not unsure)
                    raise _rejected(error) from error
                logger.warning("submitting %s failed, trying again: %s", job.name, error)
                await self._pause(0 if unsure else wait)

    def _resolve(self, job: JobSpec, *, certain: bool) -> None:
        """Take note of how a submission ended; one that was sent again may have been taken twice."""
        if certain:
            del self.in_doubt[job.name]

    async def _find(self, job: JobSpec) -> str | None:
        """Look for a job until it would be listed if AWS Batch had taken it."""
        for pause in LOOKS:
            await self._pause(pause)
            if self._leaving.is_set():
                break
            if (job_id := await self._look_up(job)) is not None:
                return job_id
        return None

    async def _look_up(self, job: JobSpec) -> str | None:
        waits = self._backoff.waits()
        while True:
            try:
                return await self._jobs.find(job.name, job.shape.queue)
            except ServiceError as error:
                wait = next(waits, None) if error.retryable and not self._leaving.is_set() else None
                if wait is None:
                    raise SubmitRejectedError(
                        f"AWS Batch did not say whether it took job {job.name}; "
                        f"look for it there before submitting the task again: {error}"
                    ) from error
                await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Wait, or until nothing is to be tried again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()

    def _launched(self, submission: Submission) -> None:
        """Record the jobs, and end those whose tasks were cancelled while they were being submitted."""
        self._flight.add(submission)
        for job in list(submission.jobs.values()):
            for position, task in list(job.unanswered.items()):
                task.job, task.job_id, task.position = job.ref, job.job_id, position
                if not self._ledger.move(task, Stage.RUNNING):
                    del job.unanswered[position]
            self._abandon(job)


def _rejected(error: ServiceError) -> SubmitRejectedError:
    if error.awaits_credentials:
        return SubmitRejectedError(f"AWS Batch refuses the worker's credentials, and nobody has renewed them: {error}")
    if error.retryable:
        return SubmitRejectedError(f"AWS Batch could not be reached; submit the task again later: {error}")
    return SubmitRejectedError(
        "AWS Batch does not take the job; check that its queue and definition exist and are enabled, "
        f"and that the worker's credentials may submit to them: {error}"
    )
