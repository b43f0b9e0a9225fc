"""What the scheduler is told of this worker's state."""

from __future__ import annotations

import socket
from collections.abc import Callable

import psutil

from scaler_batch.tasks import Snapshot
from scaler_batch.wire import Resource, WorkerHeartbeat


class HeartbeatManager:
    """Composes heartbeats; the connection sends them when they are due.

    Args:
        queue_size: How many tasks the scheduler may keep at this worker. It fixes this with the first heartbeat.
        snapshot: Looks at the task manager.
    """

    def __init__(self, queue_size: int, snapshot: Callable[[], Snapshot]) -> None:
        self._queue_size = queue_size
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
            queue_size=self._queue_size,
            queued_tasks=self._snapshot().tasks,
            memory_limit=memory.total,
            hostname=self._hostname,
        )
