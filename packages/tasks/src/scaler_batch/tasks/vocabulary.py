"""The nouns of task management, all frozen.

*Task*: one call that the scheduler wants answered. *Job*: one container run of AWS Batch; a child of an array is a job
too. *Batch*: tasks of one shape that are submitted together, as a single job or as one array.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scaler_batch.aws import JobShape
from scaler_batch.payload import Outcome
from scaler_batch.tasks.errors import TaskFailedError

Result = Outcome | TaskFailedError
"""What a task came to: what its call came to, or why there is no telling."""


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


def job_names(run_id: str) -> str:
    """What the names of all jobs of a run begin with."""
    return f"scaler-batch-{run_id}-"
