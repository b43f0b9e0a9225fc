"""The task manager, asked also which job runs a task."""

from __future__ import annotations

from dataclasses import dataclass

from scaler_batch.tasks import AWSHPCTaskManager


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a task runs.

    Attributes:
        job_id: AWS Batch's id of its job.
        tasks: How many tasks the job was given.
    """

    job_id: str
    tasks: int


class LocatingTaskManager(AWSHPCTaskManager):
    """A task manager that also tells where its tasks run."""

    def seat_of(self, task_id: bytes) -> Seat | None:
        """The job that runs a task; ``None`` before there is one and after it is over."""
        task = self._ledger.get(task_id)
        job = self._flight.find(task.job) if task is not None and task.job is not None else None
        return None if job is None else Seat(job.job_id, job.size)
