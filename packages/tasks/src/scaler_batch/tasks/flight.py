"""Which of our jobs AWS Batch may still be running.

The ledger owns tasks, the flight owns jobs: a job is *open* from the moment its SubmitJob returned until its outcome
was seen, it was found dead, or somebody asked Batch to end it. Jobs of one submission share one id at Batch and one
number in the run; a job is named by its :class:`~.vocabulary.JobRef`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import JobRef


class Submission:
    """One SubmitJob that worked: a single job, or an array of as many jobs as tasks.

    Attributes:
        sequence: Its number in the run.
        job_id: AWS Batch's id; the parent's for an array.
        failures_seen: How many failed children have been looked at.
        missing_since: When Batch first did not know the job, on the manager's clock.
    """

    def __init__(self, sequence: int, job_id: str, tasks: Sequence[Task]) -> None:
        self.sequence = sequence
        self.job_id = job_id
        self.failures_seen = 0
        self.missing_since: float | None = None
        self._is_array = len(tasks) > 1
        self._open = {self._ref(position): task for position, task in enumerate(tasks)}

    def _ref(self, position: int) -> JobRef:
        return JobRef(self.sequence, position if self._is_array else None)

    @property
    def is_array(self) -> bool:
        """Whether there are children."""
        return self._is_array

    @property
    def open_jobs(self) -> dict[JobRef, Task]:
        """The jobs that Batch may still be running, with their tasks."""
        return dict(self._open)

    def id_of(self, ref: JobRef) -> str:
        """What AWS Batch calls one of the jobs."""
        return self.job_id if ref.index is None else f"{self.job_id}:{ref.index}"

    def find(self, ref: JobRef) -> Task | None:
        """The task of a job that is open."""
        return self._open.get(ref)

    def close(self, ref: JobRef) -> Task | None:
        """Take note that a job is over, or as good as over."""
        return self._open.pop(ref, None)

    def __bool__(self) -> bool:
        """Whether any job is open."""
        return bool(self._open)


class Flight:
    """All submissions with open jobs.

    Args:
        landed: Hears the number of each submission whose last job is closed.

    Attributes:
        launched: Set whenever a submission is added; the watcher clears it.
    """

    def __init__(self, landed: Callable[[int], None]) -> None:
        self._landed = landed
        self._submissions: dict[int, Submission] = {}
        self.launched = asyncio.Event()

    def add(self, submission: Submission) -> None:
        """Take note of jobs that have just been submitted."""
        self._submissions[submission.sequence] = submission
        self.launched.set()

    def is_open(self, ref: JobRef) -> bool:
        """Whether Batch may still be running the job."""
        submission = self._submissions.get(ref.sequence)
        return submission is not None and submission.find(ref) is not None

    def close(self, ref: JobRef) -> tuple[Submission, Task] | None:
        """Take note that a job is over; ``None`` where that was known."""
        submission = self._submissions.get(ref.sequence)
        task = submission.close(ref) if submission else None
        if submission is None or task is None:
            return None
        if not submission:
            del self._submissions[ref.sequence]
            self._landed(ref.sequence)
        return submission, task

    def holds(self, submission: Submission) -> bool:
        """Whether any job of the submission is open."""
        return submission.sequence in self._submissions

    def __iter__(self) -> Iterator[Submission]:
        """All submissions with open jobs, oldest first."""
        return iter(list(self._submissions.values()))

    def __bool__(self) -> bool:
        """Whether any job is open."""
        return bool(self._submissions)
