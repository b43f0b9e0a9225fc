"""What goes into the task manager and what comes out of it, all frozen.

*Task*: one call that the scheduler wants answered. *Job*: one container run of AWS Batch; a child of an array is a job
too. *Submission*: tasks of one shape that are submitted together, as a single job or as one array.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from scaler_batch.aws import JobShape
from scaler_batch.payload import Outcome
from scaler_batch.tasks.errors import TaskFailedError

Result = Outcome | TaskFailedError
"""What a task came to: the outcome of its call, or why there is none."""


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
        source: Whoever wants it done. Only tasks of one source share a job.
    """

    task_id: bytes
    serializer: bytes
    function: bytes
    arguments: tuple[bytes, ...] = ()
    priority: int = 0
    shape: JobShape | None = None
    context: object = None
    alone: bool = False
    source: bytes = b""

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """All objects the task needs, in the order of its fields."""
        return (self.serializer, self.function, *self.arguments)


class JobRef(NamedTuple):
    """Names one of our jobs.

    Attributes:
        sequence: Number of the submission within the run.
        child: Place of the child in its array; ``None`` for a single job.
    """

    sequence: int
    child: int | None = None


class Stage(StrEnum):
    """Where a task can be."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    COLLECTING = "collecting"
    REPLYING = "replying"


class Verdict(Enum):
    """Result of a cancellation request."""

    CANCELLED = "cancelled"
    """The task is gone and will not be answered."""
    REFUSED = "refused"
    """It may be running, and the request was not to stop it then; its answer follows."""
    UNKNOWN = "unknown"
    """There is no such task, or it has been answered."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A look at a task manager.

    Attributes:
        stages: How many tasks stand at each stage.
        oldest: Seconds since the oldest task was admitted; 0 without tasks.
        jobs: How many jobs AWS Batch may be running.
        answers: How many tasks were answered, by the outcome's status or the failure's class.
        refused: How many objects were refused that lay where outcomes belong, by the reason: ``unsigned``, or
            ``unreadable``.
        calls: How many requests were made, by operation.
        sent: Bytes put into S3.
        received: Bytes fetched from S3.
        waiting: How many jobs wait for something, by AWS Batch's reason.
        credentials_refused: Seconds for which AWS has refused our credentials; 0 while it takes them.
    """

    stages: dict[Stage, int]
    oldest: float
    jobs: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    received: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    credentials_refused: float = 0.0

    @property
    def tasks(self) -> int:
        """How many tasks are not answered yet."""
        return sum(self.stages.values())


def job_names(run_id: str) -> str:
    """What the names of all jobs of a run begin with."""
    return f"scaler-batch-{run_id}-"
