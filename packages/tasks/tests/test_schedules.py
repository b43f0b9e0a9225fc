"""The whole manager under schedules that nobody thought of: arrivals, cancellations, deaths and faults in any order.

Whatever happens, a task that was taken on and not cancelled is answered exactly once, and by the outcome of its own
life; a cancelled one never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler_batch.payload import Call, Outcome, Status
from scaler_batch.tasks import TaskFailedError, TaskRequest, Verdict
from scaler_batch.tasks.testing import (
    FakeJob,
    Fault,
    HideChildren,
    LoseRequest,
    LoseResponse,
    Reject,
    Throttle,
    Vanish,
)

pytestmark = pytest.mark.looptime

Benches = Any

CALLS = st.sampled_from(["submit", "find", "describe", "failed_children", "terminate", "terminate_many", "tail"])


@dataclass
class Play:
    """One schedule on one bench, and what has to come of it."""

    bench: Any
    expected: list[TaskRequest] = field(default_factory=list)
    lives: int = 0

    def arrive(self, name: str, priority: int, size: int) -> None:
        self.lives += 1
        token = b"%d " % self.lives
        request = self.bench.request(name, token, token * size, priority=priority)
        free = name.encode() not in [life.task_id for life in self.going()]
        assert self.bench.manager.submit(request) == free
        if free:
            self.expected.append(request)

    def going(self) -> list[TaskRequest]:
        """Lives that were taken on, and neither answered nor cancelled yet."""
        answered = {id(request) for request, _ in self.bench.sink.announced}
        return [life for life in self.expected if id(life) not in answered]

    def cancel(self, name: str, force: bool) -> None:
        lives = [life for life in self.going() if life.task_id == name.encode()]
        verdict = self.bench.manager.cancel(name.encode(), force=force)
        assert (verdict is Verdict.UNKNOWN) == (not lives)
        if verdict is Verdict.CANCELLED:
            self.expected.remove(*lives)

    def end(self, which: int, how: str) -> None:
        open_jobs = [job for job in self.bench.jobs.jobs if not job.status.is_final]
        if open_jobs:
            job = open_jobs[which % len(open_jobs)]
            ends = {"succeed": self.succeed, "raise": self.raise_, "die": self.die, "publish": self.publish}
            for act in how.split(" then "):
                ends[act](job)

    def succeed(self, job: FakeJob) -> None:
        self.bench.jobs.succeed(*place(job), value=echo)

    def raise_(self, job: FakeJob) -> None:
        self.bench.jobs.raise_(*place(job))

    def die(self, job: FakeJob) -> None:
        self.bench.jobs.die(*place(job), exit_code=137)

    def publish(self, job: FakeJob) -> None:
        """Publish the first call's outcome that is not published yet."""
        positions = [position for position, _ in enumerate(job.calls or ()) if position not in job.answered][:1]
        value = bytes(job.calls[positions[0]].arguments[0]) if job.calls and positions else b""
        self.bench.jobs.publish(*place(job), value=value, positions=positions)

    async def finish_everything(self) -> None:
        """Let all faults pass and all jobs end, until everybody has been answered."""
        self.bench.jobs.faults.clear()
        self.bench.store.broken.clear()
        self.bench.sink.gate.set()
        async with asyncio.timeout(10_000), asyncio.TaskGroup() as group:
            drain = group.create_task(self.bench.manager.drain())
            while not drain.done():
                for job in self.bench.jobs.jobs:
                    if not job.status.is_final:
                        self.succeed(job)
                await asyncio.sleep(1)

    def check(self) -> None:
        announced = [request for request, _ in self.bench.sink.announced]
        assert sorted(map(id, announced)) == sorted(map(id, self.expected)), "each once, and nobody else"
        for request, result in self.bench.sink.announced:
            if isinstance(result, Outcome) and result.status is Status.SUCCESS:
                assert bytes(result.value) == bytes(self.bench.inputs.objects[request.arguments[0]])
            else:
                assert isinstance(result, TaskFailedError) or result.status is Status.RAISED
        assert self.bench.manager.snapshot().tasks == 0


