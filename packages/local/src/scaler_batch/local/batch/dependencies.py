"""``dependsOn``: which jobs have to succeed before another may start.

A dependency on a whole job holds back the job, or the array before its children exist. N_TO_N and SEQUENTIAL tie single
children: child *i* waits for child *i* of the other array, or for child *i* - 1 of its own.
"""

from __future__ import annotations

from .job import Job
from .table import JobTable
from .vocabulary import State

N_TO_N = "N_TO_N"


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
        for other in self._prerequisites(job):
            awaited = self._table.get(other)
            if awaited is None or awaited.state is State.SUCCEEDED:
                continue
            if awaited.state is State.FAILED:
                return False
            job.waiting_for.add(other)
            self._dependents.setdefault(other, []).append(job)
        return True

    def release(self, ended: Job) -> list[Job]:
        """Those that waited for a job that has just ended, and still wait for something or nothing else."""
        dependents = [job for job in self._dependents.pop(ended.id, []) if not job.terminal]
        for job in dependents:
            job.waiting_for.discard(ended.id)
        return dependents

    def _prerequisites(self, job: Job) -> list[str]:
        wanted = job.spec.depends_on
        if job.index is None:
            return [each.job_id for each in wanted if each.job_id is not None and each.kind != N_TO_N]
        tied = [f"{each.job_id}:{job.index}" for each in wanted if each.job_id is not None and each.kind == N_TO_N]
        if job.index > 0 and job.parent is not None and any(each.job_id is None for each in wanted):
            tied.append(f"{job.parent.id}:{job.index - 1}")
        return tied
