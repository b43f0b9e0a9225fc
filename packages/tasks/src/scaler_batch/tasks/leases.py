"""Signs of life, so that the jobs of a worker that died are ended by its next life.

A worker that is killed leaves jobs behind that nobody waits for. Each run therefore keeps a lease in the store, renewed
while it lives: where it runs, which queues it uses. A worker looks at the leases of its own name. A run is dead when
its process is gone, where that can be seen from here, or when we have watched its lease for long and it was not
renewed. The jobs of a dead run are known by their names; they are ended, its objects removed, and last its lease.

**Only the store's clock counts.** When a lease was renewed is when the store has taken it, and what time it is now is
when the store has taken ours, a moment before. What a lease says of time, and what clocks of ours show, does not
matter. We watch only while we are awake: whoever shares our machine slept when we did, and has yet to renew.

**Whose a run is** is part of its id, and so of its jobs' names, which nobody can change. A lease that lies among those
of another worker is passed over. Jobs cannot write leases (their role says so), but others may; so nothing in one is
believed before it is checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NamedTuple, Protocol, Self
from urllib.parse import quote

from scaler_batch.aws import ServiceError
from scaler_batch.payload import ObjectInfo, Store
from scaler_batch.payload.errors import ContractError, StoreError
from scaler_batch.tasks.cleanup import purge
from scaler_batch.tasks.errors import SettingsError
from scaler_batch.tasks.models import job_names
from scaler_batch.tasks.outages import Reminder
from scaler_batch.tasks.ports import JobService

logger = logging.getLogger(__name__)

RENEWED: Final = 60.0
"""Seconds between two renewals."""

STALE: Final = 300.0
"""Seconds for which we have to see a lease unchanged before its run is taken to be dead."""

AWAY: Final = 150.0
"""Seconds between two looks after which we have slept, and begin to watch anew."""

MAX_LEASE: Final = 64 * 1024
"""Bytes of a lease at most; one has some hundreds."""

_MOST_LEASES: Final = 1000
"""Leases of others that one look reads; of more, any so many."""

_MAX_PID: Final = 2**32
_MAX_TICKS: Final = 2**63
_MAX_MACHINE: Final = 512
_MAX_QUEUES: Final = 1000
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}|arn:[A-Za-z0-9:/_-]{1,512}")
_RUN_ID: Final = re.compile(r"(\d{8}T\d{6}-[0-9a-f]{8})([0-9a-f]{8})")

LONGEST_NAME: Final = 64
"""Characters of a worker's name at most."""

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
    """

    place: Place
    queues: tuple[str, ...]

    def encode(self) -> bytes:
        """Write it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what :meth:`encode` wrote.

        Raises:
            ValueError: It is none.
        """
        if len(data) > MAX_LEASE:
            raise ValueError(f"a lease of {len(data)} bytes; {MAX_LEASE} are allowed")
        try:
            entry = _fields(json.loads(data, parse_constant=_refuse_constant), "place", "queues")
            place = _fields(entry["place"], "machine", "pid", "since")
            return cls(
                Place(
                    _text(place["machine"], _MAX_MACHINE),
                    _whole(place["pid"], 1, _MAX_PID),
                    _whole(place["since"], 0, _MAX_TICKS),
                ),
                tuple(_queue(each) for each in _items(entry["queues"])),
            )
        except RecursionError as error:
            raise ValueError("not a lease: lists within lists") from error


def check_worker_name(name: str) -> None:
    """Refuse a name that cannot be a folder of leases and a part of a worker's id.

    Raises:
        SettingsError: It cannot; says what can.
    """
    if (
        not name.isprintable()
        or re.search(r"[\s/|]", name)
        or not 1 <= len(name) <= LONGEST_NAME
        or name in (".", "..")
    ):
        raise SettingsError(f"{name!r} cannot be the name of a worker; take {NAMES}")


NAMES: Final = f"1 to {LONGEST_NAME} printable characters without spaces, '/' or '|', other than '.' and '..'"
"""What a worker's name may be, in words."""


def new_run_id(worker: str) -> str:
    """Make an id for a run: when it began, something that no other has, and whose it is."""
    own = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
    return own + _mark(worker, own)


def is_run_of(worker: str, run_id: str) -> bool:
    """Whether an id was made for a run of this worker."""
    match = _RUN_ID.fullmatch(run_id)
    return match is not None and match[2] == _mark(worker, match[1])


def _mark(worker: str, own: str) -> str:
    return hashlib.sha256(f"{own} {worker}".encode()).hexdigest()[:8]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"not a text of {most} characters at most")
    return value


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"not a whole number from {least} to {most}")
    return value


