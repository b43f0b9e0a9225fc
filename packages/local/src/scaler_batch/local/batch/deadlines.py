"""What is due at which moment.

Entries are not taken back when they no longer hold: whoever acts on one looks whether it does. So that a long timeout
does not keep the memory of a job that was over in a second, they are swept out whenever their number has doubled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from .job import Attempt, Job
from .rules import Strike
from .vocabulary import State


@dataclass(frozen=True, slots=True)
class Release:
    """The job has been in this state for as long as the settings want; ``attempts`` had been made when it came in."""

    job: Job
    state: State
    attempts: int

    @property
    def holds(self) -> bool:
        """Whether the job is still there."""
        return self.job.state is self.state and len(self.job.attempts) == self.attempts


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The attempt has run for as long as it may."""

    job: Job
    attempt: Attempt

    @property
    def holds(self) -> bool:
        """Whether it still runs, and nobody has ended it already."""
        return self.job.current is self.attempt and self.job.stopping is None


@dataclass(frozen=True, slots=True)
class Begin:
    """The attempt has been RUNNING for as long as the settings want before its command begins."""

    job: Job
    attempt: Attempt

    @property
    def holds(self) -> bool:
        """Whether the attempt is still there, and nobody has ended it."""
        return self.job.current is self.attempt and self.job.stopping is None


@dataclass(frozen=True, slots=True)
class LastCall:
    """The attempt was asked to end, and has had its grace."""

    job: Job
    attempt: Attempt

    @property
    def holds(self) -> bool:
        """Whether it is still there."""
        return self.job.current is self.attempt


@dataclass(frozen=True, slots=True)
class Happening:
    """Something happens to running attempts that Batch did not ask for."""

    strike: Strike

    @property
    def holds(self) -> bool:
        """Whether there is anything to it is for the strike to say."""
        return True


@dataclass(frozen=True, slots=True)
class Reconsider:
    """What holds jobs RUNNABLE may have begun or ended."""

    @property
    def holds(self) -> bool:
        """Always: looking again does no harm."""
        return True


Deadline = Release | Begin | TimeLimit | LastCall | Happening | Reconsider

_SMALL: Final = 1000


class Deadlines:
    """Moments to come, soonest first."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Deadline]] = []
        self._ticket = count()
        self._sweep_at = _SMALL

    def add(self, when: float, deadline: Deadline) -> None:
        """Have something looked at when the time comes."""
        heapq.heappush(self._entries, (when, next(self._ticket), deadline))
        if len(self._entries) > self._sweep_at:
            self._sweep()

    @property
    def next(self) -> float | None:
        """The next moment at which something may have to be done."""
        while self._entries and not self._entries[0][2].holds:
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def due(self, now: float) -> Iterator[Deadline]:
        """Those whose time has come and that still hold, each looked at when it is reached."""
        while self._entries and self._entries[0][0] <= now:
            deadline = heapq.heappop(self._entries)[2]
            if deadline.holds:
                yield deadline

    def shift(self, seconds: float) -> None:
        """The clock has jumped by so many seconds: have everything due after the same time as before."""
        self._entries = [(when + seconds, ticket, deadline) for when, ticket, deadline in self._entries]

    def _sweep(self) -> None:
        self._entries = [entry for entry in self._entries if entry[2].holds]
        heapq.heapify(self._entries)
        self._sweep_at = max(_SMALL, 2 * len(self._entries))