def place(job: FakeJob) -> tuple[str, int | None]:
    return job.job_id.partition(":")[0], job.index


def echo(call: Call) -> bytes:
    return bytes(call.arguments[0])


Step = Callable[[Play], Awaitable[None] | None]


def step(method: Callable[..., None], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(*arguments).map(lambda values: lambda play: method(play, *values))


def add_fault(play: Play, kind: type[Fault], operation: str, times: int) -> None:
    play.bench.jobs.faults.append(kind(operation, times))


def break_store(play: Play, operation: str, times: int) -> None:
    play.bench.store.broken[operation] += times


def hide(play: Play, job: int, times: int) -> None:
    play.bench.jobs.faults.append(Vanish(times=times, job_id=f"job-{job}"))


def hold_replies(play: Play, hold: bool) -> None:
    (play.bench.sink.gate.clear if hold else play.bench.sink.gate.set)()


ENDS = ["succeed", "succeed", "raise", "die", "publish", "publish then die", "publish then raise"]
NAMES = st.sampled_from("abcdefgh")
STEPS = st.one_of(
    step(Play.arrive, NAMES, st.integers(-1, 1), st.sampled_from([1, 1, 3000])),
    step(Play.arrive, NAMES, st.just(0), st.just(1)),
    step(Play.cancel, NAMES, st.booleans()),
    step(Play.end, st.integers(0, 20), st.sampled_from(ENDS)),
    step(add_fault, st.sampled_from([Throttle, LoseRequest, LoseResponse, Reject]), CALLS, st.integers(1, 3)),
    step(add_fault, st.just(HideChildren), st.just("failed_children"), st.integers(1, 3)),
    step(break_store, st.sampled_from(["put", "get", "list", "delete"]), st.integers(1, 3)),
    step(hide, st.integers(1, 5), st.integers(1, 100)),
    step(hold_replies, st.booleans()),
    st.sampled_from([0.0, 0.05, 1.0, 10.0, 100.0]).map(lambda seconds: lambda play: asyncio.sleep(seconds)),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(STEPS, min_size=5, max_size=60),
    window=st.sampled_from([1, 3, 100]),
    latency=st.sampled_from([0.0, 0.02, 1.0]),
    grace=st.sampled_from([0.0, 5.0]),
    transfers=st.sampled_from([1, 16]),
    tasks_per_job=st.sampled_from([1, 2, 5, "auto"]),
)
async def test_every_task_is_answered_exactly_once_and_a_cancelled_one_never(
    benches: Benches,
    steps: list[Step],
    window: int,
    latency: float,
    grace: float,
    transfers: int,
    tasks_per_job: int | Literal["auto"],
):
    async with benches(
        max_concurrent_jobs=window, latency=latency, grace=grace, transfers=transfers, tasks_per_job=tasks_per_job
    ) as bench:
        play = Play(bench)
        for take in steps:
            if (waiting := take(play)) is not None:
                await waiting
        await play.finish_everything()
        play.check()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(STEPS, min_size=5, max_size=40),
    latency=st.sampled_from([0.0, 0.02, 1.0]),
    tasks_per_job=st.sampled_from([1, 3]),
)
async def test_a_stop_at_any_moment_leaves_no_job_and_answers_nobody_any_more(
    benches: Benches, steps: list[Step], latency: float, tasks_per_job: int
):
    async with benches(max_concurrent_jobs=5, latency=latency, grace=2.0, tasks_per_job=tasks_per_job) as bench:
        play = Play(bench)
        for take in steps:
            if (waiting := take(play)) is not None:
                await waiting
        bench.jobs.faults.clear()
        bench.store.broken.clear()
        heard = len(bench.sink.announced)
        assert await bench.manager.stop(within=400.0)
        assert bench.manager.snapshot().tasks == 0
        assert not bench.store.objects
        bench.sink.gate.set()
        after = len(bench.sink.announced)
        await asyncio.sleep(1000)
        assert len(bench.sink.announced) == after
        assert after >= heard
        assert not [job for job in bench.jobs.jobs if not job.status.is_final]
