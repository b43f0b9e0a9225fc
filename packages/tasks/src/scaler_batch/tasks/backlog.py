"""The order in which waiting tasks leave: higher priority first, first come first served within one."""

from __future__ import annotations

import heapq
from itertools import count

from scaler_batch.tasks.lifecycle import Task


class Backlog:
    """Tasks at the first stage, in the order in which they are to go.

    A cancelled task is not searched for but passed over when its turn comes: the ledger no longer holds it, and whoever
    took it from here finds that out by moving it on.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Task]] = []
        self._arrivals = count()

    def put(self, task: Task) -> None:
        """Let a task wait for its turn."""
        heapq.heappush(self._heap, (-task.request.priority, next(self._arrivals), task))

    def pop(self) -> Task | None:
        """Remove and return the next task; ``None`` when none waits."""
        return heapq.heappop(self._heap)[2] if self._heap else None
