"""Reading outcomes, and deciding what becomes of tasks that have none."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from scaler_batch.payload import Outcome
from scaler_batch.payload.errors import NotStoredError, StoreError
from scaler_batch.tasks.commands import FetchOutcome, OpenOutcome
from scaler_batch.tasks.errors import (
    OutcomeMissingError,
    OutcomeRefusedError,
    OutcomeUnreadableError,
    StorageUnavailableError,
    TaskFailedError,
)
from scaler_batch.tasks.events import FetchFailed, OutcomeFetched, OutcomeRead, OutcomeRefused, OutcomeUnreadable
from scaler_batch.tasks.models import Stage
from scaler_batch.tasks.outages import Outage
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.state.cleaning import discard
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.ending import close, end
from scaler_batch.tasks.state.replying import answer
from scaler_batch.tasks.state.tables import Job, Task, leave_job
from scaler_batch.tasks.state.timers import Timer

logger = logging.getLogger(__name__)

_REFUSED: Final = (
    "something was put in the place of the task's outcome that its job had not signed, so it was thrown away; and the "
    "job has left no other. Find out who else may write below the worker's prefix in the bucket, and submit the task "
    "again"
)

_FETCHING: Final = Backoff(first=2.0, longest=30.0, within=math.inf)
"""When to fetch an object again. How often, the outage decides."""


class Read(NamedTuple):
    """An object of outcomes on its way.

    Attributes:
        job: Whose outcomes they are.
        key: Where they lie.
    """

    job: Job
    key: str


class Trouble(NamedTuple):
    """What is known of an object that could not be fetched.

    Attributes:
        outage: Since when, and whether there is hope.
        waits: Seconds to wait before each further try.
    """

    outage: Outage
    waits: Iterator[float]


def see(core: Core, job: Job, key: str, now: float) -> None:
    """Read some of a job's outcomes when their turn comes."""
    job.seen.add(key)
    job.fetching += 1
    if job.size == 1:
        # There is nothing that it could say besides: its slot is free before that is read.
        if close(core, job):
            core.reschedule(now)
        for task in job.unanswered.values():
            core.tasks.move(task, Stage.COLLECTING)
    core.reading.pending.add(key)
    core.reading.waiting.append((job, key))
    read_next(core, now)


def read_next(core: Core, now: float) -> None:
    """Start reading, as many objects at a time as may be, and none while many results wait to leave."""
    reading = core.reading
    if not reading.waiting:
        return
    most = core.settings.transfers
    while reading.waiting and len(reading.reads) < most and len(core.replying.waiting) < most:
        job, key = reading.waiting.popleft()
        if not job.unanswered:
            discard(core, key)
            _finish(core, job, key, now)
            continue
        number = core.number()
        reading.reads[number] = Read(job, key)
        core.emit(FetchOutcome(number, key, job.size, job.seal))


def on_fetched(core: Core, event: OutcomeFetched) -> None:
    """Open a large object. One at a time: what is compressed may need a thousand times its size."""
    if event.read in core.reading.reads:
        core.reading.outage.worked()
        core.reading.to_open.append((event.read, event.sealed))
        _open_next(core)


def on_read(core: Core, event: OutcomeRead, now: float) -> None:
    """Answer for what an object says."""
    if (read := _done(core, event.read)) is None:
        return
    core.reading.outage.worked()
    for outcome in event.outcomes:
        _answer(core, read.job, outcome)
    discard(core, read.key)
    _finish(core, read.job, read.key, now)
    read_next(core, now)


def on_unreadable(core: Core, event: OutcomeUnreadable, now: float) -> None:
    """Remember why an object says nothing; its job may still answer elsewhere."""
    if (read := _done(core, event.read)) is None:
        return
    core.reading.outage.worked()
    core.reading.refused["unreadable"] += 1
    where = read.key.rpartition(".")[0]  # without what only the job is to know
    text = f"the task has run, but its outcome {where} cannot be read: {event.reason}"
    read.job.read_error = OutcomeUnreadableError(text)
    discard(core, read.key)
    _finish(core, read.job, read.key, now)
    read_next(core, now)


def on_refused(core: Core, event: OutcomeRefused, now: float) -> None:
    """Go on as if an object were not there: what becomes of its job's tasks, its job decides."""
    if (read := _done(core, event.read)) is None:
        return
    job = read.job
    core.reading.outage.worked()
    core.reading.refused["unsigned"] += 1
    logger.warning("refused what lay in the place of an outcome of job %s: the job has not signed it", job.job_id)
    job.refused.add(read.key)
    discard(core, read.key)
    if job.unanswered and job.failure is None:
        # A single job was taken for over when this was seen.
        core.jobs.reopen(job)
        for task in job.unanswered.values():
            if task.stage is Stage.COLLECTING:
                core.tasks.move(task, Stage.RUNNING)
    _finish(core, job, read.key, now)
    read_next(core, now)


