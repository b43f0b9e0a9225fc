"""AWS Batch in memory, with AWS's limits and faults on demand."""

from __future__ import annotations

import asyncio
import pickle
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from scaler_batch.aws import Classification, JobReport, JobSpec, JobStatus, ServiceError, is_numbered
from scaler_batch.payload import Call, Failure, Origin, Outcome, Seal, Status, encode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.contract import ExitCode
from scaler_batch.payload.outcomes import Usage
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.testing.faults import Fault
from scaler_batch.tasks.testing.jobs import FakeJob, FakeSubmission, overrides_too_long, refusal, unpack

_DESCRIBED: Final = 100
_LISTED: Final = 1000
_FILTERED: Final = 100
_TERMINATED: Final = 50
_EXITED: Final = "Essential container in task exited"


class FakeJobService:
    """AWS Batch in memory.

    Args:
        store: Where packs are read and outcomes written, as the runner would.
        run: What every call runs; returns the result's bytes. An exception becomes the call's outcome; ``SystemExit``
            ends the job with that code and without an outcome. Without ``run`` the test ends each job itself.
        seconds: How long each job runs, where ``run`` is given, or takes to start where ``work`` is too.
        work: How long each call takes, in seconds; those of a job run one after the other.
        latency: Seconds that each call to AWS takes.
        grace: Seconds from TerminateJob to the end of the job.
        faults: What goes wrong; may be added to at any time.
        payload_key: The payload key of its containers.

    Attributes:
        calls: How many requests each operation took: a request for a hundred ids, or a thousand children.
        submissions: What was submitted, by job id, in order.
        terminated: Ids that were to be ended, in order.
        logs: Lines of jobs' logs, by job id; a test may write some.
        active: How many jobs are not over.
        peak: The most that ever were.
    """

    def __init__(
        self,
        store: MemoryStore,
        *,
        run: Callable[[Call], Buffer] | None = None,
        seconds: float = 0.0,
        work: Callable[[Call], float] = lambda _: 0.0,
        latency: float = 0.0,
        grace: float = 0.0,
        faults: Iterable[Fault] = (),
        payload_key: Seal | None = None,
    ) -> None:
        self._store = store
        self._payload_key = payload_key
        self._run = run
        self._seconds = seconds
        self._work = work
        self._latency = latency
        self._grace = grace
        self.faults = list(faults)
        self.calls: Counter[str] = Counter()
        self.submissions: dict[str, FakeSubmission] = {}
        self.terminated: list[str] = []
        self.logs: dict[str, list[str]] = {}
        self._taken = asyncio.Event()
        self.active = 0
        self.peak = 0

    @property
    def jobs(self) -> list[FakeJob]:
        """All single jobs and children, in order of submission."""
        return [job for submission in self.submissions.values() for job in submission.jobs]

    async def submit(self, job: JobSpec) -> str:
        """Take a job as SubmitJob does."""
        return str(await self._serve("submit", lambda: self._accept(job)))

    async def find(self, name: str, queue: str) -> str | None:
        """Look a job up as ListJobs with a filter does."""

        def matches() -> str | None:
            wanted = (name, queue)
            made = self.submissions.values()
            return next((one.job_id for one in made if (one.spec.name, one.spec.shape.queue) == wanted), None)

        found: str | None = await self._serve("find", matches)
        return found

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report as DescribeJobs does, a hundred ids a request."""

        def known() -> dict[str, JobReport]:
            return {job_id: report for job_id in job_ids if (report := self._report(job_id)) is not None}

        reports: dict[str, JobReport] = await self._serve("describe", known, len(job_ids), _DESCRIBED)
        return reports

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report as ListJobs of an array does, a thousand children a request."""
        submission = self.submissions[job_id]
        listed: list[JobReport] = await self._serve(
            "failed_children", lambda: [job.report() for job in submission.failed], len(submission.failed), _LISTED
        )
        return listed

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job, or an array with all its children, as TerminateJob does: at once or after the grace."""

        def end() -> None:
            self.terminated.append(job_id)
            asyncio.get_running_loop().call_later(self._grace, self._kill, job_id, reason)

        await self._serve("terminate", end)

    async def terminate_many(self, job_ids: Sequence[str], reason: str) -> list[str]:
        """End jobs as TerminateJobs does, fifty a request; those that nobody knows count as ended."""

        def end() -> list[str]:
            for job_id in job_ids:
                self.terminated.append(job_id)
                asyncio.get_running_loop().call_later(self._grace, self._kill, job_id, reason)
            return []

        left: list[str] = await self._serve("terminate_many", end, len(job_ids), _TERMINATED)
        return left

    async def named(self, prefix: str, queue: str) -> list[str]:
        """Look jobs up as ListJobs with a filter does."""
        made = self.submissions.values()
        listed = [one for one in made if one.spec.shape.queue == queue and is_numbered(one.spec.name, prefix)]

        def unfinished() -> list[str]:
            return [one.job_id for one in listed if not one.report.status.is_final]

        found: list[str] = await self._serve("named", unfinished, len(listed), _FILTERED)
        return found

    async def tail(self, report: JobReport, lines: int) -> tuple[str, ...]:
        """Read the log that a test has written for a job; one that has not run has none."""
        if not report.log_stream:
            return ()
        told: tuple[str, ...] = await self._serve("tail", lambda: tuple(self.logs.get(report.job_id, ())[-lines:]))
        return told

    async def has_taken(self, count: int) -> None:
        """Wait until there are so many submissions."""
        while len(self.submissions) < count:
            self._taken.clear()
            await self._taken.wait()

    def start(self, job_id: str, index: int | None = None) -> None:
        """Let a job run."""
        for job in self._pick(job_id, index):
            if not job.status.is_final:
                job.status = JobStatus.RUNNING

    def wait_for(self, job_id: str, reason: str = "", index: int | None = None) -> None:
        """Let AWS Batch say what a job waits for, or no more that it waits for anything."""
        for job in self._pick(job_id, index):
            job.status_reason = reason

    def turn_unknown(self, job_id: str, index: int | None = None) -> None:
        """Put a job into a state that only AWS knows."""
        for job in self._pick(job_id, index):
            job.status = JobStatus.UNKNOWN

    def succeed(self, job_id: str, index: int | None = None, value: Buffer | Callable[[Call], Buffer] = b"") -> None:
        """Let every call of a job, or of a whole array, return a value or what a function makes of it; end the job."""
        for job in self._pick(job_id, index):
            self._finish(job, value if callable(value) else lambda _: value)

    def raise_(self, job_id: str, index: int | None = None, error: Exception | None = None) -> None:
        """Let every call of a job, or of a whole array, raise an error, and end the job."""

        def fail(_: Call) -> Buffer:
            raise error or ValueError("no good")

        for job in self._pick(job_id, index):
            self._finish(job, fail)

    def publish(
        self, job_id: str, index: int | None = None, value: Buffer = b"", positions: Sequence[int] | None = None
    ) -> None:
        """Put the outcomes of a job's calls, of all or of some, into the store as one object, and let it run on."""
        for job in self._pick(job_id, index):
            chosen = range(len(job.calls or ())) if positions is None else positions
            self._publish(job, [Outcome(position, Status.SUCCESS, value) for position in chosen])

    def die(
        self,
        job_id: str,
        index: int | None = None,
        *,
        exit_code: int | None = 1,
        reason: str = "",
        status_reason: str = _EXITED,
    ) -> None:
        """End a job, or a whole array, without an outcome."""
        for job in self._pick(job_id, index):
            self._end(job, JobStatus.FAILED, exit_code, reason, status_reason)

    async def _serve(self, operation: str, effect: Callable[[], Any], items: int = 1, page: int = 1) -> Any:
        self.calls[operation] += max(1, -(-items // page))
        await asyncio.sleep(self._latency)
        fault = next((fault for fault in self.faults if fault.takes(operation)), None)
        return await fault.strike(effect) if fault else effect()

    def _accept(self, job: JobSpec) -> str:
        if (text := refusal(job)) is not None:
            raise ServiceError(text, Classification.FINAL)
        job_id = f"job-{len(self.submissions) + 1}"
        submission = FakeSubmission(job_id, job, unpack(job_id, job, self._store.objects, self._payload_key))
        self.submissions[job_id] = submission
        self._taken.set()
        self.active += job.size
        self.peak = max(self.peak, self.active)
        if overrides_too_long(job):
            self.die(job_id, exit_code=None, status_reason="Container Overrides length must be at most 8192")
        elif self._run is not None:
            self._start(submission)
        return job_id

    def _start(self, submission: FakeSubmission) -> None:
        """Run all jobs, those that take the same time together."""
        ends: dict[float, list[FakeJob]] = {}
        for job in submission.jobs:
            seconds = self._seconds + sum(map(self._work, job.calls or ()))
            ends.setdefault(seconds, []).append(job)
        for seconds, jobs in ends.items():
            asyncio.get_running_loop().call_later(seconds, self._run_all, jobs)

    def _run_all(self, jobs: Iterable[FakeJob]) -> None:
        for job in jobs:
            if self._run is not None:
                self._finish(job, self._run)

    def _finish(self, job: FakeJob, function: Callable[[Call], Buffer]) -> None:
        if job.status.is_final:
            return
        try:
            outcomes = [self._outcome(position, call, function) for position, call in enumerate(_found(job.calls))]
        except SystemExit as leaving:
            self._end(job, JobStatus.FAILED, int(leaving.code or 0), "", _EXITED)
        else:
            self._publish(job, outcomes)
            self._end(job, JobStatus.SUCCEEDED, ExitCode.PUBLISHED, "", _EXITED)

    def _outcome(self, position: int, call: Call, function: Callable[[Call], Buffer]) -> Outcome:
        usage = Usage(self._work(call))
        try:
            return Outcome(position, Status.SUCCESS, function(call), usage=usage)
        except Exception as error:  # the outermost frame of the user's function, as in the runner
            failure = Failure(type(error).__name__, str(error))
            return Outcome(position, Status.RAISED, pickle.dumps(error), failure=failure, usage=usage)

    def _publish(self, job: FakeJob, outcomes: Sequence[Outcome]) -> None:
        origin = Origin(job.job_id, attempt=1, host="fake", python=platform.python_version(), packages={})
        # An earlier answer stands, as in the runner.
        fresh = [outcome for outcome in outcomes if outcome.position not in job.answered]
        job.answered |= {outcome.position for outcome in fresh}
        if fresh:
            key = job.seal.outcome_key(min(outcome.position for outcome in fresh))
            self._store.objects[key] = b"".join(job.seal.sign(key, encode_outcomes(fresh, origin)))

    def _kill(self, job_id: str, reason: str) -> None:
        parent, index = _split(job_id)
        for job in self._pick(parent, index) if parent in self.submissions else ():
            job.terminated = job.terminated or not job.status.is_final
            self._end(job, JobStatus.FAILED, ExitCode.INTERRUPTED, "", reason)

    def _end(self, job: FakeJob, status: JobStatus, exit_code: int | None, reason: str, status_reason: str) -> None:
        if not job.status.is_final:
            self.active -= 1
            job.status, job.exit_code, job.reason, job.status_reason = status, exit_code, reason, status_reason

    def _pick(self, job_id: str, index: int | None) -> Sequence[FakeJob]:
        submission = self.submissions[job_id]
        return submission.jobs if index is None else [submission.jobs[index]]

    def _report(self, job_id: str) -> JobReport | None:
        parent, index = _split(job_id)
        submission = self.submissions.get(parent)
        if submission is None:
            return None
        return submission.report if index is None else submission.jobs[index].detail


def _split(job_id: str) -> tuple[str, int | None]:
    parent, _, index = job_id.partition(":")
    return parent, int(index) if index else None


def _found(calls: Sequence[Call] | None) -> Sequence[Call]:
    if calls is None:
        raise SystemExit(ExitCode.NO_INPUT)
    return calls
