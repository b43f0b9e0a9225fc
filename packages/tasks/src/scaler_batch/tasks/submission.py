"""The stage that turns waiting tasks into jobs: load inputs, pack, place, submit.

One submission at a time. That is what gathers tasks into arrays (see :mod:`~scaler_batch.tasks.batching`), and it makes
numbering and retrying plain.

SubmitJob has no idempotency token, and the answer to one that worked can get lost. Each job therefore carries a name
that no other has, and after a failure that may have had its effect the name is looked up before anything is sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from scaler_batch.payload import Call, RunLocation, Store, encode_pack, place
from scaler_batch.payload.contract import PACK_PARAMETER, RUN_PARAMETER, SEQUENCE_PARAMETER
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import pack_key
from scaler_batch.payload.sections import Buffer
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.batching import next_batch
from scaler_batch.tasks.errors import (
    InputError,
    InputUnavailableError,
    ServiceError,
    StorageUnavailableError,
    SubmitRejectedError,
    TaskFailedError,
)
from scaler_batch.tasks.flight import Flight, Submission
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.ports import InputLoader, JobService
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.vocabulary import JobRef, JobSpec

logger = logging.getLogger(__name__)


Loaded = Buffer | InputError
"""What came of fetching an input."""


class Submitter:
    """Submits what waits, as far as slots are free."""

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
        inputs: InputLoader,
        abandon: Callable[[JobRef], None],
        backoff: Backoff,
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
        self._inputs = inputs
        self._abandon = abandon
        self._backoff = backoff
        self._sequences = count(1)
        self._loading = asyncio.Semaphore(settings.transfers)
        self._submitting = asyncio.Lock()

    async def run(self) -> None:
        """Submit for as long as the manager lives; woken by new tasks and by freed slots."""
        while True:
            await self._work.wait()
            self._work.clear()
            while batch := self._next_batch():
                await self._submit(batch)

    async def settle(self) -> None:
        """Wait until no job is being submitted: what is loading now will not be, where its tasks are given up."""
        async with self._submitting:
            pass

    def _next_batch(self) -> Sequence[Task]:
        in_flight = self._ledger.count(Stage.SUBMITTING, Stage.RUNNING)
        free = self._settings.max_concurrent_jobs - in_flight
        return next_batch(self._backlog, free, lambda task: self._ledger.move(task, Stage.SUBMITTING))

    async def _submit(self, batch: Sequence[Task]) -> None:
        objects = await self._load(batch)
        ready = [task for task in batch if await self._has_inputs(task, objects)]
        if not ready:
            return
        try:
            await self._send(ready, [_call(task, objects) for task in ready])
        except TaskFailedError as failure:
            for task in ready:
                await self._replies.put(task, failure)

    async def _load(self, batch: Sequence[Task]) -> dict[bytes, Loaded]:
        """Fetch what the batch needs, each object once however many tasks use it."""
        names = list(dict.fromkeys(name for task in batch for name in task.request.inputs))
        return dict(zip(names, await asyncio.gather(*map(self._fetch, names)), strict=True))

    async def _fetch(self, name: bytes) -> Loaded:
        async with self._loading:
            try:
                return await self._inputs.load(name)
            except InputError as error:
                return error

    async def _has_inputs(self, task: Task, objects: Mapping[bytes, Loaded]) -> bool:
        """Fail a task whose input cannot be had; its neighbours go on. Let go of one that was cancelled."""
        for name in task.request.inputs:
            if isinstance(error := objects[name], InputError):
                await self._replies.put(task, InputUnavailableError(str(error)))
                return False
        return self._ledger.holds(task)

    async def _send(self, tasks: Sequence[Task], calls: Sequence[Call]) -> None:
        sequence = next(self._sequences)
        pack = await asyncio.to_thread(encode_pack, [[call] for call in calls])
        placement = place(pack, inline_limit=self._settings.inline_limit)
        if placement.stored:
            await self._put(pack_key(sequence), pack)
        parameters = {
            RUN_PARAMETER: str(self._run),
            SEQUENCE_PARAMETER: str(sequence),
            PACK_PARAMETER: placement.parameter,
        }
        name = f"scaler-batch-{self._run.run_id}-{sequence}"
        where = "in S3" if placement.stored else "inline"
        logger.info("submitting %s: %d task(s), pack of %d bytes %s", name, len(tasks), len(pack), where)
        async with self._submitting:
            if any(map(self._ledger.holds, tasks)):
                job_id = await self._submit_once(JobSpec(name, self._settings.shape, parameters, len(tasks)))
                logger.info("submitted %s as job %s", name, job_id)
                self._launched(Submission(sequence, job_id, tasks))

    async def _put(self, key: str, pack: bytes) -> None:
        try:
            await self._store.put(key, pack)
        except StoreError as error:
            raise StorageUnavailableError(f"the task's data could not be put into S3: {error}") from error

    async def _submit_once(self, job: JobSpec) -> str:
        """Submit a job, as often as it takes and no more than once."""
        waits = self._backoff.waits()
        unsure = False
        while True:
            try:
                return await self._jobs.submit(job)
            except ServiceError as error:
                # For good: what was not to be found a moment ago may have been taken all the same.
                unsure = unsure or error.ambiguous
                wait = next(waits, None) if error.retryable else None
                if wait is not None:
                    logger.warning("submitting %s failed, trying again in %.1f s: %s", job.name, wait, error)
                    await asyncio.sleep(wait)
                if unsure and (job_id := await self._find(job)) is not None:
                    return job_id
                if wait is None:
                    raise _rejected(error) from error

    async def _find(self, job: JobSpec) -> str | None:
        waits = self._backoff.waits()
        while True:
            try:
                return await self._jobs.find(job.name, job.shape.queue)
            except ServiceError as error:
                wait = next(waits, None) if error.retryable else None
                if wait is None:
                    raise SubmitRejectedError(
                        f"AWS Batch did not say whether it took job {job.name}; "
                        f"look for it there before submitting the task again: {error}"
                    ) from error
                await asyncio.sleep(wait)

    def _launched(self, submission: Submission) -> None:
        """Record the jobs, and end those whose task was cancelled while they were being submitted."""
        self._flight.add(submission)
        for ref, task in submission.open_jobs.items():
            task.job = ref
            if not self._ledger.move(task, Stage.RUNNING):
                self._abandon(ref)


def _rejected(error: ServiceError) -> SubmitRejectedError:
    if error.retryable:
        return SubmitRejectedError(f"AWS Batch could not be reached; submit the task again later: {error}")
    return SubmitRejectedError(
        "AWS Batch does not take the job; check that its queue and definition exist and are enabled, "
        f"and that the worker's credentials may submit to them: {error}"
    )


def _call(task: Task, objects: Mapping[bytes, Loaded]) -> Call:
    serializer, function, *arguments = (objects[name] for name in task.request.inputs)
    return Call(task.request.task_id, _bytes(serializer), _bytes(function), tuple(map(_bytes, arguments)))


def _bytes(loaded: Loaded) -> Buffer:
    if isinstance(loaded, InputError):
        raise loaded
    return loaded
