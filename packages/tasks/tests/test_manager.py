"""The whole manager: how many calls a workload takes, what a look at it shows, and how it ends when a stage crashes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.aws import JobSpec
from scaler_batch.payload import RunLocation
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import AWSHPCTaskManager, Stage, TaskManagerSettings, TaskRequest, TasksError
from scaler_batch.tasks.testing import FakeJobService, MemoryInputs, RecordingSink, Stall

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def test_a_map_of_a_thousand_at_once_takes_a_handful_of_calls(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=30.0, latency=0.1, max_concurrent_jobs=1000) as bench:
        for number in range(1000):
            bench.ask(f"t{number}", b"%d" % number)
        await bench.sink.answers(1000)
        assert bench.jobs.calls["submit"] <= 2
        assert bench.jobs.calls.total() <= 12
        assert bench.store.calls["put"] + bench.store.calls["get"] <= 1002
        assert len(bench.store.calls) > 0
        assert bench.store.calls.total() <= 1100


async def test_a_map_of_a_thousand_that_arrives_in_a_trickle_leaves_in_groups(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=30.0, latency=0.1, max_concurrent_jobs=1000) as bench:
        for number in range(1000):
            bench.ask(f"t{number}", b"%d" % number)
            await asyncio.sleep(0.001)
        await bench.sink.answers(1000)
        assert bench.jobs.calls["submit"] <= 11
        assert bench.jobs.calls.total() <= 30


async def test_a_map_of_a_thousand_in_a_window_of_a_hundred_refills_it_in_portions(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=5.0, latency=0.1, max_concurrent_jobs=100) as bench:
        for number in range(1000):
            bench.ask(f"t{number}", b"%d" % number)
        await bench.sink.answers(1000)
        assert bench.jobs.peak == 100
        assert bench.jobs.calls.total() <= 60


async def test_the_same_task_is_taken_once(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        assert not bench.manager.submit(bench.request("a"))
        await bench.sink.answers(1)
        assert bench.manager.submit(bench.request("a")), "answered, it may come again"
        await bench.sink.answers(2)
        assert len(bench.jobs.submissions) == 2


async def test_a_snapshot_counts_tasks_where_they_are(benches: Benches):
    async with benches(max_concurrent_jobs=3) as bench:
        assert bench.manager.snapshot().tasks == 0
        assert bench.manager.snapshot().oldest == 0.0
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(10)
        bench.sink.gate.clear()
        bench.jobs.succeed("job-1")
        await bench.sink.is_preparing()
        bench.jobs.faults.append(Stall())
        for name in "bcdef":
            bench.ask(name)
        await asyncio.sleep(1)
        snapshot = bench.manager.snapshot()
        assert snapshot.stages == {
            Stage.QUEUED: 2,
            Stage.SUBMITTING: 3,
            Stage.RUNNING: 0,
            Stage.COLLECTING: 0,
            Stage.REPLYING: 1,
        }
        assert snapshot.tasks == 6
        assert snapshot.oldest == pytest.approx(asyncio.get_running_loop().time(), abs=0.1)


async def test_a_manager_that_has_not_started_takes_no_tasks():
    store = MemoryStore()
    manager = AWSHPCTaskManager(
        TaskManagerSettings("queue", "definition"),
        RunLocation("bucket", "", "run", "eu-west-1"),
        jobs=FakeJobService(store),
        store=store,
        inputs=MemoryInputs(),
        sink=RecordingSink(),
    )
    with pytest.raises(TasksError):
        manager.submit(TaskRequest(b"a", b"serializer", b"function"))


class CrashError(Exception):
    """Something that no port may raise."""


async def test_a_stage_that_crashes_takes_the_manager_down_and_nothing_hangs(benches: Benches):
    async def crash(job: JobSpec) -> str:
        raise CrashError

    async def play() -> None:
        async with benches() as bench:
            bench.jobs.submit = crash
            bench.ask("a")
            await bench.manager.drain()

    with pytest.raises(ExceptionGroup) as caught:
        await play()
    assert caught.value.subgroup(CrashError) is not None


async def test_an_error_of_the_owner_passes_through(benches: Benches):
    async def play() -> None:
        async with benches() as bench:
            bench.ask("a")
            raise CrashError

    with pytest.raises(CrashError):
        await play()


async def test_an_owner_that_is_cancelled_takes_the_stages_along(benches: Benches):
    async def play() -> None:
        async with benches(faults=[Stall()]) as bench:
            bench.ask("a")
            await bench.manager.drain()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await play()
    assert len(asyncio.all_tasks()) == 1
