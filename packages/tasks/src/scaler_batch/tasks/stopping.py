"""Ending every job of a run, and making sure of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scaler_batch.tasks.cancellation import Canceller
from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.flight import Flight
from scaler_batch.tasks.ports import JobService

logger = logging.getLogger(__name__)

_REASON: Final = "the worker stopped"
_PAUSE: Final = 0.25
"""Seconds between two looks at whether the jobs have ended."""


async def end_all(flight: Flight, canceller: Canceller, jobs: JobService) -> None:
    """End all open jobs and return when AWS Batch says that they are over.

    A submission is ended by its parent's id: one call for an array of ten thousand.
    """
    submissions = list(flight)
    async with asyncio.TaskGroup() as group:
        for submission in submissions:
            group.create_task(canceller.terminate(submission.job_id, _REASON))
    await _gone(jobs, {submission.job_id for submission in submissions} | set(await canceller.settle()))
    for submission in submissions:
        for ref in submission.open_jobs:
            flight.close(ref)


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
