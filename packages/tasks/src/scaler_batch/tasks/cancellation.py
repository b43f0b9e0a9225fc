"""What cancelling means at each stage, and the ending of jobs.

========== ===================== =============================================
stage      not forced            forced
========== ===================== =============================================
queued     never leaves          never leaves
submitting refused               gone; the submitter ends the job it just made
running    refused               gone; its job is ended, unless others share it
later      refused               gone; its result is thrown away
========== ===================== =============================================
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

from scaler_batch.aws import ServiceError
from scaler_batch.payload.keys import interruption_key, outcome_key
from scaler_batch.tasks.flight import Flight, Job
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Stage
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.vocabulary import Verdict

logger = logging.getLogger(__name__)

_REASON: Final = "cancelled by the client"

AT_ONCE: Final = 50
"""Jobs ended by one call. Source: AWS Batch API reference, TerminateJobs."""

_REMEMBERED: Final = 1000
"""Ended jobs kept in mind for the manager's stop; those before them ended longer ago than a container's grace."""


class Canceller:
    """Takes tasks out at any stage and ends their jobs."""

    def __init__(self, ledger: Ledger, flight: Flight, jobs: JobService, janitor: Janitor, backoff: Backoff) -> None:
        self._ledger = ledger
        self._flight = flight
        self._jobs = jobs
        self._janitor = janitor
        self._backoff = backoff
        self._doomed: asyncio.Queue[str] = asyncio.Queue()
        self._ended: deque[str] = deque(maxlen=_REMEMBERED)

    def cancel(self, task_id: bytes, *, force: bool) -> Verdict:
        """Decide on a wish to cancel, at once; ending the job follows in the background.

        Args:
            task_id: Which task.
            force: Whether to stop it even if it may be running.
        """
        task = self._ledger.get(task_id)
        if task is None:
            return Verdict.UNKNOWN
        if not force and task.stage is not Stage.QUEUED:
            return Verdict.REFUSED
        stage, ref = task.stage, task.job
        self._ledger.drop(task)
        if stage is Stage.RUNNING and ref is not None and (job := self._flight.find(ref)) is not None:
            job.unanswered.pop(task.position, None)
            self.abandon(job)
        return Verdict.CANCELLED

    def abandon(self, job: Job) -> None:
        """End a job if nobody waits for any of its tasks."""
        if job.unanswered or not self._flight.close(job):
            return
        self.end(job.job_id)
        # It may publish before it ends, or say that it was interrupted, and nobody will look at that.
        folder = (job.ref.sequence, job.ref.index)
        self._janitor.discard(outcome_key(*folder))
        self._janitor.discard(interruption_key(*folder, attempt=1))

    def end(self, job_id: str) -> None:
        """End a job in the background, whether or not it still runs."""
        self._doomed.put_nowait(job_id)

    async def run(self) -> None:
        """End jobs: one by itself, many that have gathered by one call; run several of these side by side."""
        while True:
            doomed = [await self._doomed.get()]
            while len(doomed) < AT_ONCE and not self._doomed.empty():
                doomed.append(self._doomed.get_nowait())
            try:
                await self.terminate(doomed, _REASON)
            finally:
                for _ in doomed:
                    self._doomed.task_done()

    @property
    def ended(self) -> list[str]:
        """The latest jobs that were to be ended, whether or not AWS Batch has said that they are over."""
        return list(self._ended)

    async def settle(self) -> None:
        """Wait until AWS Batch was told of every job that is to be ended."""
        await self._doomed.join()

    async def terminate(self, job_ids: Sequence[str], reason: str) -> None:
        """Tell AWS Batch to end jobs, as often as it takes."""
        self._ended.extend(job_ids)
        left = list(job_ids)
        for wait in self._backoff.waits():
            try:
                left = await self._try(left, reason)
            except ServiceError as error:
                logger.warning("%d job(s) could not be ended, %s first: %s", len(left), left[0], error)
                if not error.retryable:
                    return
            if not left:
                return
            await asyncio.sleep(wait)
        logger.error("%d job(s) could not be ended and run until their timeout, %s first", len(left), left[0])

    async def _try(self, job_ids: list[str], reason: str) -> list[str]:
        """Return those that are to be tried again."""
        if len(job_ids) > 1:
            return await self._jobs.terminate_many(job_ids, reason)
        await self._jobs.terminate(job_ids[0], reason)
        return []
