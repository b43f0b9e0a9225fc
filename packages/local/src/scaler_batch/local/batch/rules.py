"""What the engine has to be told: about the machine that it runs, the queues that it serves, and what goes wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .fleet import FleetRules, Site
from .job import Job
from .vocabulary import Ending, Environment, State


class Topology(Protocol):
    """What the engine has to know of queues and compute environments, read whenever it looks for room."""

    def environments(self, queue: str) -> Sequence[Environment]:
        """The enabled compute environments of a queue, in order; none when the queue is gone."""

    def priority(self, queue: str) -> int:
        """The queue with the higher number goes first."""

    def site(self, environment: str, instance_type: str, nth: int) -> Site | None:
        """The subnet for the nth instance of an environment; None when no zone offers the type."""


class Mishaps(Protocol):
    """What may go wrong on a job's way to its end without anything that Batch does. Each is asked when it matters."""

    def held(self, job: Job) -> str | None:
        """Why a job has to stay RUNNABLE; empty for no reason that is shown, None when it need not."""

    def start_error(self, job: Job) -> Ending | None:
        """How the attempt ends that is about to be launched; None when it is launched."""

    def lost_exit(self, job: Job) -> Ending | None:
        """How the attempt is shown whose command has just ended; None when it is shown as it ended."""


class NoMishaps:
    """Nothing goes wrong."""

    def held(self, job: Job) -> str | None:
        """No job is held."""
        return None

    def start_error(self, job: Job) -> Ending | None:
        """Every attempt is launched."""
        return None

    def lost_exit(self, job: Job) -> Ending | None:
        """Every attempt is shown as it ended."""
        return None


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens to running attempts without Batch asking for it: a signal to the processes of some of them.

    Attributes:
        chosen: Asked once for each job that runs, in the order of submission.
        signal: What is sent to its processes.
        fate: How their attempts are seen to have ended; None for what the processes end with. An attempt that still
            succeeds in time has succeeded.
        grace: Seconds until they are killed, where there is a fate; None for the grace of other stops.
    """

    chosen: Callable[[Job], bool]
    signal: int = int(signal.SIGTERM)
    fate: Ending | None = None
    grace: float | None = None

    def notice(self, otherwise: float) -> float:
        """Seconds from the signal to the end; ``otherwise`` is the grace of other stops."""
        return otherwise if self.grace is None else self.grace


@dataclass(frozen=True, slots=True)
class Rules:
    """How the engine behaves where the owner of the machine has a say.

    Attributes:
        slots: Job processes at once.
        memory_mib: Memory that running jobs may reserve together; None for no bound.
        delays: Seconds that a job stays in a state at least.
        stop_grace: Seconds between asking a process to end and ending it.
        keep_finished: Finished jobs to remember, children counted.
        keep_seconds: Seconds to remember a finished job, at most; None for no such bound.
        limit_memory: Whether a job must not have more memory than it asked for.
        fleet: How instances come and go; None when jobs need none.
        instance: The id of the machine that the jobs seem to run on.
    """

    slots: int
    memory_mib: int | None = None
    delays: Mapping[State, float] = field(default_factory=dict)
    stop_grace: float = 30.0
    keep_finished: int = 50_000
    keep_seconds: float | None = None
    limit_memory: bool = True
    fleet: FleetRules | None = None
    instance: str = "i-00000000000000000"
