"""What cancelling means at each stage, and the ending of jobs.

========== ===================== =============================================
stage      not forced            forced
========== ===================== =============================================
queued     never leaves          never leaves
submitting refused               gone; the submitter ends the job it just made
running    refused               gone; its job is ended
later      refused               gone; its result is thrown away
========== ===================== =============================================
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from scaler_batch.payload.keys import outcome_key
from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.flight import Flight
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Stage
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.vocabulary import JobRef, Verdict

logger = logging.getLogger(__name__)

_REASON: Final = "cancelled by the client"

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
        if stage is Stage.RUNNING and ref is not None:
            self.abandon(ref)
        return Verdict.CANCELLED

    def abandon(self, ref: JobRef) -> None:
        """End a job that nobody waits for."""
        closed = self._flight.close(ref)
        if closed is not None:
            submission, _ = closed
            self.end(submission.id_of(ref))
            # It may publish before it ends, and nobody will look at that.
            self._janitor.discard(outcome_key(ref.sequence, ref.index))

    def end(self, job_id: str) -> None:
        """End a job in the background, whether or not it still runs."""
        self._doomed.put_nowait(job_id)

    async def run(self) -> None:
        """End jobs, one after the other; run several of these side by side."""
        while True:
            job_id = await self._doomed.get()
            try:
                await self.terminate(job_id, _REASON)
            finally:
                self._doomed.task_done()

    async def settle(self) -> list[str]:
        """Wait until every job that is to end has been told so, and return the latest of them."""
        await self._doomed.join()
        return list(self._ended)

    async def terminate(self, job_id: str, reason: str) -> None:
        """Tell AWS Batch to end a job, as often as it takes."""
        self._ended.append(job_id)
        for wait in self._backoff.waits():
            try:
                return await self._jobs.terminate(job_id, reason)
            except ServiceError as error:
                logger.warning("job %s could not be ended: %s", job_id, error)
                if not error.retryable:
                    return None
                await asyncio.sleep(wait)
        return None
