"""One job: what it is, where it is, and the table of moves it may make.

A job and an array child are the same thing here. A parent of an array is a job that never gets an attempt: it counts
the states of its children, and moves when they have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ..errors import IllegalMoveError
from . import texts
from .effects import LogStream
from .fleet import Instance
from .vocabulary import TERMINAL, Ending, Environment, JobSpec, State

MOVES: Final = {
    State.SUBMITTED: {State.PENDING, State.RUNNABLE, State.FAILED},
    State.PENDING: {State.RUNNABLE, State.SUCCEEDED, State.FAILED},
    State.RUNNABLE: {State.STARTING, State.FAILED},
    State.STARTING: {State.RUNNING, State.RUNNABLE, State.FAILED},
    State.RUNNING: {State.SUCCEEDED, State.RUNNABLE, State.FAILED},
    State.SUCCEEDED: set(),
    State.FAILED: set(),
}
"""PENDING to SUCCEEDED is an array's parent; back to RUNNABLE is a retry."""


@dataclass(slots=True)
class Attempt:
    """One run of a job's command. Times are seconds since 1970.

    Attributes:
        id: 32 hexadecimal digits, as ECS names its tasks.
        launched: Whether ECS has taken it.
        begun: Whether a process was asked for, which may be some time after it is seen to run.
        host: The instance that it is on, where there are instances.
        fate: How it is seen to end unless it succeeds, when something has happened to its host.
    """

    id: str
    number: int
    environment: Environment
    log: LogStream
    launched: bool = False
    begun: bool = False
    started_at: float | None = None
    stopped_at: float | None = None
    ending: Ending | None = None
    fate: Ending | None = None
    host: Instance | None = None


@dataclass(slots=True)
class Children:
    """The children of an array, and how many of them are in each state."""

    jobs: list[Job]
    summary: Counter[State]
    changed_at: float

    @property
    def finished(self) -> bool:
        """Whether no child has anything left to do."""
        return self.summary[State.SUCCEEDED] + self.summary[State.FAILED] == len(self.jobs)


@dataclass(slots=True, eq=False)
class Job:
    """One job, one array child, or the parent of an array. Times are seconds since 1970.

    Attributes:
        order: Which submission this was, counted from 0; with ``index`` it is the job's place in line.
        waiting_for: Jobs that have to succeed first.
        stopping: The status reason to end with, once somebody or a timeout has decided that the job shall end.
        attempts: Those that are over.
    """

    id: str
    spec: JobSpec
    order: int
    created_at: float
    index: int | None = None
    parent: Job | None = None
    state: State = State.SUBMITTED
    status_reason: str | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    current: Attempt | None = None
    children: Children | None = None
    waiting_for: set[str] = field(default_factory=set)
    stopping: str | None = None
    cancelled: bool = False
    terminated: bool = False

    @property
    def terminal(self) -> bool:
        """Whether the job is over."""
        return self.state in TERMINAL

    @property
    def last_attempt(self) -> Attempt | None:
        """The attempt under way, or else the latest."""
        return self.current or (self.attempts[-1] if self.attempts else None)

    def family(self) -> list[Job]:
        """The job and, if it is an array, its children."""
        return [self, *(self.children.jobs if self.children else ())]

    def move(self, to: State, now: float) -> None:
        """Change state, and tell the parent.

        Raises:
            IllegalMoveError: The table of moves does not have it.
        """
        if to not in MOVES[self.state]:
            raise IllegalMoveError(f"job {self.id} cannot move from {self.state} to {to}")
        if self.parent is not None and self.parent.children is not None:
            children = self.parent.children
            children.summary[self.state] -= 1
            children.summary[to] += 1
            children.changed_at = now
        self.state = to
        if to in TERMINAL:
            self.stopped_at = now


def open_array(parent: Job, now: float) -> list[Job]:
    """Make the children of an array: PENDING, with ids ``parent:index``, and counted by their parent."""
    size = parent.spec.array_size or 0
    jobs = [_child(parent, index, now) for index in range(size)]
    parent.children = Children(jobs, Counter({State.PENDING: size}), now)
    return jobs


def _child(parent: Job, index: int, now: float) -> Job:
    return Job(f"{parent.id}:{index}", parent.spec, parent.order, now, index=index, parent=parent, state=State.PENDING)


def conclude(parent: Job, now: float) -> bool:
    """End a parent whose children have all ended. Returns whether it was time."""
    children = parent.children
    if children is None or not children.finished or parent.terminal:
        return False
    failed = children.summary[State.FAILED] > 0
    parent.status_reason = (parent.stopping or texts.CHILD_FAILED) if failed else None
    parent.move(State.FAILED if failed else State.SUCCEEDED, now)
    return True
