"""Which of our jobs AWS Batch may still be running, and which tasks each of them runs.

The ledger owns tasks, the flight owns jobs: a job is *open* from the moment its SubmitJob returned until its tasks are
answered, it was found dead, or somebody asked Batch to end it. Jobs of one submission share one id at Batch and one
number in the run; a job is named by its :class:`~.vocabulary.JobRef`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from scaler_batch.aws import JobShape
from scaler_batch.tasks.errors import TaskFailedError
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import JobRef
from scaler_batch.tasks.waiting import Wait, jobs_by_reason


class Job:
    """One container's run: a bundle of tasks.

    Attributes:
        ref: Which job.
        submission: What it was submitted with.
        size: How many tasks it has.
        unanswered: The tasks that are to be answered by it, by position.
        seen: Keys of its outcomes that were seen.
        fetching: How many of those are not read yet.
        verdict: Why it will answer no more; ``None`` while it may.
        trouble: Why an answer that it gave cannot be read.
        death: What AWS Batch says of it, once it is over and before its last outcomes are read; empty before.
    """

    __slots__ = ("death", "fetching", "ref", "seen", "size", "submission", "trouble", "unanswered", "verdict")

    def __init__(self, ref: JobRef, submission: Submission, tasks: Sequence[Task]) -> None:
        self.ref = ref
        self.submission = submission
        self.size = len(tasks)
        self.unanswered = dict(enumerate(tasks))
        self.seen: set[str] = set()
        self.fetching = 0
        self.verdict: TaskFailedError | None = None
        self.trouble: TaskFailedError | None = None
        self.death = ""

    @property
    def job_id(self) -> str:
        """What AWS Batch calls it."""
        parent = self.submission.job_id
        return parent if self.ref.index is None else f"{parent}:{self.ref.index}"


class Submission:
    """One SubmitJob that worked: a single job, or an array.

    Attributes:
        sequence: Its number in the run.
        job_id: AWS Batch's id; the parent's for an array.
        shape: What its jobs were told.
        jobs: Those that are open.
        failures_seen: How many failed children have been looked at.
        missing_since: When Batch first did not know the job, on the manager's clock.
        checked_at: When Batch was last asked, on the manager's clock.
        idle_checks: How often Batch was asked since one of its jobs was closed.
        wait: What its jobs wait for.
    """

    def __init__(self, sequence: int, job_id: str, shape: JobShape, bundles: Sequence[Sequence[Task]]) -> None:
        self.sequence = sequence
        self.job_id = job_id
        self.shape = shape
        self.failures_seen = 0
        self.missing_since: float | None = None
        self.checked_at = 0.0
        self.idle_checks = 0
        self.wait = Wait()
        array = len(bundles) > 1
        refs = [JobRef(sequence, place if array else None) for place in range(len(bundles))]
        self.jobs = {ref: Job(ref, self, bundle) for ref, bundle in zip(refs, bundles, strict=True)}

    @property
    def eldest(self) -> Job:
        """The open job with the lowest place."""
        return next(iter(self.jobs.values()))


class Flight:
    """All submissions with open jobs.

    Args:
        landed: Hears the number of each submission whose last job is closed.

    Attributes:
        launched: Set whenever a submission is added; the watcher clears it.
        open: How many jobs are open.
    """

    def __init__(self, landed: Callable[[int], None]) -> None:
        self._landed = landed
        self._submissions: dict[int, Submission] = {}
        self.launched = asyncio.Event()
        self.open = 0

    def add(self, submission: Submission) -> None:
        """Take note of jobs that have just been submitted."""
        self._submissions[submission.sequence] = submission
        self.open += len(submission.jobs)
        self.launched.set()

    def find(self, ref: JobRef) -> Job | None:
        """A job that is open."""
        submission = self._submissions.get(ref.sequence)
        return submission.jobs.get(ref) if submission else None

    def close(self, job: Job) -> bool:
        """Take note that a job is over; ``False`` where that was known."""
        submission = job.submission
        if submission.jobs.pop(job.ref, None) is None:
            return False
        self.open -= 1
        submission.idle_checks = 0
        if not submission.jobs:
            del self._submissions[submission.sequence]
            self._landed(submission.sequence)
        return True

    def waiting(self) -> dict[str, int]:
        """How many open jobs wait, by AWS Batch's reason."""
        return jobs_by_reason((submission.wait, len(submission.jobs)) for submission in self)

    def holds(self, sequence: int) -> bool:
        """Whether any job of a submission is open."""
        return sequence in self._submissions

    def __iter__(self) -> Iterator[Submission]:
        """All submissions with open jobs, oldest first."""
        return iter(list(self._submissions.values()))

    def __bool__(self) -> bool:
        """Whether any job is open."""
        return bool(self._submissions)
