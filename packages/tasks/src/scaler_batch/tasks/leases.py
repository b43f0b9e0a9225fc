"""Signs of life, so that the jobs of a worker that died are ended by its next life.

A worker that is killed leaves jobs behind that nobody waits for. Each run therefore keeps a lease in the store, renewed
while it lives: whose it is, where it runs, which queues it uses. A worker that starts looks at the leases of its own
name. A run is dead when its process is gone, where that can be seen from here, or when its lease has not been renewed
for long. Its jobs are known by their names; they are ended, its objects removed, and last its lease.

Another worker's runs are never touched, and neither is one of the same name that lives.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from scaler_batch.aws import ServiceError
from scaler_batch.payload import Store
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import OBJECTS, OUTCOMES, PACKS
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.vocabulary import job_names

logger = logging.getLogger(__name__)

RENEWED: Final = 60.0
"""Seconds between two renewals."""

STALE: Final = 300.0
"""Seconds without renewal after which a run is taken to be dead."""

_REASON: Final = "the worker that submitted the job has died"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs, as far as others can find it again.

    Attributes:
        machine: Which machine, since which boot, and which of its process namespaces.
        pid: The process's number there.
        since: When it began, in the kernel's ticks since boot; numbers are used again.
    """

    machine: str
    pid: int
    since: int

    @classmethod
    def here(cls, pid: int | None = None) -> Self:
        """This process, or another that can be seen from it."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        number = os.getpid() if pid is None else pid
        # Behind the command's name, which may hold anything but a closing bracket and then a space.
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
        return cls(f"{boot} {os.readlink('/proc/self/ns/pid')}", number, int(fields[19]))

    def is_gone(self) -> bool | None:
        """Whether the process has ended; ``None`` where that cannot be seen from here."""
        if self.machine != Place.here().machine:
            return None
        try:
            return Place.here(self.pid) != self
        except OSError:
            return True


@dataclass(frozen=True, slots=True)
class Lease:
    """One run's sign of life.

    Attributes:
        place: Where its worker runs.
        queues: The queues it submits to.
        renewed: When it was renewed, in seconds since the epoch.
    """

    place: Place
    queues: tuple[str, ...]
    renewed: float

    def is_dead(self, now: float) -> bool:
        """Whether nobody will ever renew it."""
        gone = self.place.is_gone()
        return now - self.renewed > STALE if gone is None else gone

    def encode(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what :meth:`encode` wrote.

        Raises:
            ValueError: It is none.
        """
        try:
            entry: Any = json.loads(data)
            place = Place(str(entry["place"]["machine"]), int(entry["place"]["pid"]), int(entry["place"]["since"]))
            return cls(place, tuple(map(str, entry["queues"])), float(entry["renewed"]))
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a lease: {error!r}") from error


class Leases:
    """This run's lease, and those of the same worker's earlier runs.

    Args:
        store: Where leases lie; common to all runs.
        worker: Name of the worker.
        run_id: This run.
        queues: The queues it submits to.
        jobs: AWS Batch.
        objects_of: The store of another run, by its id.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        *,
        worker: str,
        run_id: str,
        queues: Sequence[str],
        jobs: JobService,
        objects_of: Callable[[str], Store],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._folder = quote(worker, safe="")
        self._run_id = run_id
        self._queues = tuple(queues)
        self._jobs = jobs
        self._objects_of = objects_of
        self._now = now

    async def run(self) -> None:
        """Renew the lease and look after dead runs, for as long as the worker lives."""
        while True:
            try:
                await self.renew()
                await self.sweep()
            except StoreError as error:
                logger.warning("the lease could not be renewed, trying again: %s", error)
            await asyncio.sleep(RENEWED)

    async def renew(self) -> None:
        """Say that this run lives."""
        lease = Lease(Place.here(), self._queues, self._now())
        await self._store.put(self._key(self._run_id), [lease.encode()])

    async def give_back(self) -> None:
        """Say that this run has ended in order."""
        try:
            await self._store.delete([self._key(self._run_id)])
        except StoreError as error:
            logger.warning("the lease stays until the bucket's lifecycle removes it: %s", error)

    async def sweep(self) -> None:
        """End what dead runs have left."""
        for key in await self._store.list(self._folder):
            run_id = key.rpartition("/")[2]
            if run_id != self._run_id and (lease := await self._dead(key)) is not None:
                await self._bury(run_id, lease)

    async def _dead(self, key: str) -> Lease | None:
        try:
            lease = Lease.decode(bytes(await self._store.get(key)))
        except (StoreError, ValueError) as error:
            logger.warning("lease %s cannot be read: %s", key, error)
            return None
        return lease if lease.is_dead(self._now()) else None

    async def _bury(self, run_id: str, lease: Lease) -> None:
        logger.warning("run %s of this worker died; ending its jobs", run_id)
        try:
            for queue in lease.queues:
                if left := await self._end(run_id, queue):
                    logger.warning("%d job(s) of run %s could not be ended yet", len(left), run_id)
                    return
            await self._clear(self._objects_of(run_id))
            await self._store.delete([self._key(run_id)])
        except (ServiceError, StoreError) as error:
            logger.warning("what run %s left could not be removed yet: %s", run_id, error)

    async def _end(self, run_id: str, queue: str) -> list[str]:
        found = await self._jobs.named(job_names(run_id), queue)
        logger.info("run %s: %d job(s) in queue %s", run_id, len(found), queue)
        return await self._jobs.terminate_many(found, _REASON) if found else []

    async def _clear(self, objects: Store) -> None:
        await objects.delete([key for folder in (OUTCOMES, PACKS, OBJECTS) for key in await objects.list(folder)])

    def _key(self, run_id: str) -> str:
        return f"{self._folder}/{run_id}"
