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
from collections.abc import Callable

from scaler_batch.payload import Store
from scaler_batch.payload.errors import ContractError, StoreError
from scaler_batch.payload.keys import OUTCOMES, pack_key, parse_outcome_key
from scaler_batch.tasks.collection import Collector
from scaler_batch.tasks.errors import JobFailedError, ServiceError
from scaler_batch.tasks.failures import job_failed, job_lost
from scaler_batch.tasks.flight import Flight, Submission
from scaler_batch.tasks.janitor import Janitor
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
        janitor: Janitor,
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
        self._janitor = janitor
        self._freed = freed
        self._clock = clock
        self._last_event = clock()
        self._next_checkup = clock()

    async def run(self) -> None:
        """Watch for as long as the manager lives; without open jobs, wait without looking."""
        while True:
            await self._pause()
            try:
                await self._look()
            except (StoreError, ServiceError) as error:
                logger.warning("could not look after the jobs, trying again: %s", error)

    async def _pause(self) -> None:
        if self._flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flight.launched.wait(), self._interval())
        else:
            await self._flight.launched.wait()
        if self._flight.launched.is_set():
            self._flight.launched.clear()
            self._note_event()
            await asyncio.sleep(self._polling.shortest)

    def _interval(self) -> float:
        elapsed = self._clock() - self._last_event
        return min(max(self._polling.share * elapsed, self._polling.shortest), self._polling.longest)

    def _note_event(self) -> None:
        self._last_event = self._clock()
        self._schedule_checkup()

    def _schedule_checkup(self) -> None:
        wait = max(self._polling.health * self._interval(), self._polling.health_shortest)
        self._next_checkup = self._clock() + wait

    async def _look(self) -> None:
        await self._see_outcomes()
        if self._flight and self._clock() >= self._next_checkup:
            await self._check_up()
            self._schedule_checkup()

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
        submission, task = closed
        if not submission:
            self._janitor.discard(pack_key(submission.sequence))
        if self._ledger.move(task, Stage.COLLECTING):
            self._collector.put(ref, task)
        return True

    async def _check_up(self) -> None:
        """Ask AWS Batch after every submission, and answer for the jobs that are over without an outcome."""
        submissions = list(self._flight)
        reports = await self._jobs.describe([submission.job_id for submission in submissions])
        for submission in submissions:
            report = reports.get(submission.job_id)
            await self._bury(await self._over(submission, report) if report else self._missing(submission))
            if report:
                # Only now: had burying failed, the same children would have to be looked at again.
                submission.failures_seen = report.failed_children

    def _missing(self, submission: Submission) -> Dead:
        """Give up a job that Batch has not known for too long; a new one takes a moment to be known."""
        now = self._clock()
        if submission.missing_since is None:
            submission.missing_since = now
        if now - submission.missing_since < self._polling.patience:
            return []
        return [(ref, job_lost(submission.id_of(ref))) for ref in submission.open_jobs]

    async def _over(self, submission: Submission, report: JobReport) -> Dead:
        submission.missing_since = None
        dead: Dead = []
        if report.failed_children > submission.failures_seen:
            children = await self._jobs.failed_children(submission.job_id)
            dead = [(JobRef(submission.sequence, child.index), job_failed(child)) for child in children]
        if report.status.is_final:
            # Whoever is still open then has neither failed by name nor published: only the parent can speak for it.
            dead += [(ref, job_failed(report)) for ref in submission.open_jobs]
        return dead

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
            if not submission:
                self._janitor.discard(pack_key(submission.sequence))
            await self._replies.put(task, failure)
        self._freed()
