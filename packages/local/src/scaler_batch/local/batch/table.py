"""Every job that is remembered, by id and by queue; and how the old ones are forgotten.

AWS shows a job for at least a day after its end. Here the measure is a number of jobs, because what matters on one
machine is memory: when more jobs have finished than are to be kept, the ones that finished first are dropped, an
array as a whole. A bound on the time is possible, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .job import Job


class JobTable:
    """The sole owner of which jobs exist.

    Args:
        keep_finished: Finished jobs to remember; each child of an array counts.
        keep_seconds: Seconds to remember a finished job at most; None for no such bound.
    """

    def __init__(self, keep_finished: int, keep_seconds: float | None = None) -> None:
        self._keep = keep_finished
        self._keep_seconds = keep_seconds
        self._jobs: dict[str, Job] = {}
        self._by_queue: dict[str, dict[str, Job]] = {}
        self._finished: deque[Job] = deque()
        self._finished_size = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def add(self, job: Job) -> None:
        """Remember a job that was submitted, or a child of one."""
        self._jobs[job.id] = job
        if job.parent is None:
            self._by_queue.setdefault(job.spec.queue, {})[job.id] = job

    def get(self, job_id: str) -> Job | None:
        """The job of this id, if it is remembered."""
        return self._jobs.get(job_id)

    def in_queue(self, queue: str) -> list[Job]:
        """What was submitted to a queue, oldest first; children are not among them."""
        return list(self._by_queue.get(queue, {}).values())

    def retire(self, job: Job) -> list[Job]:
        """A submitted job is over. Returns the jobs that are forgotten for it, children included."""
        self._finished.append(job)
        self._finished_size += _size(job)
        forgotten: list[Job] = []
        while self._finished_size > self._keep and len(self._finished) > 1:
            forgotten += self._forget(self._finished.popleft())
        return forgotten

    @property
    def next_expiry(self) -> float | None:
        """When the next finished job has been remembered long enough."""
        if self._keep_seconds is None or not self._finished:
            return None
        return (self._finished[0].stopped_at or 0.0) + self._keep_seconds

    def expire(self, now: float) -> list[Job]:
        """Forget what has been remembered long enough. Returns those jobs, children included."""
        forgotten: list[Job] = []
        while (due := self.next_expiry) is not None and due <= now:
            forgotten += self._forget(self._finished.popleft())
        return forgotten

    def _forget(self, job: Job) -> list[Job]:
        self._finished_size -= _size(job)
        gone = job.family()
        for each in gone:
            del self._jobs[each.id]
        of_queue = self._by_queue[job.spec.queue]
        del of_queue[job.id]
        if not of_queue:
            del self._by_queue[job.spec.queue]
        return gone


def _size(job: Job) -> int:
    return len(job.family())
