"""``tasks_per_job="auto"``: short and long functions beside each other come near the ideal schedule."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Sequence
from typing import Any

import pytest

from scaler_batch.payload import Call, Outcome
from scaler_batch.tasks import Polling

pytestmark = pytest.mark.looptime(end=500_000)

Benches = Any

QUICK = Polling(shortest=0.02, longest_scaled=0.05)
"""Looks that add little to the tasks' own time."""


def seconds_of(call: Call) -> float:
    """What a call takes: its first argument says so."""
    return float(bytes(call.arguments[0]))


def ideal(seconds: Sequence[float], slots: int) -> float:
    """When the last task would end if each started as soon as a slot is free, in order, and starting took no time."""
    ends = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


async def run(bench: Any, function: str, seconds: Sequence[float]) -> float:
    """Submit a map of a function, and return how long it took."""
    started, before = asyncio.get_running_loop().time(), len(bench.sink.announced)
    for number, each in enumerate(seconds):
        task_id = f"{function}-{before + number}".encode()
        call = Call(b"serializer", function.encode(), (str(each).encode(), task_id))
        assert bench.manager.submit(bench.inputs.request(task_id, call))
    await bench.sink.answers(before + len(seconds))
    assert all(isinstance(result, Outcome) for result in bench.sink.results.values())
    return asyncio.get_running_loop().time() - started


async def test_a_hundred_longer_tasks_after_a_thousand_that_take_no_time_are_spread(benches: Benches):
    async with benches(
        run=lambda call: b"", work=seconds_of, latency=0.02, tasks_per_job="auto", max_concurrent_jobs=8, polling=QUICK
    ) as bench:
        await run(bench, "nothing", [0.0] * 1000)
        taken = await run(bench, "work", [0.2] * 100)
        assert taken <= 1.3 * ideal([0.2] * 100, 8)


async def test_sixty_long_tasks_after_six_hundred_that_take_no_time_are_spread_and_keep_to_their_timeout(
    benches: Benches,
):
    async with benches(
        run=lambda call: b"",
        work=seconds_of,
        latency=0.02,
        tasks_per_job="auto",
        max_concurrent_jobs=20,
        job_timeout=60,
        polling=QUICK,
    ) as bench:
        await run(bench, "nothing", [0.0] * 600)
        taken = await run(bench, "work", [2.0] * 60)
        assert taken <= 1.3 * ideal([2.0] * 60, 20)
        assert max(len(job.calls or ()) for job in bench.jobs.jobs[-20:]) <= 4


async def test_long_tasks_that_come_while_short_ones_of_another_function_run_are_spread(benches: Benches):
    async with benches(
        run=lambda call: b"", work=seconds_of, latency=0.02, tasks_per_job="auto", max_concurrent_jobs=8, polling=QUICK
    ) as bench:
        await run(bench, "nothing", [0.0] * 1000)
        async with asyncio.TaskGroup() as group:
            group.create_task(run(bench, "nothing", [0.0] * 500))
            await asyncio.sleep(0.01)
            work = group.create_task(run(bench, "work", [0.2] * 100))
        assert work.result() <= 1.5 * ideal([0.2] * 100, 8)


@pytest.mark.parametrize("seed", range(3))
async def test_long_calls_of_a_function_whose_calls_were_short_leave_no_slot_idle(benches: Benches, seed: int):
    source = random.Random(seed)
    mixed = [source.choice([0.0, 0.0, 0.0, 1.0]) for _ in range(100)]
    async with benches(
        run=lambda call: b"", work=seconds_of, latency=0.02, tasks_per_job="auto", max_concurrent_jobs=8, polling=QUICK
    ) as bench:
        await run(bench, "same", [0.0] * 1000)
        before = len(bench.jobs.jobs)
        await run(bench, "same", mixed)
        bundles = [len(job.calls or ()) for job in bench.jobs.jobs[before:]]
        assert len(bundles) >= 8
        assert max(bundles) <= 13
