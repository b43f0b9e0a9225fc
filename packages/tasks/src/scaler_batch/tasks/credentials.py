"""Credentials that AWS refuses are waited for.

Somebody's session has ended, and they will sign in again: no task is lost to that, and no job is ended. A call that
fails for want of credentials is held here and tried again, whichever stage has made it, until AWS takes it or the
settings' patience is over; then its error is raised. One object knows whether credentials are good and since when they
are not, so the log says it once, and says it again ever more rarely.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from scaler_batch.aws import JobReport, JobSpec, ServiceError
from scaler_batch.payload import ObjectInfo, Store
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.outages import Reminder
from scaler_batch.tasks.ports import JobService
from scaler_batch.tasks.retrying import Backoff

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

PATIENCE: Final = 86_400.0
"""Seconds to wait for credentials: somebody signs in again in the morning."""

_BACKOFF: Final = Backoff(first=0.5, longest=30.0, within=math.inf)
"""When to try a call again: within half a minute of their renewal."""


@dataclass
class _Refusal:
    """A service that does not take our credentials.

    Attributes:
        since: When that was first seen.
        latest: When a call that was refused was made last.
        over: Set when the service takes them again.
    """

    since: float
    latest: float
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Credentials:
    """Whether AWS takes our credentials.

    Args:
        patience: Seconds to wait for new ones before a call fails for want of them.
        clock: Seconds that only go forward.
    """

    def __init__(self, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._refusals: dict[str, _Refusal] = {}
        self._reminder = Reminder()

    def refused_for(self) -> float:
        """Seconds for which AWS has refused them; 0 while it takes them."""
        now = self._clock()
        return max((now - refusal.since for refusal in self._refusals.values()), default=0.0)

    async def hold(self, service: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call, as often as it takes until its credentials are good.

        Args:
            service: Who is called.
            call: Makes the call.

        Raises:
            StoreError, ServiceError: It failed for another reason, or credentials did not come in time.
        """
        waits = _BACKOFF.waits()
        while True:
            made = self._clock()
            try:
                answer = await call()
            except (StoreError, ServiceError) as error:
                if not error.awaits_credentials:
                    raise
                refusal = self._refuse(service, error, made)
                if self._clock() - refusal.since >= self._patience:
                    raise
            else:
                self._accept(service, made)
                return answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(waits)):
                    await refusal.over.wait()

    def _refuse(self, service: str, error: Exception, made: float) -> _Refusal:
        now = self._clock()
        if not self._refusals:
            self._reminder = Reminder()
        refusal = self._refusals.setdefault(service, _Refusal(now, made))
        refusal.latest = max(refusal.latest, made)
        if self._reminder.is_due(now):
            logger.error(
                "%s refuses the AWS credentials (%.0f s by now); tasks and jobs are kept, and all goes on by itself "
                "when the credentials are renewed: %s",
                service, now - refusal.since, error,
            )  # fmt: skip
        return refusal

    def _accept(self, service: str, made: float) -> None:
        refusal = self._refusals.get(service)
        # A call that was made before the refusal proves nothing about now.
        if refusal is None or made <= refusal.latest:
            return
        seconds = self.refused_for()
        del self._refusals[service]
        refusal.over.set()
        if not self._refusals:
            logger.info("AWS takes the credentials again, after %.0f s", seconds)


class PatientStore:
    """A store whose calls wait for credentials.

    Args:
        store: Which.
        credentials: Knows whether they are good.
    """

    def __init__(self, store: Store, credentials: Credentials) -> None:
        self._store = store
        self._credentials = credentials

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        await self._hold(lambda: self._store.put(key, data))

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        return await self._hold(lambda: self._store.get(key))

    async def renew(self, key: str) -> None:
        """Have an object count as stored now."""
        await self._hold(lambda: self._store.renew(key))

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return await self._hold(lambda: self._store.list(prefix))

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, with what is known of each object."""
        return await self._hold(lambda: self._store.infos(prefix))

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        await self._hold(lambda: self._store.delete(keys))

    async def _hold(self, call: Callable[[], Awaitable[_T]]) -> _T:
        return await self._credentials.hold("S3", call)


class PatientJobs:
    """A job service whose calls wait for credentials.

    Args:
        jobs: Which.
        credentials: Knows whether they are good.
    """

    def __init__(self, jobs: JobService, credentials: Credentials) -> None:
        self._jobs = jobs
        self._credentials = credentials

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were made, by operation."""
        return self._jobs.calls

    async def submit(self, job: JobSpec) -> str:
        """Submit a job and return its id."""
        return await self._hold(lambda: self._jobs.submit(job))

    async def find(self, name: str, queue: str) -> str | None:
        """Return the id of the job that was submitted under this name, if there is one."""
        return await self._hold(lambda: self._jobs.find(name, queue))

    async def named(self, prefix: str, queue: str) -> list[str]:
        """Return the ids of jobs that are not over, by the beginning of their names."""
        return await self._hold(lambda: self._jobs.named(prefix, queue))

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report on jobs."""
        return await self._hold(lambda: self._jobs.describe(job_ids))

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report on the children of an array that have failed."""
        return await self._hold(lambda: self._jobs.failed_children(job_id))

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job."""
        await self._hold(lambda: self._jobs.terminate(job_id, reason))

    async def terminate_many(self, job_ids: Sequence[str], reason: str) -> list[str]:
        """End many jobs; return the ids that are to be tried again."""
        return await self._hold(lambda: self._jobs.terminate_many(job_ids, reason))

    async def tail(self, report: JobReport, lines: int) -> tuple[str, ...]:
        """Return the last lines of a job's log. Not waited for: nobody misses them who hears of a failure in time."""
        return await self._jobs.tail(report, lines)

    async def _hold(self, call: Callable[[], Awaitable[_T]]) -> _T:
        return await self._credentials.hold("AWS Batch", call)
