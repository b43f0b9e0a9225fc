"""Fetching and opening outcomes, those of hostile bytes too."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler_batch.payload import Origin, Outcome, Status, encode_outcomes
from scaler_batch.tasks.collection import _AT_ONCE
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any

ORIGIN = Origin("job-1", 1, "host", "3.12.0", {})


def sealed(*outcomes: Outcome) -> bytes:
    return b"".join(encode_outcomes(outcomes, ORIGIN))


async def test_an_outcome_for_another_task_is_no_answer(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects["outcomes/1/0"] = sealed(Outcome(1, Status.SUCCESS, b"?"))
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, OutcomeUnreadableError)
        assert "none for this task" in str(error)


async def test_the_tasks_own_outcome_is_picked_out_of_several(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        outcomes = [Outcome(position, Status.SUCCESS, b"abc"[position : position + 1]) for position in (2, 0, 1)]
        bench.store.objects["outcomes/1/0"] = sealed(*outcomes)
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"] == Outcome(0, Status.SUCCESS, b"a")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.binary(max_size=200))
async def test_an_unreadable_outcome_is_an_answer_too(benches: Benches, damage: bytes):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects["outcomes/1/0"] = damage
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, OutcomeUnreadableError)
        assert "outcomes/1" in str(error)


async def test_an_outcome_that_cannot_be_fetched_is_said_so(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.broken["get"] = 1
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, StorageUnavailableError)
        assert "the task has run" in str(error)


async def test_a_large_outcome_is_opened_beside_the_event_loop(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        value = random.Random(1).randbytes(2 * _AT_ONCE)
        bench.jobs.succeed("job-1", value=value)
        assert len(bench.store.objects["outcomes/1/0"]) > _AT_ONCE
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == value


async def test_the_outcome_of_a_task_that_was_cancelled_meanwhile_is_not_fetched(benches: Benches):
    async with benches(transfers=1) as bench:
        bench.sink.gate.clear()
        for name in "abcde":
            bench.ask(name)
        await asyncio.sleep(1)
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await asyncio.sleep(10)
        fetched = bench.store.calls["get"]
        for name in (b"a", b"b", b"c", b"d", b"e"):
            bench.manager.cancel(name, force=True)
        bench.sink.gate.set()
        await asyncio.sleep(10)
        assert bench.store.calls["get"] == fetched < 5


async def test_outcomes_are_fetched_side_by_side(benches: Benches):
    async with benches(transfers=8) as bench:
        for number in range(30):
            bench.ask(f"t{number}")
        await asyncio.sleep(1)
        fetching = peak = 0
        get = bench.store.get

        async def slow(key: str) -> bytes:
            nonlocal fetching, peak
            fetching += 1
            peak = max(peak, fetching)
            await asyncio.sleep(1)
            fetching -= 1
            return await get(key)

        bench.store.get = slow
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await bench.sink.answers(30)
        assert peak == 8
