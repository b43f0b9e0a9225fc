"""Ending every job of a run, and making sure of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from scaler_batch.aws import ServiceError
from scaler_batch.tasks.cancellation import AT_ONCE, Canceller
from scaler_batch.tasks.flight import Flight
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.retrying import Backoff

logger = logging.getLogger(__name__)

_REASON: Final = "the worker stopped"
_PAUSE: Final = 0.25
"""Seconds between two looks at whether the jobs have ended."""


async def end_all(flight: Flight, canceller: Canceller, jobs: JobService) -> None:
    """End all open jobs and return when AWS Batch says that they are over.

    A submission is ended by its parent's id: one call for fifty arrays of ten thousand.
    """
    submissions = list(flight)
    job_ids = [submission.job_id for submission in submissions]
    async with asyncio.TaskGroup() as group:
        for start in range(0, len(job_ids), AT_ONCE):
            group.create_task(canceller.terminate(job_ids[start : start + AT_ONCE], _REASON))
    await _gone(jobs, set(job_ids) | set(await canceller.settle()))
    for submission in submissions:
        for job in list(submission.jobs.values()):
            flight.close(job)


async def end_unresolved(names: Mapping[str, str], jobs: JobService, backoff: Backoff) -> None:
    """End jobs of which it was never known whether AWS Batch took them.

    Args:
        names: Their queues, by name.
        jobs: AWS Batch.
        backoff: How patient to be with it.
    """
    for name, queue in names.items():
        for wait in backoff.waits():
            if await _is_ended(name, queue, jobs):
                break
            await asyncio.sleep(wait)


async def _is_ended(name: str, queue: str, jobs: JobService) -> bool:
    """End a job if there is one; ``False`` where AWS Batch does not say, and may later."""
    try:
        if (job_id := await jobs.find(name, queue)) is not None:
            await jobs.terminate(job_id, _REASON)
    except ServiceError as error:
        logger.warning("job %s in queue %s may run: AWS Batch does not say: %s", name, queue, error)
        return not error.retryable
    return True


async def _gone(jobs: JobService, job_ids: set[str]) -> None:
    while job_ids:
        try:
            reports = await jobs.describe(sorted(job_ids))
        except ServiceError as error:
            logger.warning("could not see whether the jobs have ended, trying again: %s", error)
        else:
            job_ids = {job_id for job_id, report in reports.items() if not report.status.is_final}
        if job_ids:
            await asyncio.sleep(_PAUSE)
