"""``dependsOn``: which jobs have to succeed before another may start.

A dependency on a whole job holds back the job, or the array before its children exist. N_TO_N and SEQUENTIAL tie single
children: child *i* waits for child *i* of the other array, or for child *i* - 1 of its own. The child that is awaited
need not exist yet, because its array may wait for something itself; when that array fails before it has children,
those that it would have had have failed.
"""

from __future__ import annotations

from typing import Final

from .job import Job
from .table import JobTable
from .vocabulary import State

N_TO_N: Final = "N_TO_N"
SEQUENTIAL: Final = "SEQUENTIAL"
KINDS: Final = (N_TO_N, SEQUENTIAL)


class Dependencies:
    """Who waits for whom.

    Args:
        table: Where the jobs are.
    """

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._dependents: dict[str, list[Job]] = {}

    def clear(self) -> None:
        """Nobody waits for anybody."""
        self._dependents.clear()

    def watch(self, job: Job) -> bool:
        """Note what a new job waits for. Returns False when one of those has already failed."""
        for other in dict.fromkeys(self._prerequisites(job)):
            state = self._state(other)
            if state is None or state is State.SUCCEEDED:
                continue
            if state is State.FAILED:
                return False
            job.waiting_for.add(other)
            self._dependents.setdefault(other, []).append(job)
        return True

    def release(self, ended: Job) -> list[Job]:
        """Those that waited for a job that has just ended, and still wait for something or nothing else."""
        released: list[Job] = []
        for job_id in (ended.id, *(f"{ended.id}:{index}" for index in _unborn(ended))):
            dependents = [job for job in self._dependents.pop(job_id, []) if not job.terminal]
            for job in dependents:
                job.waiting_for.discard(job_id)
            released += dependents
        return released

    def _state(self, job_id: str) -> State | None:
        """The state of a job; that of its array if it is a child to come; None if there is nothing to wait for."""
        job = self._table.get(job_id)
        if job is not None:
            return job.state
        array, _, index = job_id.rpartition(":")
        parent = self._table.get(array)
        return parent.state if parent is not None and int(index) in _unborn(parent) else None

    def _prerequisites(self, job: Job) -> list[str]:
        wanted = job.spec.depends_on
        if job.index is None:
            return [each.job_id for each in wanted if each.job_id is not None and each.kind != N_TO_N]
        tied = [f"{each.job_id}:{job.index}" for each in wanted if each.job_id is not None and each.kind == N_TO_N]
        if job.index > 0 and job.parent is not None and any(each.job_id is None for each in wanted):
            tied.append(f"{job.parent.id}:{job.index - 1}")
        return tied


def _unborn(job: Job) -> range:
    """The indices of the children that an array has not made yet."""
    made = job.index is not None or job.children is not None
    return range(0 if made else job.spec.array_size or 0)
