"""Where each task is: one table of moves and one owner.

The ledger is the only place that knows which tasks there are and at which stage each of them stands. Stages ask it to
move a task on; it answers no when the task has ended meanwhile (cancelled, or the manager stopped), and the stage then
lets go of it. A move that the table does not have is a bug and raises.

A task enters by :meth:`Ledger.admit` and leaves by exactly one of :meth:`Ledger.finish` and :meth:`Ledger.drop`. That
is what "answered exactly once" rests on: :meth:`finish` says yes once, and only who hears it may announce the answer.

::

    QUEUED ──► SUBMITTING ──► RUNNING ──► COLLECTING ──► REPLYING ──► (finished)
       └───────────┴─────────────┴─────────── failed ───────┘
    SUBMITTING ──► QUEUED   its inputs are late, or too many at once
    RUNNING ──► QUEUED      the job that ran it among others died before its turn
    any stage ──► (dropped: cancelled)

A task that was dropped may be admitted again under the same id, as schedulers do. Stages therefore hold the
:class:`Task`, which is one life of that id, and never the id alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final

from scaler_batch.tasks.errors import IllegalMoveError
from scaler_batch.tasks.vocabulary import JobRef, TaskRequest


class Stage(Enum):
    """Where a task can be."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    COLLECTING = "collecting"
    REPLYING = "replying"


MOVES: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.QUEUED: frozenset({Stage.SUBMITTING, Stage.REPLYING}),
    Stage.SUBMITTING: frozenset({Stage.RUNNING, Stage.REPLYING, Stage.QUEUED}),
    Stage.RUNNING: frozenset({Stage.COLLECTING, Stage.REPLYING, Stage.QUEUED}),
    Stage.COLLECTING: frozenset({Stage.REPLYING}),
    Stage.REPLYING: frozenset(),
}


class Task:
    """One life of one task.

    Attributes:
        request: What was asked.
        admitted_at: When, on the manager's clock, in seconds.
        job: The job that runs it, from submission on. Written by the submitting stage.
        job_id: AWS Batch's id of that job; kept when the job is over.
        position: Its place among the tasks of that job.
        alone: Whether it has to have a job for itself: as was asked, or because one that it shared died.
    """

    __slots__ = ("_stage", "admitted_at", "alone", "job", "job_id", "position", "request")

    def __init__(self, request: TaskRequest, admitted_at: float) -> None:
        self.request = request
        self.admitted_at = admitted_at
        self.job: JobRef | None = None
        self.job_id: str | None = None
        self.position = 0
        self.alone = request.alone
        self._stage = Stage.QUEUED

    @property
    def stage(self) -> Stage:
        """Where it stands; only the ledger moves it."""
        return self._stage


class Ledger:
    """All tasks that are not answered yet."""

    def __init__(self) -> None:
        self._tasks: dict[bytes, Task] = {}
        self._counts: Counter[Stage] = Counter()

    def admit(self, request: TaskRequest, now: float) -> Task | None:
        """Take a task in; ``None`` where a task of this id is being worked on."""
        if request.task_id in self._tasks:
            return None
        task = Task(request, now)
        self._tasks[request.task_id] = task
        self._counts[task.stage] += 1
        return task

    def move(self, task: Task, to: Stage) -> bool:
        """Move a task on; ``False`` where it has ended and the caller is to let go of it.

        Raises:
            IllegalMoveError: The table has no such move.
        """
        if not self.holds(task):
            return False
        if to not in MOVES[task.stage]:
            raise IllegalMoveError(f"from {task.stage.value} to {to.value}")
        self._counts[task.stage] -= 1
        self._counts[to] += 1
        task._stage = to
        return True

    def finish(self, task: Task) -> bool:
        """Let an answered task go. ``True`` obliges the caller to announce its answer, now.

        Raises:
            IllegalMoveError: The task is not at the last stage.
        """
        if not self.holds(task):
            return False
        if task.stage is not Stage.REPLYING:
            raise IllegalMoveError(f"finish from {task.stage.value}")
        self._forget(task)
        return True

    def drop(self, task: Task) -> None:
        """Let a task go that will not be answered."""
        if self.holds(task):
            self._forget(task)

    def holds(self, task: Task) -> bool:
        """Whether this life of the task goes on."""
        return self._tasks.get(task.request.task_id) is task

    def get(self, task_id: bytes) -> Task | None:
        """The task of this id, if one is being worked on."""
        return self._tasks.get(task_id)

    def count(self, *stages: Stage) -> int:
        """How many tasks stand at any of these stages."""
        return sum(self._counts[stage] for stage in stages)

    def __iter__(self) -> Iterator[Task]:
        """All tasks, in order of admission."""
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    def _forget(self, task: Task) -> None:
        del self._tasks[task.request.task_id]
        self._counts[task.stage] -= 1
