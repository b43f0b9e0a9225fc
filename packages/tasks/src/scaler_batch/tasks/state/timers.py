"""When the state has to hear of the time."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import NamedTuple


class Timer(NamedTuple):
    """What is due at some time.

    Attributes:
        name: What it is for.
        number: Which of those, where there are several.
    """

    name: str
    number: int = 0


class Timers:
    """One moment for each timer that is set."""

    def __init__(self) -> None:
        self._moments: dict[Timer, float] = {}
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()

    def set(self, timer: Timer, when: float) -> None:
        """Let a timer be due at a moment, in place of the one it was set for."""
        self._moments[timer] = when
        heapq.heappush(self._heap, (when, next(self._order), timer))

    def advance(self, timer: Timer, when: float) -> None:
        """Let a timer be due at a moment, unless it is due before."""
        if self._moments.get(timer, math.inf) > when:
            self.set(timer, when)

    def clear(self, timer: Timer) -> None:
        """Let a timer not be due at all."""
        self._moments.pop(timer, None)

    def moment(self, timer: Timer) -> float:
        """When a timer is due; infinity if it is not set."""
        return self._moments.get(timer, math.inf)

    @property
    def next(self) -> float:
        """When the next timer is due; infinity if none is set."""
        heap = self._heap
        while heap and self._moments.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def take_due(self, now: float) -> list[Timer]:
        """Clear all timers that are due and return them, the earliest first. Those set meanwhile wait for the next."""
        due: list[Timer] = []
        while self.next <= now:
            timer = heapq.heappop(self._heap)[2]
            del self._moments[timer]
            due.append(timer)
        return due
