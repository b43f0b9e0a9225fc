"""Ending jobs: AWS Batch is told of each, as often as it takes. Many that have gathered are one call."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from scaler_batch.aws.limits import TERMINATE_JOBS
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks.commands import TerminateJobs
from scaler_batch.tasks.events import Terminated, TerminateFailed
from scaler_batch.tasks.state.cleaning import discard, discard_all
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.tables import Job
from scaler_batch.tasks.state.timers import Timer

logger = logging.getLogger(__name__)

CANCELLED: Final = "cancelled by the client"
STOPPED: Final = "the worker stopped"

_SIDE_BY_SIDE: Final = 4
"""Calls at a time: fewer than threads of the bridge to AWS, so that submitting goes on beside them."""


class Group(NamedTuple):
    """Jobs that AWS Batch is told of by one call.

    Attributes:
        job_ids: Which.
        reason: Why.
        waits: Seconds to wait before each further try.
    """

    job_ids: Sequence[str]
    reason: str
    waits: Iterator[float]


def end(core: Core, job_id: str, reason: str = CANCELLED) -> None:
    """End a job, whether or not it still runs; the id of a parent ends all its children."""
    core.ending.waiting.append((job_id, reason))
    core.ending.recent.append(job_id)
    core.timers.advance(Timer("end"), 0.0)


def abandon(core: Core, job: Job) -> None:
    """End a job if nobody waits for any of its tasks."""
    if job.unanswered or not job.is_open:
        return
    close(core, job)
    end(core, job.job_id)
    # It may publish before it ends, or say that it was interrupted, and nobody will look at that.
    discard(core, job.seal.outcome_key(), job.seal.interruption_key(attempt=1))


def close(core: Core, job: Job) -> bool:
    """Take note that a job is over; ``False`` where that was known. Nothing needs inputs whose last job is over."""
    if not core.jobs.close(job):
        return False
    submission = job.submission
    if not submission.jobs:
        core.ending.answered.append(submission.job_id)
        if submission.stored_at is not None:
            discard(core, pack_key(submission.sequence))
        discard_all(core, core.objects.release(submission.sequence))
    return True


def start_groups(core: Core) -> None:
    """Tell AWS Batch of the jobs that have gathered, as far as calls are free."""
    ending = core.ending
    while ending.waiting and len(ending.groups) < _SIDE_BY_SIDE:
        reason = ending.waiting[0][1]
        job_ids: list[str] = []
        while ending.waiting and len(job_ids) < TERMINATE_JOBS and ending.waiting[0][1] == reason:
            job_ids.append(ending.waiting.popleft()[0])
        number = core.number()
        ending.groups[number] = Group(job_ids, reason, core.settings.backoff.waits(core.random.uniform))
        core.emit(TerminateJobs(number, job_ids, reason))


def on_terminated(core: Core, event: Terminated, now: float) -> None:
    """Try those again that are left."""
    group = core.ending.groups.get(event.group)
    if group is not None:
        _try_again(core, event.group, group._replace(job_ids=event.left), now)


def on_terminate_failed(core: Core, event: TerminateFailed, now: float) -> None:
    """Try again, unless AWS Batch has refused."""
    group = core.ending.groups.get(event.group)
    if group is None:
        return
    logger.warning("%d job(s) could not be ended, %s first: %s", len(group.job_ids), group.job_ids[0], event.error)
    if event.error.retryable:
        _try_again(core, event.group, group, now)
    else:
        _finish(core, event.group)


def on_retry(core: Core, number: int) -> None:
    """Tell AWS Batch once more."""
    if (group := core.ending.groups.get(number)) is not None:
        core.emit(TerminateJobs(number, group.job_ids, group.reason))


def is_busy(core: Core) -> bool:
    """Whether AWS Batch has yet to be told of a job."""
    return bool(core.ending.waiting or core.ending.groups)


def _try_again(core: Core, number: int, group: Group, now: float) -> None:
    if not group.job_ids:
        _finish(core, number)
        return
    core.ending.groups[number] = group
    wait = next(group.waits, None)
    if wait is not None:
        core.timers.set(Timer("end again", number), now + wait)
        return
    count, first = len(group.job_ids), group.job_ids[0]
    logger.error("%d job(s) could not be ended and run until their timeout, %s first", count, first)
    _finish(core, number)


def _finish(core: Core, number: int) -> None:
    del core.ending.groups[number]
    start_groups(core)
