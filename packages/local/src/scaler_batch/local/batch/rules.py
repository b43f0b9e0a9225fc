"""What the engine has to be told about the machine that it runs, and about the queues that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .vocabulary import Environment, State


class Topology(Protocol):
    """What the engine has to know of queues and compute environments, read whenever it looks for room."""

    def environments(self, queue: str) -> Sequence[Environment]:
        """The enabled compute environments of a queue, in order; none when the queue is gone."""

    def priority(self, queue: str) -> int:
        """The queue with the higher number goes first."""


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
        instance: The id of the machine that the jobs seem to run on.
    """

    slots: int
    memory_mib: int | None = None
    delays: Mapping[State, float] = field(default_factory=dict)
    stop_grace: float = 30.0
    keep_finished: int = 50_000
    keep_seconds: float | None = None
    limit_memory: bool = True
    instance: str = "i-00000000000000000"
