"""Twenty thousand tasks leave nothing behind but keys that wait for their removal."""

from __future__ import annotations

import asyncio
import gc
import resource
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.tasks.state.cleaning import PORTION
from scaler_batch.tasks.state.tables import Submission, Task

pytestmark = pytest.mark.looptime(end=100_000)

Benches = Any


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


@pytest.mark.long
async def test_nothing_accumulates_over_many_tasks(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=1.0, max_concurrent_jobs=500) as bench:
        for wave in range(2):
            for number in range(10_000):
                bench.ask(f"{wave}-{number}")
            # A tenth is cancelled: most of them in the queue, some in flight.
            await asyncio.sleep(0.5)
            for number in range(0, 10_000, 10):
                bench.manager.cancel(f"{wave}-{number}".encode(), force=True)
            await bench.sink.answers(9000 * (wave + 1))
            await asyncio.sleep(100)
            assert alive(Task, Submission) == 0
            assert len(bench.store.objects) < PORTION
        assert bench.manager.snapshot().tasks == 0


async def test_tasks_cancelled_in_a_queue_that_moves_are_forgotten(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=1.0, max_concurrent_jobs=1) as bench:
        for number in range(5000):
            bench.ask(f"t{number}")
            if number % 1000:
                bench.manager.cancel(b"t%d" % number, force=True)
        await bench.sink.answers(5)
        await asyncio.sleep(100)
        assert alive(Task, Submission) == 0


@pytest.mark.long
async def test_ten_thousand_tasks_in_one_array_take_little_memory(benches: Benches):
    async with benches(max_concurrent_jobs=10_000) as bench:
        idle = resident()
        job_id = await bench.array(9_999)
        assert len(bench.jobs.submissions[job_id].jobs) == 9_999
        assert resident() - idle < 150_000_000, "the fake AWS Batch's part of it included"
        bench.jobs.succeed(job_id, value=b"x")
        await bench.sink.answers(10_000)
        assert resident() - idle < 150_000_000


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
