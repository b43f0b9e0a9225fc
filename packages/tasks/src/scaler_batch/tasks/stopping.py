"""Ending every job of a run, and making sure of it.

Three kinds of jobs may run: those in flight, those that were to be ended already, and those of which nobody knows,
because the answer to their SubmitJob was lost. The last kind is found by the names of the run's jobs. ListJobs lags, so
there are several looks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from scaler_batch.aws import ServiceError
from scaler_batch.tasks.cancellation import AT_ONCE, Canceller
from scaler_batch.tasks.flight import Flight
from scaler_batch.tasks.ports import JobService

logger = logging.getLogger(__name__)

LOOKS: Final = (0.0, 1.0, 2.0, 5.0, 12.0)
"""Seconds between looks for jobs of which nobody knows: 20 s in all, as after a submission."""

_REASON: Final = "the worker stopped"

_PAUSE: Final = 0.25
"""Seconds between two looks at whether the jobs have ended."""

_LONGEST_PAUSE: Final = 2.0
"""The same while AWS Batch does not answer."""


class Ending:
    """Ends the jobs of a run.

    Args:
        flight: The jobs that may be running.
        canceller: Ends jobs, and knows which it has ended.
        jobs: AWS Batch.
        in_doubt: Queues by name of the jobs that AWS Batch may have taken although nobody knows their ids.
    """

    def __init__(self, flight: Flight, canceller: Canceller, jobs: JobService, in_doubt: Mapping[str, str]) -> None:
        self._flight = flight
        self._canceller = canceller
        self._jobs = jobs
        self._in_doubt = in_doubt
        self._left: set[str] = set()
        self._ended: set[str] = set()
        self._swept = False

    async def end_all(self) -> None:
        """End all jobs that are known, and return when AWS Batch says that they are over.

        A submission is ended by its parent's id: one call for fifty arrays of ten thousand.
        """
        submissions = list(self._flight)
        await self._end([submission.job_id for submission in submissions])
        for submission in submissions:
            for job in list(submission.jobs.values()):
                self._flight.close(job)

    async def sweep(self, names: str) -> None:
        """End what AWS Batch has taken without our hearing of it.

        Args:
            names: What the names of the run's jobs begin with.
        """
        for pause in LOOKS if self._in_doubt else ():
            await asyncio.sleep(pause)
            queues = sorted(set(self._in_doubt.values()))
            found = {job_id for queue in queues for job_id in await self._named(names, queue)} - self._ended
            if found:
                logger.info("found %d job(s) whose submission was never confirmed; ending them", len(found))
                await self._end(sorted(found))
            if len(found) >= len(self._in_doubt):
                break
        self._swept = True

    def unconfirmed(self) -> str:
        """Say which jobs may still be running."""
        job_ids = sorted(self._left | {submission.job_id for submission in self._flight})
        said = [f"these may still be running: {', '.join(job_ids)}"] if job_ids else []
        if self._in_doubt and not self._swept:
            names = ", ".join(f"{name} in queue {queue}" for name, queue in self._in_doubt.items())
            said.append(f"AWS Batch may have taken these without confirming it: {names}")
        return "; ".join(said) or "none were running"

    async def _end(self, job_ids: list[str]) -> None:
        self._left |= set(job_ids)
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(job_ids), AT_ONCE):
                group.create_task(self._canceller.terminate(job_ids[start : start + AT_ONCE], _REASON))
        self._left |= set(self._canceller.ended) - self._ended
        await self._canceller.settle()
        self._left |= set(self._canceller.ended) - self._ended
        await self._gone()

    async def _gone(self) -> None:
        pause = _PAUSE
        while self._left:
            try:
                reports = await self._jobs.describe(sorted(self._left))
                over = {job_id for job_id in self._left if job_id not in reports or reports[job_id].status.is_final}
                self._left -= over
                self._ended |= over
                pause = _PAUSE
            except ServiceError as error:
                logger.warning("could not see whether the jobs have ended, trying again: %s", error)
                pause = min(2 * pause, _LONGEST_PAUSE)
            if self._left:
                await asyncio.sleep(pause)

    async def _named(self, names: str, queue: str) -> list[str]:
        """Look for the run's jobs in a queue; none where AWS Batch does not say, and may at the next look."""
        try:
            return await self._jobs.named(names, queue)
        except ServiceError as error:
            logger.warning("jobs %s* in queue %s may run: AWS Batch does not say: %s", names, queue, error)
            return []
