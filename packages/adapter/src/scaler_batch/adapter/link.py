"""The link to the scheduler, with what only the adapter wants to know of it."""

from __future__ import annotations

from scaler_batch.wire import WorkerConnection


class SchedulerLink(WorkerConnection):
    """A worker's link that also tells which tasks wait for an answer."""

    @property
    def open_tasks(self) -> frozenset[bytes]:
        """The ids of the tasks that the scheduler has given us and that are not answered."""
        return self._session.open_tasks
