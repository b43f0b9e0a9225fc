"""Tasks and jobs: which there are, where each stands, and which tasks a job has still to answer.

A task enters by :meth:`TaskTable.admit` and leaves by :meth:`TaskTable.forget`, once. ::

    QUEUED ──► SUBMITTING ──► RUNNING ──► COLLECTING ──► REPLYING ──► (forgotten: announced)
       └───────────┴─────────────┴─────────── failed ───────┘
    SUBMITTING ──► QUEUED   its inputs are late, or too many at once
    RUNNING ──► QUEUED      the job that ran it among others died before its turn
    COLLECTING ──► RUNNING  what looked like its outcome was refused
    any stage ──► (forgotten: cancelled)

A task that was forgotten may be admitted again under the same id, as schedulers do. So whatever is under way for a task
holds the :class:`Task`, which is one life of that id, or its number, and never the id alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scaler_batch.aws import JobShape
from scaler_batch.payload import JobSeal, SubmissionSeal
from scaler_batch.tasks.errors import IllegalMoveError, TaskFailedError
from scaler_batch.tasks.models import JobRef, Stage, TaskRequest
from scaler_batch.tasks.waiting import Wait, jobs_by_reason

MOVES: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.QUEUED: frozenset({Stage.SUBMITTING, Stage.REPLYING}),
    Stage.SUBMITTING: frozenset({Stage.RUNNING, Stage.REPLYING, Stage.QUEUED}),
    Stage.RUNNING: frozenset({Stage.COLLECTING, Stage.REPLYING, Stage.QUEUED}),
    Stage.COLLECTING: frozenset({Stage.REPLYING, Stage.RUNNING}),
    Stage.REPLYING: frozenset(),
}


class Task:
    """One life of one task.

    Attributes:
        request: What was asked.
        life: Its number; no other life of any task has it.
        admitted_at: When, on the manager's clock, in seconds.
        stage: Where it stands.
        ended: Whether it is forgotten: announced, or cancelled.
        job: The job that is to answer it; ``None`` before and after.
        job_id: AWS Batch's id of that job; kept when the job is over.
        position: Its place among the tasks of that job.
        alone: Whether it has to have a job for itself: as was asked, or because one that it shared died.
    """

    __slots__ = ("admitted_at", "alone", "ended", "job", "job_id", "life", "position", "request", "stage")

    def __init__(self, request: TaskRequest, life: int, admitted_at: float) -> None:
        self.request = request
        self.life = life
        self.admitted_at = admitted_at
        self.stage = Stage.QUEUED
        self.ended = False
        self.job: Job | None = None
        self.job_id: str | None = None
        self.position = 0
        self.alone = request.alone


class TaskTable:
    """All tasks that are not answered yet."""

    def __init__(self) -> None:
        self._tasks: dict[bytes, Task] = {}
        self._counts = dict.fromkeys(Stage, 0)
        self._lives = 0

    def admit(self, request: TaskRequest, now: float) -> Task | None:
        """Take a task in; ``None`` where a task of this id is being worked on."""
        if request.task_id in self._tasks:
            return None
        self._lives += 1
        task = self._tasks[request.task_id] = Task(request, self._lives, now)
        self._counts[Stage.QUEUED] += 1
        return task

    def move(self, task: Task, to: Stage) -> bool:
        """Move a task on; ``False`` where it has ended.

        Raises:
            IllegalMoveError: The table has no such move.
        """
        if task.ended:
            return False
        if to not in MOVES[task.stage]:
            raise IllegalMoveError(f"from {task.stage.value} to {to.value}")
        self._counts[task.stage] -= 1
        self._counts[to] += 1
        task.stage = to
        return True

    def forget(self, task: Task) -> bool:
        """Let a task go; ``False`` where it was let go before. Its job has no longer to answer it."""
        if task.ended:
            return False
        task.ended = True
        del self._tasks[task.request.task_id]
        self._counts[task.stage] -= 1
        leave_job(task)
        return True

    def get(self, task_id: bytes) -> Task | None:
        """The task of this id, if one is being worked on."""
        return self._tasks.get(task_id)

    def count(self, stage: Stage) -> int:
        """How many tasks stand at a stage."""
        return self._counts[stage]

    def counts(self) -> dict[Stage, int]:
        """How many tasks stand at each stage."""
        return dict(self._counts)

    def __iter__(self) -> Iterator[Task]:
        """All tasks, in order of admission."""
        return iter(list(self._tasks.values()))

    def oldest(self) -> Task | None:
        """The task that was admitted first."""
        return next(iter(self._tasks.values()), None)

    def __len__(self) -> int:
        return len(self._tasks)


class Job:
    """One container's run: a bundle of tasks.

    Attributes:
        ref: Which job.
        submission: What it was submitted with.
        size: How many tasks it has.
        unanswered: The tasks that are to be answered by it, by position.
        seen: Keys of its outcomes that were seen.
        fetching: How many of those are not read yet.
        failure: Why it will answer no more; ``None`` while it may.
        read_error: Why an answer that it gave cannot be read.
        death: What AWS Batch says of it, once it is over and before its last outcomes are read; empty before.
        is_open: Whether it holds a slot.
        runs_in_vain: Whether a task was cancelled that it runs, or will, beside others.
        refused: Keys of what lay where its outcomes belong and was not signed by it.
    """

    __slots__ = (
        "_seal", "death", "failure", "fetching", "is_open", "read_error", "ref", "refused", "runs_in_vain", "seen",
        "size", "submission", "unanswered",
    )  # fmt: skip

    def __init__(self, ref: JobRef, submission: Submission, tasks: Sequence[Task]) -> None:
        self.ref = ref
        self.submission = submission
        self.size = len(tasks)
        self.unanswered: dict[int, Task] = {}
        self.seen: set[str] = set()
        self.fetching = 0
        self.failure: TaskFailedError | None = None
        self.read_error: TaskFailedError | None = None
        self.death = ""
        self.is_open = True
        self.runs_in_vain = False
        self.refused: set[str] = set()
        self._seal: JobSeal | None = None

    @property
    def seal(self) -> JobSeal:
        """What it signs its outcomes with."""
        if self._seal is None:
            self._seal = self.submission.seal.job(self.ref.child)
        return self._seal

    @property
    def job_id(self) -> str:
        """What AWS Batch calls it."""
        parent = self.submission.job_id
        return parent if self.ref.child is None else f"{parent}:{self.ref.child}"


def join_job(task: Task, job: Job, position: int) -> None:
    """Let a job answer for a task."""
    task.job, task.job_id, task.position = job, job.job_id, position
    job.unanswered[position] = task


def leave_job(task: Task) -> None:
    """Let a job no longer answer for a task."""
    if task.job is not None:
        task.job.unanswered.pop(task.position, None)
        task.job = None


class Submission:
    """One SubmitJob that worked: a single job, or an array.

    Attributes:
        sequence: Its number in the run.
        job_id: AWS Batch's id; the parent's for an array.
        shape: What its jobs were told.
        seal: The keys of its jobs.
        stored_at: When its pack was put into S3, on the manager's clock; ``None`` for one that travels inline.
        jobs: Those that are open, by their places.
        failures_seen: How many failed children have been looked at.
        missing_since: When Batch first did not know the job, on the manager's clock.
        checked_at: When Batch was last asked, on the manager's clock.
        idle_checks: How often Batch was asked since one of its jobs was closed.
        wait: What its jobs wait for.
    """

    __slots__ = (
        "checked_at", "failures_seen", "idle_checks", "job_id", "jobs", "missing_since", "seal", "sequence", "shape",
        "stored_at", "wait",
    )  # fmt: skip

    def __init__(
        self,
        sequence: int,
        job_id: str,
        shape: JobShape,
        bundles: Sequence[Sequence[Task]],
        seal: SubmissionSeal,
        stored_at: float | None = None,
    ) -> None:
        self.sequence = sequence
        self.seal = seal
        self.job_id = job_id
        self.shape = shape
        self.stored_at = stored_at
        self.failures_seen = 0
        self.missing_since: float | None = None
        self.checked_at = 0.0
        self.idle_checks = 0
        self.wait = Wait()
        places: Sequence[int | None] = range(len(bundles)) if len(bundles) > 1 else [None]
        self.jobs = {
            place: Job(JobRef(sequence, place), self, bundle) for place, bundle in zip(places, bundles, strict=True)
        }

    @property
    def eldest(self) -> Job:
        """The open job with the lowest place."""
        return next(iter(self.jobs.values()))


class JobTable:
    """Which of our jobs AWS Batch may still be running.

    A job is *open* from the moment its SubmitJob returned until its tasks are answered, it was found dead, or somebody
    asked Batch to end it.

    Attributes:
        open: How many jobs are open.
    """

    def __init__(self) -> None:
        self._submissions: dict[int, Submission] = {}
        self.open = 0

    def add(self, submission: Submission) -> None:
        """Take note of jobs that have just been submitted."""
        self._submissions[submission.sequence] = submission
        self.open += len(submission.jobs)

    def get(self, sequence: int) -> Submission | None:
        """A submission with open jobs."""
        return self._submissions.get(sequence)

    def find(self, sequence: int, index: int | None) -> Job | None:
        """A job that is open."""
        submission = self._submissions.get(sequence)
        return submission.jobs.get(index) if submission else None

    def close(self, job: Job) -> bool:
        """Take note that a job is over; ``False`` where that was known."""
        if not job.is_open:
            return False
        job.is_open = False
        self.open -= 1
        submission = job.submission
        del submission.jobs[job.ref.child]
        submission.idle_checks = 0
        if not submission.jobs:
            del self._submissions[submission.sequence]
        return True

    def reopen(self, job: Job) -> None:
        """Take a job for open again that was taken for over."""
        if job.is_open:
            return
        job.is_open = True
        self.open += 1
        submission = job.submission
        submission.jobs[job.ref.child] = job
        self._submissions.setdefault(submission.sequence, submission)

    def waiting(self) -> dict[str, int]:
        """How many open jobs wait, by AWS Batch's reason."""
        return jobs_by_reason((submission.wait, len(submission.jobs)) for submission in self._submissions.values())

    def __iter__(self) -> Iterator[Submission]:
        """All submissions with open jobs, oldest first."""
        return iter(list(self._submissions.values()))

    def __bool__(self) -> bool:
        """Whether any job is open."""
        return bool(self._submissions)