def _fields(value: Any, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ValueError(f"not an object of {', '.join(names)}")
    return value


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_QUEUES:
        raise ValueError(f"not a list of {_MAX_QUEUES} queues at most")
    return value


def _queue(value: Any) -> str:
    if not isinstance(value, str) or not _QUEUE.fullmatch(value):
        raise ValueError("not the name of a queue")
    return value


class RunStores(Protocol):
    """Where the objects of other runs of the same worker lie."""

    def of(self, run_id: str) -> Store:
        """The store of a run; :class:`~scaler_batch.payload.errors.ContractError` where that is not a run's id."""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Whose lease it is.

    Attributes:
        worker: Name of the worker.
        run_id: Its run.
        queues: The queues it submits to.
    """

    worker: str
    run_id: str
    queues: Sequence[str]


class Watch(NamedTuple):
    """How long a lease has been seen as it is, by the store's clock.

    Attributes:
        stored_at: When it was stored.
        since: When it was first seen so.
    """

    stored_at: float
    since: float


def _watched(before: Watch | None, stored_at: float, now: float) -> Watch:
    return before if before is not None and before.stored_at == stored_at else Watch(stored_at, now)


class Leases:
    """This run's lease, and those of the same worker's earlier runs.

    Args:
        store: Where leases lie; common to all runs.
        holder: Whose lease this run's is.
        jobs: AWS Batch.
        runs: Where the objects of other runs lie.
        clock: Seconds that only go forward, to tell when to complain again.

    Raises:
        SettingsError: The worker's name cannot be used.
    """

    def __init__(
        self,
        store: Store,
        *,
        holder: LeaseHolder,
        jobs: JobService,
        runs: RunStores,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_worker_name(holder.worker)
        self._store = store
        self._worker = holder.worker
        self._folder = quote(holder.worker, safe="")
        self._run_id = holder.run_id
        self._queues = tuple(holder.queues)
        self._jobs = jobs
        self._runs = runs
        self._clock = clock
        self._looked_at = 0.0
        self._standing: dict[str, Watch] = {}
        self._unreadable: set[str] = set()
        self._reminder = Reminder()

    async def run(self) -> None:
        """Renew the lease and look after dead runs, for as long as the worker lives."""
        while True:
            try:
                await self.renew()
                await self.sweep()
                self._reminder = Reminder()
            except StoreError as error:
                if self._reminder.is_due(self._clock()):
                    logger.warning("the lease could not be renewed, trying again: %s", error)
            await asyncio.sleep(RENEWED)

    async def renew(self) -> None:
        """Say that this run lives."""
        lease = Lease(Place.here(), self._queues)
        await self._store.put(self._key(self._run_id), [lease.encode()])

    async def give_back(self) -> None:
        """Say that this run has ended in order."""
        try:
            await self._store.delete([self._key(self._run_id)])
        except StoreError as error:
            logger.warning("the lease stays until the bucket's lifecycle removes it: %s", error)

    async def sweep(self) -> None:
        """End what dead runs have left. To be called when the lease was renewed: that tells the time."""
        infos = await self._store.infos(self._folder)
        self._watch(infos)
        others = [key for key in infos if key != self._key(self._run_id)]
        for key in random.sample(others, min(len(others), _MOST_LEASES)):
            run_id = key.rpartition("/")[2]
            if key != self._key(run_id) or not is_run_of(self._worker, run_id):
                self._pass_over(key, "this is not the name of a run of this worker")
            elif infos[key].size > MAX_LEASE:
                self._pass_over(key, f"it has {infos[key].size} bytes")
            elif (lease := await self._read(key)) is not None and self._is_dead(key, lease):
                await self._bury(run_id, lease)

    def _watch(self, infos: Mapping[str, ObjectInfo]) -> None:
        """Take note of how long each lease has stood, by the store's clock; of nothing where that cannot be told."""
        if (ours := infos.get(self._key(self._run_id))) is None:
            self._standing = {}
            return
        now = ours.stored_at
        before = self._standing if now - self._looked_at <= AWAY else {}
        self._looked_at = now
        self._standing = {key: _watched(before.get(key), info.stored_at, now) for key, info in infos.items()}

    async def _read(self, key: str) -> Lease | None:
        try:
            return Lease.decode(bytes(await self._store.get(key)))
        except (StoreError, ValueError) as error:
            self._pass_over(key, error)
            return None

    def _pass_over(self, key: str, why: object) -> None:
        """Leave alone what is no lease, and say so the first time."""
        if not self._unreadable:
            logger.warning("lease %r cannot be read and is passed over, as will be others like it: %s", key, why)
        self._unreadable.add(key)

    def _is_dead(self, key: str, lease: Lease) -> bool:
        """Whether nobody will ever renew a lease."""
        gone = lease.place.is_gone()
        if gone is not None:
            return gone
        watch = self._standing.get(key)
        return watch is not None and self._looked_at - watch.since >= STALE

    async def _bury(self, run_id: str, lease: Lease) -> None:
        logger.warning("run %s of this worker died; ending its jobs", run_id)
        try:
            for queue in lease.queues:
                if left := await self._end(run_id, queue):
                    logger.warning("%d job(s) of run %s could not be ended yet", len(left), run_id)
                    return
            await purge(self._runs.of(run_id))
            await self._store.delete([self._key(run_id)])
        except (ServiceError, StoreError, ContractError) as error:
            logger.warning("what run %s left could not be removed yet: %s", run_id, error)

    async def _end(self, run_id: str, queue: str) -> list[str]:
        found = await self._jobs.named(job_names(run_id), queue)
        logger.info("run %s: %d job(s) in queue %s", run_id, len(found), queue)
        return await self._jobs.terminate_many(found, _REASON) if found else []

    def _key(self, run_id: str) -> str:
        return f"{self._folder}/{run_id}"
