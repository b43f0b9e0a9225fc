"""One watcher for all jobs.

Two questions, asked apart. *What is new?* is one listing of the run's outcomes, a thousand keys a call, however many
jobs there are. *Who died?* goes to AWS Batch, more rarely: one DescribeJobs for a hundred singles and array parents,
then ListJobs for the failed children of an array only. No call per job, no coroutine per job.

A job that Batch calls over has published before it ended, and S3 shows what was put. So whoever is found over is
answered from one more listing, and only a job that is not in it has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import replace

from scaler_batch.payload import Store
from scaler_batch.payload.errors import ContractError, StoreError
from scaler_batch.payload.keys import OUTCOMES, parse_outcome_key
from scaler_batch.tasks.collection import Collector
from scaler_batch.tasks.errors import JobFailedError, ServiceError
from scaler_batch.tasks.failures import job_failed, job_lost
from scaler_batch.tasks.flight import Flight, Submission
from scaler_batch.tasks.lifecycle import Ledger, Stage
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.settings import Polling
from scaler_batch.tasks.vocabulary import JobRef, JobReport

logger = logging.getLogger(__name__)

Dead = list[tuple[JobRef, JobFailedError]]
"""Jobs that are over, with what to say of those that left no outcome."""


class Watcher:
    """Sees outcomes appear and finds jobs that died without one."""

    def __init__(
        self,
        polling: Polling,
        ledger: Ledger,
        flight: Flight,
        store: Store,
        jobs: JobService,
        collector: Collector,
        replies: Replies,
        end: Callable[[str], None],
        freed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._polling = polling
        self._ledger = ledger
        self._flight = flight
        self._store = store
        self._jobs = jobs
        self._collector = collector
        self._replies = replies
        self._end = end
        self._freed = freed
        self._clock = clock
        self._last_event = clock()
        self._next_checkup = math.inf

    async def run(self) -> None:
        """Watch for as long as the manager lives; without open jobs, wait without looking."""
        while True:
            await self._pause()
            try:
                await self._look()
            except (StoreError, ServiceError) as error:
                logger.warning("could not look after the jobs, trying again: %s", error)

    async def _pause(self) -> None:
        if not self._flight:
            self._next_checkup = math.inf
        # Not wait_for: before Python 3.12 it forgets a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._interval() if self._flight else None):
                await self._flight.launched.wait()
        if self._flight.launched.is_set():
            self._flight.launched.clear()
            self._note_event()
            await asyncio.sleep(self._polling.shortest)

    def _interval(self) -> float:
        elapsed = self._clock() - self._last_event
        return min(max(self._polling.share * elapsed, self._polling.shortest), self._polling.longest)

    def _note_event(self) -> None:
        """Look soon again. A checkup that is due sooner stays so, else steady traffic would put it off for ever."""
        self._last_event = self._clock()
        self._next_checkup = min(self._next_checkup, self._checkup_from_now())

    def _checkup_from_now(self) -> float:
        return self._clock() + max(self._polling.health * self._interval(), self._polling.health_shortest)

    async def _look(self) -> None:
        await self._see_outcomes()
        if self._flight and self._clock() >= self._next_checkup:
            # Before the call: one that fails is not to be tried again at the pace of looking.
            self._next_checkup = self._checkup_from_now()
            await self._check_up()

    async def _see_outcomes(self) -> None:
        """Send everything new to the collector, and free its slots."""
        seen = [self._see(key) for key in await self._store.list(OUTCOMES)]
        if any(seen):
            self._note_event()
            self._freed()

    def _see(self, key: str) -> bool:
        try:
            ref = JobRef(*parse_outcome_key(key))
        except ContractError:
            logger.warning("an object that is nobody's outcome: %s", key)
            return False
        closed = self._flight.close(ref)
        if closed is None:
            return False
        _, task = closed
        if self._ledger.move(task, Stage.COLLECTING):
            self._collector.put(ref, task)
        return True

    async def _check_up(self) -> None:
        """Ask AWS Batch after every submission, and answer for the jobs that are over without an outcome."""
        submissions = list(self._flight)
        reports = await self._jobs.describe([submission.job_id for submission in submissions])
        found = [(each, await self._over(each, reports.get(each.job_id))) for each in submissions]
        await self._bury([job for _, dead in found for job in dead])
        for submission, dead in found:
            # Only now, and only those named: had burying failed, or Batch not listed them yet, they are asked for
            # again.
            submission.failures_seen = len(dead) or submission.failures_seen

    async def _over(self, submission: Submission, report: JobReport | None) -> Dead:
        """Find the jobs of a submission that are over, whether or not they left an outcome."""
        if report is None:
            return self._missing(submission)
        submission.missing_since = None
        by_name = report.failed_children > submission.failures_seen
        dead = await self._failed_children(submission) if by_name else []
        if report.status.is_final:
            # Whoever is still open then has neither failed by name nor published: only the parent can speak for it.
            left = submission.open_jobs
            dead += [(ref, job_failed(replace(report, job_id=submission.id_of(ref)))) for ref in left]
        return dead

    async def _failed_children(self, submission: Submission) -> Dead:
        try:
            children = await self._jobs.failed_children(submission.job_id)
        except ServiceError as error:
            if error.retryable:
                raise
            logger.warning("the children of job %s cannot be seen: %s", submission.job_id, error)
            return []
        return [(JobRef(submission.sequence, child.index), job_failed(child)) for child in children]

    def _missing(self, submission: Submission) -> Dead:
        """Give up a job that Batch has not known for too long; a new one takes a moment to be known."""
        now = self._clock()
        if submission.missing_since is None:
            submission.missing_since = now
        if now - submission.missing_since < self._polling.patience:
            return []
        # What is not shown may run all the same, and nobody will wait for it.
        self._end(submission.job_id)
        return [(ref, job_lost(submission.id_of(ref))) for ref in submission.open_jobs]

    async def _bury(self, dead: Dead) -> None:
        """Answer for jobs that are over and have left no outcome."""
        if not any(self._flight.is_open(ref) for ref, _ in dead):
            return
        await self._see_outcomes()
        for ref, failure in dead:
            closed = self._flight.close(ref)
            if closed is None:
                continue
            submission, task = closed
            logger.warning("job %s left no outcome: %s", submission.id_of(ref), failure.reason)
            await self._replies.put(task, failure)
        self._freed()
