"""One watcher for all jobs.

Two questions, asked apart. *What is new?* is one listing of the run's outcomes, a thousand keys a call, however many
jobs there are. *Who died?* goes to AWS Batch, more rarely: one DescribeJobs for a hundred singles and array parents,
those that were asked for longest ago, then ListJobs for the failed children of an array only. No call per job, no
coroutine per job.

A job that Batch calls over has published before it ended, and S3 shows what was put. So whoever is found over is
answered from one more listing, and only what is not in it has failed.

Neither question waits for the other: deaths are looked for whatever the storage does, and outcomes are read whatever
AWS Batch does. Where one of the two fails for good, or for longer than the settings allow, nobody can tell what becomes
of the jobs; they are ended, and their tasks fail with the cause.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from scaler_batch.aws import JobReport, JobStatus, ServiceError
from scaler_batch.payload import Store
from scaler_batch.payload.errors import ContractError, StoreError
from scaler_batch.payload.keys import OUTCOMES, parse_outcome_key
from scaler_batch.tasks.autopsy import Autopsy
from scaler_batch.tasks.collection import Collector
from scaler_batch.tasks.errors import BatchUnavailableError, JobFailedError, StorageUnavailableError, TaskFailedError
from scaler_batch.tasks.failures import job_lost, unschedulable
from scaler_batch.tasks.flight import Flight, Job, Submission
from scaler_batch.tasks.outages import Outage
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.settings import Polling
from scaler_batch.tasks.vocabulary import JobRef

logger = logging.getLogger(__name__)

_ASKED: Final = 50
"""Submissions asked for at a time: one DescribeJobs, with a child for each."""

_AT_ONCE: Final = 1000
"""Keys of a listing that are looked at before others have their turn: whoever can write to the bucket can have it list
as many as they like."""

_PATIENT: Final = 3
"""Checkups without a change after which a child of an array is asked for."""

_NEAREST: Final = 0.001
"""Seconds that are not worth waiting for; a clock may not even resolve them."""

_CALMER: Final = 2.0
"""How much later each checkup comes than the one before, while nobody is found dead."""

_NO_OUTCOMES: Final = (
    "what came of the task cannot be told, because S3 does not let the worker read outcomes. "
    "Check that the bucket exists and that the worker's credentials may list and read it"
)

_NO_REPORTS: Final = (
    "what becomes of the task's job cannot be told, because AWS Batch does not answer. "
    "Check that the worker's credentials may call DescribeJobs and ListJobs"
)

_E = TypeVar("_E", bound=TaskFailedError)

Dead = list[tuple[Job, JobReport | JobFailedError]]
"""Jobs that are over, with what Batch says of them or what there is to say."""


class Watcher:
    """Sees outcomes appear and finds jobs that died without one."""

    def __init__(
        self,
        polling: Polling,
        flight: Flight,
        store: Store,
        jobs: JobService,
        collector: Collector,
        end: Callable[[str], None],
        freed: Callable[[], None],
        running: Callable[[], int],
        discard: Callable[[str], None],
        clock: Callable[[], float],
        outage_patience: float,
        misconfiguration_patience: float,
    ) -> None:
        self._polling = polling
        self._flight = flight
        self._store = store
        self._jobs = jobs
        self._collector = collector
        self._autopsy = Autopsy(jobs)
        self._end = end
        self._freed = freed
        self._running = running
        self._discard = discard
        self._clock = clock
        self._storage = Outage(outage_patience)
        self._batch = Outage(outage_patience)
        self._misconfiguration_patience = misconfiguration_patience
        self._has_passed_over = False
        self._reasons: set[str] = set()
        self._strange: set[str] = set()
        self._last_event = clock()
        self._next_checkup = math.inf
        self._sooner = asyncio.Event()
        self._calm = polling.health_shortest
        self._interruptions: set[str] = set()

    async def run(self) -> None:
        """Watch for as long as the manager lives; without open jobs, wait without looking."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_looking())
            group.create_task(self._keep_checking_up())

    async def check_storage(self) -> None:
        """Look whether outcomes can be read again, where that was given up: a job would run in vain otherwise.

        Raises:
            StorageUnavailableError: They cannot.
        """
        if self._storage.is_hopeless and not await self._see_outcomes():
            raise StorageUnavailableError(f"{_NO_OUTCOMES}, so no job is started: {self._storage.error}")

    async def _keep_looking(self) -> None:
        while True:
            await self._pause()
            if self._flight:
                await self._see_outcomes()

    async def _keep_checking_up(self) -> None:
        while True:
            await self._until_checkup()
            if not self._flight:
                self._rest()
                continue
            # Before the call: one that fails is not to be tried again at the pace of looking.
            self._next_checkup = self._checkup_from_now()
            # While nobody is found dead, the next look comes a little later, until something is.
            self._calm = min(_CALMER * self._calm, max(self._polling.health * self._polling.longest, self._calm))
            try:
                await self._check_up()
            except ServiceError as error:
                await self._note_batch_failed(error)
            else:
                if self._batch.worked():
                    logger.info("AWS Batch answers again")

    async def _until_checkup(self) -> None:
        while (seconds := self._next_checkup - self._clock()) > _NEAREST:
            self._sooner.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                    await self._sooner.wait()

    async def _pause(self) -> None:
        if not self._flight:
            self._rest()
        # Not wait_for: before Python 3.12 it forgets a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._interval() if self._flight else None):
                await self._flight.launched.wait()
        if self._flight.launched.is_set():
            self._flight.launched.clear()
            self._note_event()
            await asyncio.sleep(self._soon())

    def _rest(self) -> None:
        """Ask for nothing more until there is a job; AWS Batch has to take that first, so it is not given up before."""
        self._next_checkup = math.inf
        self._batch.worked()
        self._worry()
        self._tell_reasons()

    def _interval(self) -> float:
        elapsed = self._clock() - self._last_event
        return min(max(self._polling.share * elapsed, self._soon()), self._polling.longest)

    def _soon(self) -> float:
        """The more tasks are running, the more of them one look sees that comes a little later."""
        crowd = self._polling.shortest * (1 + self._running() / self._polling.crowd)
        return min(crowd, max(self._polling.crowded, self._polling.shortest))

    def _note_event(self) -> None:
        """Look soon again. A checkup that is due sooner stays so, else steady traffic would put it off for ever."""
        self._last_event = self._clock()
        self._next_checkup = min(self._next_checkup, self._checkup_from_now())
        self._sooner.set()

    def _worry(self) -> None:
        self._calm = self._polling.health_shortest

    def _checkup_from_now(self) -> float:
        return self._clock() + max(self._polling.health * self._interval(), self._calm)

    async def _see_outcomes(self) -> bool:
        """Send everything new to the collector, and free its slots; ``False`` where the storage does not answer."""
        try:
            keys = await self._store.list(OUTCOMES)
        except StoreError as error:
            await self._note_storage_failed(error)
            return False
        if self._storage.worked():
            logger.info("outcomes can be listed again")
        for start in range(0, len(keys), _AT_ONCE):
            seen = [self._see(key) for key in keys[start : start + _AT_ONCE]]
            if any(seen):
                self._note_event()
                self._freed()
            await asyncio.sleep(0)
        return True

    async def _note_storage_failed(self, error: StoreError) -> None:
        now = self._clock()
        if self._storage.failed(error, now):
            seconds = self._storage.seconds(now)
            logger.warning("outcomes cannot be listed for %.0f s, trying again: %s", seconds, error)
        if self._storage.is_hopeless:
            await self._give_up(lambda job: _without(StorageUnavailableError, f"{_NO_OUTCOMES}: {error}", job))

    async def _note_batch_failed(self, error: ServiceError) -> None:
        now = self._clock()
        if self._batch.failed(error, now):
            seconds = self._batch.seconds(now)
            logger.warning("AWS Batch does not tell of jobs for %.0f s, trying again: %s", seconds, error)
        if self._batch.is_hopeless:
            await self._give_up(lambda job: _without(BatchUnavailableError, f"{_NO_REPORTS}: {error}", job))

    async def _give_up(self, failure: Callable[[Job], TaskFailedError]) -> None:
        """End all jobs, since nobody can tell what becomes of them."""
        submissions = list(self._flight)
        if submissions:
            logger.error("giving up %d job(s) of %d submission(s)", self._flight.open, len(submissions))
        for submission in submissions:
            self._end(submission.job_id)
            for job in list(submission.jobs.values()):
                job.trouble = job.verdict = failure(job)
                await self._collector.settle(job)

    def _see(self, key: str) -> bool:
        try:
            found = parse_outcome_key(key)
        except ContractError:
            self._pass_over(key)
            return False
        if found.first is None:
            self._note_interruption(key)
            return False
        job = self._flight.find(JobRef(found.sequence, found.child))
        if job is None or key in job.seen:
            return False
        if found.first >= job.size:
            self._pass_over(key)
            return False
        self._collector.put(job, key)
        return True

    def _pass_over(self, key: str) -> None:
        """Leave alone what is not the key of an outcome, and say so the first time: each listing shows it again."""
        if not self._has_passed_over:
            self._has_passed_over = True
            logger.warning("ignoring unexpected objects among the outcomes, such as %r", key)

    def _note_interruption(self, key: str) -> None:
        """An attempt was told to stop: whether another follows, AWS Batch knows."""
        if key not in self._interruptions:
            self._interruptions.add(key)
            self._discard(key)
            self._worry()
            self._note_event()

    async def _check_up(self) -> None:
        """Ask AWS Batch after submissions, and answer for the jobs that are over without an outcome."""
        submissions = sorted(self._flight, key=lambda each: each.checked_at)[:_ASKED]
        reports = await self._jobs.describe([name for submission in submissions for name in _names(submission)])
        found = [(each, *await self._over(each, reports)) for each in submissions]
        buried = await self._bury([entry for _, dead, _ in found for entry in dead])
        for submission, _, named in found:
            submission.checked_at = self._clock()
            submission.idle_checks += 1
            # Only now, and only those named: had burying failed, or Batch not listed them yet, they are asked for
            # again.
            submission.failures_seen = max(named if buried else 0, submission.failures_seen)
        self._tell_reasons()

    def _tell_reasons(self) -> None:
        """Say what jobs wait for, once a reason, and when none waits for it any more."""
        waiting = self._flight.waiting()
        for reason in waiting.keys() - self._reasons:
            said = next(each.wait.said for each in self._flight if each.wait.reason == reason)
            logger.warning("%d job(s) wait, and AWS Batch says why: %s", waiting[reason], said)
        for reason in self._reasons - waiting.keys():
            logger.info("no job waits any more for %s", reason)
        self._reasons = set(waiting)

    async def _over(self, submission: Submission, reports: Mapping[str, JobReport]) -> tuple[Dead, int]:
        """Find the jobs of a submission that are over, whether or not they left an outcome; count those named."""
        if not submission.jobs:
            # All of them were answered while AWS Batch was asked.
            return [], 0
        if (report := reports.get(submission.job_id)) is None:
            return self._missing(submission), 0
        submission.missing_since = None
        told = reports.get(submission.eldest.job_id, report)
        self._note_strange(told)
        submission.wait.note(told, self._clock())
        if submission.wait.is_hopeless(self._clock(), self._misconfiguration_patience):
            # It might start one day, and nobody will wait for it.
            self._end(submission.job_id)
            return [(job, unschedulable(replace(told, job_id=job.job_id))) for job in submission.jobs.values()], 0
        by_name = report.failed_children > submission.failures_seen
        children = await self._failed_children(submission) if by_name else []
        dead = self._still_open(submission, children)
        if report.status.is_final:
            # Whoever is still open then has neither failed by name nor published: only the parent can speak for it.
            named = {job for job, _ in dead}
            left = [job for job in submission.jobs.values() if job not in named]
            dead += [(job, replace(report, job_id=job.job_id)) for job in left]
        return dead, len(children)

    def _note_strange(self, report: JobReport) -> None:
        """A state that nobody knows here is not an end: its job is watched on."""
        if report.status is JobStatus.UNKNOWN and report.job_id not in self._strange:
            self._strange.add(report.job_id)
            logger.warning("job %s is in a state that this release does not know; watching on", report.job_id)

    async def _failed_children(self, submission: Submission) -> list[JobReport]:
        try:
            return await self._jobs.failed_children(submission.job_id)
        except ServiceError as error:
            if error.retryable:
                raise
            logger.warning("the children of job %s cannot be seen: %s", submission.job_id, error)
            return []

    def _still_open(self, submission: Submission, children: list[JobReport]) -> Dead:
        jobs = [(submission.jobs.get(JobRef(submission.sequence, child.index)), child) for child in children]
        return [(job, child) for job, child in jobs if job is not None]

    def _missing(self, submission: Submission) -> Dead:
        """Give up a job that Batch has not known for too long; a new one takes a moment to be known."""
        now = self._clock()
        if submission.missing_since is None:
            submission.missing_since = now
        if now - submission.missing_since < self._polling.patience:
            return []
        # What is not shown may run all the same, and nobody will wait for it.
        self._end(submission.job_id)
        return [(job, job_lost(job.job_id)) for job in submission.jobs.values()]

    async def _bury(self, dead: Dead) -> bool:
        """Answer for jobs that are over, as soon as what they published is read; ``False`` where it cannot be."""
        if not dead:
            return True
        self._worry()
        for job, found in dead:
            job.death = found.status_reason or found.status if isinstance(found, JobReport) else found.reason
        if not await self._see_outcomes():
            return False
        open_still = [(job, found) for job, found in dead if self._flight.find(job.ref) is job]
        for job, failure in zip(*await self._explained(open_still), strict=True):
            logger.warning("job %s is over, %d task(s) unanswered: %s", job.job_id, len(job.unanswered), failure.reason)
            job.verdict = _having_waited(failure, job)
            await self._collector.settle(job)
        return True

    async def _explained(self, dead: Dead) -> tuple[list[Job], list[JobFailedError]]:
        reports = [found for _, found in dead if isinstance(found, JobReport)]
        told = dict(zip((report.job_id for report in reports), await self._autopsy.explain(reports), strict=True))
        jobs = [job for job, _ in dead]
        return jobs, [found if isinstance(found, JobFailedError) else told[found.job_id] for _, found in dead]


def _without(kind: type[_E], text: str, job: Job) -> _E:
    """Say why nobody can tell what came of a job, and what is known of it all the same."""
    failure = kind(
        f"{text}\njob: {job.job_id}" + (f"\nAWS Batch says that it is over: {job.death}" if job.death else "")
    )
    failure.job_id, failure.reason = job.job_id, job.death
    return _having_waited(failure, job)


def _having_waited(failure: _E, job: Job) -> _E:
    """Add to a failure what its job has waited for until then."""
    said = job.submission.wait.said
    if said and said not in str(failure):
        failure.args = (f"{failure}\nwaited for: {said}",)
    return failure


def _names(submission: Submission) -> list[str]:
    """What to ask for: the job, and of an array that does not move one child, since its parent never says why."""
    moves = submission.idle_checks < _PATIENT or submission.eldest.job_id == submission.job_id
    return [submission.job_id] if moves else [submission.job_id, submission.eldest.job_id]
