"""What the scheduler is told of this worker's state."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psutil

from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.tasks import Snapshot
from scaler_batch.wire import Resource, WorkerHeartbeat


class HeartbeatManager:
    """Composes heartbeats; the connection sends them when they are due.

    Args:
        settings: Queue size and capabilities, which the first heartbeat fixes, and whose worker it is.
        snapshot: Looks at the task manager.
        table: The capability whose link it is; ``None`` for the link of all tasks.
    """

    def __init__(self, settings: WorkerSettings, snapshot: Callable[[], Snapshot], table: str | None = None) -> None:
        self._settings = settings
        self._capabilities = settings.announced(table)
        self._snapshot = snapshot
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._hostname = socket.gethostname()

    def __call__(self) -> WorkerHeartbeat:
        """Compose a heartbeat with the state of now."""
        with self._process.oneshot():
            cpu, rss = self._process.cpu_percent(), self._process.memory_info().rss
        memory = psutil.virtual_memory()
        return WorkerHeartbeat(
            agent=Resource(cpu=round(cpu * 10), rss=rss),
            rss_free=memory.available,
            queue_size=self._settings.queue_size,
            queued_tasks=self._snapshot().tasks,
            capabilities=self._capabilities,
            manager_id=self._settings.manager_id,
            memory_limit=memory.total,
            hostname=self._hostname,
        )
