"""The nouns of task management, all frozen.

*Task*: one call that the scheduler wants answered. *Job*: one container run of AWS Batch; a child of an array is a job
too. *Batch*: tasks of one shape that are submitted together, as a single job or as one array.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from scaler_batch.payload import Outcome
from scaler_batch.tasks.errors import TaskFailedError

Result = Outcome | TaskFailedError
"""What a task came to: what its call came to, or why there is no telling."""


@dataclass(frozen=True, slots=True)
class JobShape:
    """What AWS Batch is told about a job besides its payload. Tasks of one shape can share an array.

    Attributes:
        queue: Name or ARN of the job queue.
        definition: Name, ``name:revision`` or ARN of the job definition.
        timeout: Seconds one attempt may run; AWS Batch takes 60 or more.
        vcpus: Processors, in place of the definition's.
        memory: MiB, in place of the definition's.
        gpus: Graphics processors, in place of the definition's.
        attempts: How often the job may be started where its host is reclaimed or its image cannot be pulled, 1 to 10.
        share: Fair-share identifier; ``None`` for a queue without a scheduling policy.
        scheduling_priority: Order within the share, 0 to 9999, higher first.
    """

    queue: str
    definition: str
    timeout: int
    vcpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    attempts: int = 3
    share: str | None = None
    scheduling_priority: int | None = None


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What is asked of the task manager.

    Serializer, function and arguments are names of objects; the input loader turns them into bytes when the task's turn
    comes, so that a long queue holds names and not data.

    Attributes:
        task_id: Whoever asks calls it so; unique among the tasks that are not answered yet.
        serializer: Object that reads the function and the arguments.
        function: Object to call.
        arguments: Objects to call it with, in order.
        priority: Higher goes first; first come, first served within one.
        shape: What AWS Batch is told about the task's job; ``None`` for what the settings say.
        context: Whatever the asker wants to see again with the reply; nobody here looks at it.
        alone: Whether it is to have a job for itself, and with it a log for itself, where others share one.
    """

    task_id: bytes
    serializer: bytes
    function: bytes
    arguments: tuple[bytes, ...] = ()
    priority: int = 0
    shape: JobShape | None = None
    context: object = None
    alone: bool = False

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """All objects the task needs, in the order of its fields."""
        return (self.serializer, self.function, *self.arguments)


@dataclass(frozen=True, slots=True)
class JobRef:
    """Which of our jobs: the submission's number in the run, and the child's place where it is an array."""

    sequence: int
    index: int | None = None


class Verdict(Enum):
    """Answer to a wish to cancel."""

    CANCELLED = "cancelled"
    """The task is gone and will not be answered."""
    REFUSED = "refused"
    """It may be running already, and the wish was not to stop it then; its answer follows."""
    UNKNOWN = "unknown"
    """There is no such task, or it has been answered."""


class JobStatus(StrEnum):
    """AWS Batch's states of a job, by AWS's names."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED)


def job_names(run_id: str) -> str:
    """What the names of all jobs of a run begin with."""
    return f"scaler-batch-{run_id}-"


def is_numbered(name: str, prefix: str) -> bool:
    """Whether a name is ``prefix`` and a number: one run's id may begin with another's."""
    return name.startswith(prefix) and name[len(prefix) :].isdecimal()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One SubmitJob.

    Attributes:
        name: At most 128 letters, digits, ``-`` and ``_``; unique to this submission, so that it can be looked up.
        shape: Queue, definition, timeout, and what replaces the definition's own.
        parameters: Values for the ``Ref::`` elements of the definition's command.
        size: 1 for a single job, 2 to 10,000 for an array.
    """

    name: str
    shape: JobShape
    parameters: dict[str, str]
    size: int


@dataclass(frozen=True, slots=True)
class JobReport:
    """What AWS Batch says of a job.

    Attributes:
        job_id: Batch's id; ``parent:index`` for a child of an array.
        status: The job's state.
        index: Place in its array, for a child.
        failed_children: How many children have failed, for the parent of an array.
        attempt: How many attempts were made; 0 where AWS Batch did not say, as for a child in a listing.
        exit_code: The container's exit code in its last attempt, if it came that far.
        reason: What ECS says about the container.
        status_reason: What Batch says about the state.
        log_stream: Name of the last attempt's log stream.
        log_group: The log group it lies in.
        log_tail: The last lines of the log, where they were asked for.
        terminated: Whether somebody asked AWS Batch to end it.
    """

    job_id: str
    status: JobStatus
    index: int | None = None
    failed_children: int = 0
    attempt: int = 0
    exit_code: int | None = None
    reason: str = ""
    status_reason: str = ""
    log_stream: str = ""
    log_group: str = "/aws/batch/job"
    log_tail: tuple[str, ...] = ()
    terminated: bool = False
