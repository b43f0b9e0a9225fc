"""The order in which waiting tasks leave: higher priority first, first come first served within one.

Only tasks of one shape can share an array, so there is a queue for each shape, and the shape whose first task is first
of all goes next.
"""

from __future__ import annotations

import heapq
from itertools import count

from scaler_batch.aws import JobShape
from scaler_batch.tasks.lifecycle import Task

_Entry = tuple[int, int, Task]


class Backlog:
    """Tasks at the first stage, in the order in which they are to go.

    A cancelled task is not searched for but passed over when its turn comes: the ledger no longer holds it, and whoever
    took it from here finds that out by moving it on.

    Args:
        shape: That of tasks that name none.
    """

    def __init__(self, shape: JobShape) -> None:
        self._shape = shape
        self._heaps: dict[JobShape, list[_Entry]] = {}
        self._arrivals = count()

    def put(self, task: Task) -> None:
        """Let a task wait for its turn."""
        heap = self._heaps.setdefault(task.request.shape or self._shape, [])
        heapq.heappush(heap, (-task.request.priority, next(self._arrivals), task))

    def next_shape(self) -> JobShape | None:
        """The shape of the task that goes next; ``None`` when none waits."""
        return min(self._heaps, key=lambda shape: self._heaps[shape][0], default=None)

    def waiting(self, shape: JobShape) -> int:
        """How many tasks of a shape wait, those that were cancelled meanwhile among them."""
        return len(self._heaps.get(shape, ()))

    def peek(self, shape: JobShape) -> Task | None:
        """The next task of a shape; ``None`` when none waits."""
        heap = self._heaps.get(shape)
        return heap[0][2] if heap else None

    def pop(self, shape: JobShape) -> Task | None:
        """Remove and return the next task of a shape; ``None`` when none waits."""
        heap = self._heaps.get(shape)
        if not heap:
            return None
        task = heapq.heappop(heap)[2]
        if not heap:
            del self._heaps[shape]
        return task
