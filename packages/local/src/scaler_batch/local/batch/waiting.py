"""The RUNNABLE jobs of each queue, in the order in which they were submitted.

First in, first out, and strictly so: a job that cannot start yet holds up those behind it, as a blocked head of the
queue does on AWS. Jobs that leave RUNNABLE by another door (cancelled) are dropped when they come to the front.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from .job import Job
from .vocabulary import State

_Entry = tuple[int, int, Job]


class WaitingLine:
    """The jobs that could start."""

    def __init__(self) -> None:
        self._queues: dict[str, list[_Entry]] = {}

    def add(self, job: Job) -> None:
        """A job has become RUNNABLE."""
        entry = (job.order, job.index or 0, job)
        heapq.heappush(self._queues.setdefault(job.spec.queue, []), entry)

    def queues(self) -> list[str]:
        """The queues in which a job waits."""
        return [queue for queue in list(self._queues) if self.head(queue) is not None]

    def head(self, queue: str) -> Job | None:
        """The job that is next in this queue."""
        entries = self._queues.get(queue, [])
        while entries:
            if entries[0][2].state is State.RUNNABLE:
                return entries[0][2]
            heapq.heappop(entries)
        self._queues.pop(queue, None)
        return None

    def count(self, queue: str) -> int:
        """How many jobs wait in this queue, those included that will be dropped when they come to the front."""
        return len(self._queues.get(queue, ()))

    def pop(self, queue: str) -> Job:
        """Take the head out; there must be one."""
        return heapq.heappop(self._queues[queue])[2]

    def take_all(self) -> list[Job]:
        """Take every waiting job out."""
        taken = [job for entries in self._queues.values() for _, _, job in entries if job.state is State.RUNNABLE]
        self._queues.clear()
        return taken

    def in_order(self, queue: str) -> Iterator[Job]:
        """The waiting jobs of a queue, first first."""
        return (job for _, _, job in sorted(self._queues.get(queue, [])) if job.state is State.RUNNABLE)