def on_fetch_failed(core: Core, event: FetchFailed, now: float) -> None:
    """Fetch an object again, for as long as there is hope and somebody waits; it is not removed unread."""
    read = core.reading.reads.get(event.read)
    if read is None or event.read == core.reading.opening:
        return
    if (wait := _wait(core, event.read, read, event.error, now)) is not None:
        core.timers.set(Timer("fetch", event.read), now + wait)
        return
    _done(core, event.read)
    core.reading.unread.add(read.key)
    text = f"the task has run, but its outcome could not be fetched from S3: {event.error}"
    read.job.read_error = StorageUnavailableError(text)
    _finish(core, read.job, read.key, now)
    read_next(core, now)


def on_fetch_due(core: Core, number: int) -> None:
    """Fetch an object once more."""
    if (read := core.reading.reads.get(number)) is not None:
        core.emit(FetchOutcome(number, read.key, read.job.size, read.job.seal))


def settle(core: Core, job: Job, now: float) -> None:
    """Close a job that has answered all its tasks, or will answer no more, as soon as all that it said is read."""
    if job.fetching:
        return
    if job.size == 1 and job.seen - job.refused and job.unanswered and job.failure is None:
        job.failure = OutcomeUnreadableError("the job has published outcomes, but none for this task")
    if job.unanswered and job.failure is None:
        return
    if close(core, job):
        core.reschedule(now)
        if job.runs_in_vain and job.failure is None:
            end(core, job.job_id)
    if job.failure is not None:
        for task in list(job.unanswered.values()):
            _give_up(core, job, task, job.failure, now)


def queue(core: Core, task: Task, now: float) -> None:
    """Let a task wait for its turn."""
    core.stream.note(now)
    core.backlog.put(task)
    core.reschedule(now)


def _answer(core: Core, job: Job, outcome: Outcome) -> None:
    if (task := job.unanswered.get(outcome.position)) is not None:
        core.durations.learn(task.request.function, outcome.usage.wall)
        answer(core, task, outcome)


def _give_up(core: Core, job: Job, task: Task, failure: TaskFailedError, now: float) -> None:
    """Answer for a task that its job has left without an answer, or run it again by itself if others shared it."""
    if job.read_error is not None or job.size == 1:
        if job.refused and isinstance(failure, OutcomeMissingError):
            failure = OutcomeRefusedError(f"{_REFUSED}\njob: {job.job_id}")
        answer(core, task, job.read_error or failure)
    elif core.tasks.move(task, Stage.QUEUED):
        leave_job(task)
        task.alone = True
        queue(core, task, now)


def _wait(core: Core, number: int, read: Read, error: StoreError, now: float) -> float | None:
    """Seconds until to fetch an object again, where there is hope for it and for the storage as a whole."""
    if isinstance(error, NotStoredError):
        return None
    reading = core.reading
    if (trouble := reading.troubles.get(number)) is None:
        trouble = Trouble(Outage(core.settings.outage_patience), _FETCHING.waits(core.random.uniform))
        reading.troubles[number] = trouble
    trouble.outage.failed(error, now)
    if reading.outage.failed(error, now):
        logger.warning("outcomes cannot be fetched for %.0f s, trying again: %s", reading.outage.seconds(now), error)
    is_hopeless = trouble.outage.is_hopeless or reading.outage.is_hopeless or not read.job.unanswered
    return None if is_hopeless else next(trouble.waits)


def _done(core: Core, number: int) -> Read | None:
    """A read that has come to its end; ``None`` where that was known."""
    reading = core.reading
    read = reading.reads.pop(number, None)
    reading.troubles.pop(number, None)
    if reading.opening == number:
        reading.opening = None
        _open_next(core)
    return read


def _open_next(core: Core) -> None:
    reading = core.reading
    while reading.to_open and reading.opening is None:
        number, sealed = reading.to_open.popleft()
        if (read := reading.reads.get(number)) is not None:
            reading.opening = number
            core.emit(OpenOutcome(number, read.key, read.job.size, read.job.seal, sealed))


def _finish(core: Core, job: Job, key: str, now: float) -> None:
    core.reading.pending.discard(key)
    job.fetching -= 1
    settle(core, job, now)
