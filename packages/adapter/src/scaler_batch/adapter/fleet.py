"""The workers of a process: a fixed number of them, or as many as the scheduler's policy asks for.

In the second mode the process is a *worker manager* to the scheduler. Its heartbeats say how many workers it could run,
the scheduler's commands how many it should. A worker that has tasks is never stopped for being one too many; commands
are repeated, so its turn comes when it is idle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.settings import FleetSettings, WorkerSettings
from scaler_batch.tasks import Snapshot
from scaler_batch.wire import ConcurrencyDesired, ConnectionLostError, ManagerConnection, SchedulerSilent, TlsError

logger = logging.getLogger(__name__)


class Worker(Protocol):
    """What a fleet is made of."""

    run_id: str
    worker_id: str

    async def work(self, stop: asyncio.Event) -> None:
        """Work until told to stop."""

    def snapshot(self) -> Snapshot:
        """Look at its tasks."""


class Scaling:
    """How many workers there should be, with a rest before there are fewer.

    Args:
        settings: The limit and the rest.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._most = settings.workers
        self._cooldown = settings.cooldown
        self._fewer_since: float | None = None

    def decide(self, wanted: int, present: int, now: float) -> int:
        """Return how many workers there should be.

        Args:
            wanted: What the scheduler asks for.
            present: How many there are.
            now: Seconds on a clock that does not go back.
        """
        wanted = min(wanted, self._most)
        if wanted >= present:
            self._fewer_since = None
            return wanted
        if self._fewer_since is None:
            self._fewer_since = now
        return wanted if now - self._fewer_since >= self._cooldown else present


class Fleet:
    """The workers of a process.

    Args:
        settings: How many.
        hire: Makes a worker.
        scheduler: Its address, for messages.
    """

    def __init__(self, settings: FleetSettings, hire: Callable[[], Worker], scheduler: str) -> None:
        self._settings = settings
        self._scheduler = scheduler
        self._hire = hire
        self._members: dict[Worker, asyncio.Event] = {}
        self._leaving: set[Worker] = set()

    def __iter__(self) -> Iterator[Worker]:
        """All workers, also those that are leaving."""
        return iter(list(self._members))

    async def run(self, stop: asyncio.Event, manager: ManagerConnection | None = None) -> None:
        """Work until ``stop`` is set, or the scheduler wants no more, which sets it.

        Args:
            stop: The end.
            manager: The link by which the scheduler says how many there should be; ``None`` for a fixed number.
        """
        async with asyncio.TaskGroup() as group:
            listening = None
            if manager is None:
                self._grow(group, self._settings.workers, stop)
            else:
                listening = group.create_task(self._listen(group, manager, stop))
            await stop.wait()
            # The manager's goodbye is said meanwhile: the workers have a deadline to keep.
            if listening is not None:
                listening.cancel()
            for told in self._members.values():
                told.set()

    async def _listen(self, group: asyncio.TaskGroup, manager: ManagerConnection, stop: asyncio.Event) -> None:
        scaling = Scaling(self._settings)
        try:
            async with manager:
                logger.info("waiting for the scheduler to ask for workers, %d at most", self._settings.workers)
                async for event in manager:
                    if isinstance(event, SchedulerSilent):
                        raise SchedulerLostError(f"the scheduler has not answered for {event.seconds:.0f} s; giving up")
                    if isinstance(event, ConcurrencyDesired):
                        now = asyncio.get_running_loop().time()
                        self._adjust(group, scaling.decide(event.workers, self._present, now), stop)
        except TlsError:
            raise
        except ConnectionLostError as error:
            raise SchedulerLostError.unreachable(self._scheduler, error) from error

    @property
    def _present(self) -> int:
        return len(self._members) - len(self._leaving)

    def _adjust(self, group: asyncio.TaskGroup, target: int, stop: asyncio.Event) -> None:
        self._grow(group, target - self._present, stop)
        for worker, told in self._members.items():
            if self._present > target and worker not in self._leaving and not worker.snapshot().tasks:
                logger.info("one worker less: %d of %d stay", target, self._present)
                self._leaving.add(worker)
                told.set()

    def _grow(self, group: asyncio.TaskGroup, number: int, stop: asyncio.Event) -> None:
        for _ in range(number):
            worker = self._hire()
            self._members[worker] = asyncio.Event()
            group.create_task(self._employ(worker, self._members[worker], stop))

    async def _employ(self, worker: Worker, told: asyncio.Event, stop: asyncio.Event) -> None:
        try:
            await worker.work(told)
            # Not told by us: the scheduler wants no more of any of us.
            if not told.is_set():
                stop.set()
        finally:
            del self._members[worker]
            self._leaving.discard(worker)


def manager_link(settings: WorkerSettings, fleet: FleetSettings) -> ManagerConnection | None:
    """The link of a worker manager; ``None`` where the number of workers is fixed."""
    if fleet.mode == "fixed":
        return None
    return ManagerConnection(
        settings.scheduler_address,
        settings.manager_id,
        max_workers=fleet.workers,
        capabilities=settings.announced_at_most(),
        settings=settings.link,
    )
