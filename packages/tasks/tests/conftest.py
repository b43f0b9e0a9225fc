"""A task manager with doubles all around, on the event loop's clock."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import pytest

from scaler_batch.aws import JobShape
from scaler_batch.payload import Call, JobSeal, RunLocation
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks import AWSHPCTaskManager, Polling, TaskManagerSettings, TaskRequest, renewal
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.testing import FakeJobService, Fault, FaultyStore, MemoryInputs, RecordingSink, Stall


class Store(FaultyStore):
    """Fails calls by a count as well, and has a lifecycle that spares nobody for a midnight.

    Attributes:
        broken: How many calls of each operation fail.
        lifespan: Seconds after which what was stored is removed.
        renewed: What was renewed, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.broken: Counter[str] = Counter()
        self.lifespan = math.inf
        self.renewed: list[str] = []
        self.stored: dict[str, float] = {}

    async def put(self, key: str, data: Pieces) -> None:
        await super().put(key, data)
        self.stored[key] = asyncio.get_running_loop().time()

    async def renew(self, key: str) -> None:
        await super().renew(key)
        self.stored[key] = asyncio.get_running_loop().time()
        self.renewed.append(key)

    def expire(self) -> None:
        """Remove what is too old; happens before each call, too."""
        oldest = asyncio.get_running_loop().time() - self.lifespan
        for key in [key for key, stored in self.stored.items() if stored <= oldest]:
            self.objects.pop(key, None)

    async def _strike(self, operation: str) -> None:
        self.expire()
        await super()._strike(operation)
        if self.broken[operation] > 0:
            self.broken[operation] -= 1
            raise StoreError(f"503 on {operation}", key="", retryable=True)


class Bench:
    """A task manager and everything around it."""

    def __init__(
        self,
        *,
        run: Callable[[Call], Buffer] | None = None,
        seconds: float = 0.0,
        work: Callable[[Call], float] = lambda _: 0.0,
        latency: float = 0.0,
        grace: float = 0.0,
        faults: Iterable[Fault] = (),
        max_concurrent_jobs: int = 100,
        tasks_per_job: int | Literal["auto"] = 1,
        processes: int = 0,
        inline_limit: int = 5376,
        object_threshold: int = 1024 * 1024,
        transfers: int = 16,
        polling: Polling | None = None,
        backoff: Backoff | None = None,
        **others: Any,
    ) -> None:
        self.store = Store()
        self.inputs = MemoryInputs()
        self.sink = RecordingSink()
        self.jobs = FakeJobService(
            self.store,
            run=run,
            seconds=seconds,
            work=work,
            latency=latency,
            grace=grace,
            faults=faults,
            payload_key=others.get("payload_key"),
        )
        self.settings = TaskManagerSettings(
            "queue",
            "definition",
            max_concurrent_jobs=max_concurrent_jobs,
            tasks_per_job=tasks_per_job,
            processes=processes,
            inline_limit=inline_limit,
            object_threshold=object_threshold,
            transfers=transfers,
            polling=polling or Polling(),
            backoff=backoff or Backoff(),
            **others,
        )
        self.manager = AWSHPCTaskManager(
            self.settings,
            RunLocation("bucket", "runs", "run-1", "eu-west-1"),
            jobs=self.jobs,
            store=self.store,
            inputs=self.inputs,
            sink=self.sink,
        )

    @property
    def shape(self) -> JobShape:
        """That of tasks that name none."""
        return self.settings.shape

    def request(self, name: str, *arguments: bytes, priority: int = 0) -> TaskRequest:
        # The pack knows no names; what the fake runs is told apart by an argument of its own.
        call = Call(b"serializer", b"function", (*arguments, name.encode()))
        return self.inputs.request(name.encode(), call, priority=priority)

    def ask(self, name: str, *arguments: bytes, priority: int = 0) -> TaskRequest:
        """Submit a task, which must be taken on."""
        request = self.request(name, *arguments, priority=priority)
        assert self.manager.submit(request)
        return request

    def seal(self, sequence: int, child: int | None = None) -> JobSeal:
        """What a job signs with."""
        return next(job.seal for job in self.jobs.jobs if (job.sequence, job.index) == (sequence, child))

    def outcome(self, sequence: int, child: int | None = None, first: int = 0) -> str:
        """Where a job puts the outcomes that begin with a call."""
        return self.seal(sequence, child).outcome_key(first)

    def put(self, sequence: int, envelope: bytes, child: int | None = None, first: int = 0) -> str:
        """Put something there that the job has signed, whatever it is."""
        seal = self.seal(sequence, child)
        key = seal.outcome_key(first)
        self.store.objects[key] = b"".join(seal.sign(key, [envelope]))
        return key

    def names(self, job_id: str) -> list[str]:
        """The tasks of a submission, in order of its jobs."""
        return [
            bytes(call.arguments[-1]).decode() for job in self.jobs.submissions[job_id].jobs for call in job.calls or ()
        ]

    def answered(self) -> list[str]:
        """The tasks answered so far, in order."""
        return [request.task_id.decode() for request, _ in self.sink.announced]

    async def submitted(self, count: int = 1) -> None:
        """Wait until AWS Batch has taken so many submissions and the manager knows."""
        await self.jobs.has_taken(count)
        await asyncio.sleep(0.001)

    async def array(self, count: int) -> str:
        """Submit an array of so many tasks, named t0, t1, …, and return its id."""
        stall = Stall()
        self.jobs.faults.append(stall)
        before = len(self.jobs.submissions)
        self.ask("first")
        await asyncio.sleep(0.01)
        for number in range(count):
            self.ask(f"t{number}")
        stall.until.set()
        await self.submitted(before + 2)
        self.jobs.succeed(f"job-{before + 1}")
        await self.sink.answers(1)
        return f"job-{before + 2}"


Benches = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture(autouse=True)
def day_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day goes on as the event loop's does."""
    monkeypatch.setattr(renewal, "time_of_day", lambda: asyncio.get_running_loop().time())


@pytest.fixture(scope="session")
def benches() -> Benches:
    """Set up a bench for a with-block; the manager runs in it."""

    @asynccontextmanager
    async def set_up(**options: object) -> AsyncIterator[Bench]:
        bench = Bench(**options)  # type: ignore[arg-type]
        async with bench.manager:
            yield bench

    return set_up
