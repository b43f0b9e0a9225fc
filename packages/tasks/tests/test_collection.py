"""Fetching and opening outcomes, those of hostile bytes too."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler_batch.payload import Origin, Outcome, Status, body_size, encode_outcomes
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError
from scaler_batch.tasks.io.collect import AT_ONCE
from scaler_batch.tasks.testing import StoreDenied, StoreUnavailable

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
        assert "an outcome of call 1 of 1" in str(error)


async def test_outcomes_of_more_calls_than_the_job_has_are_not_believed(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        outcomes = [Outcome(position, Status.SUCCESS, b"abc"[position : position + 1]) for position in (2, 0, 1)]
        bench.store.objects["outcomes/1/0"] = sealed(*outcomes)
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], OutcomeUnreadableError)
        assert "3 outcomes of 1 calls" in str(bench.sink.results[b"a"])


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
        bench.store.faults.append(StoreUnavailable("get", times=math.inf))
        bench.jobs.succeed("job-1")
        await asyncio.sleep(800)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, StorageUnavailableError)
        assert "the task has run" in str(error)
        await asyncio.sleep(100)
        assert "outcomes/1/0" in bench.store.objects, "no outcome is removed unread"


async def test_an_outcome_that_cannot_be_fetched_at_once_is_fetched_later(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreUnavailable("get", times=8))
        bench.jobs.succeed("job-1", value=b"done")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_outcomes_that_must_not_be_read_fail_their_tasks_after_a_minute_however_many_there_are(benches: Benches):
    async with benches(transfers=2) as bench:
        for number in range(40):
            bench.ask(f"t{number}")
        await bench.submitted()
        bench.store.faults.append(StoreDenied("get", times=math.inf))
        started = asyncio.get_running_loop().time()
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await bench.sink.answers(40)
        assert 60 <= asyncio.get_running_loop().time() - started < 150
        assert all(isinstance(error, StorageUnavailableError) for error in bench.sink.results.values())


async def test_an_outcome_that_was_removed_is_not_waited_for(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        get = bench.store.get

        async def removed(key: str) -> bytes:
            bench.store.objects.pop(key, None)
            return await get(key)

        bench.store.get = removed
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], StorageUnavailableError)
        assert asyncio.get_running_loop().time() < 10


async def test_a_large_outcome_is_opened_beside_the_event_loop(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        value = random.Random(1).randbytes(2 * AT_ONCE)
        bench.jobs.succeed("job-1", value=value)
        assert len(bench.store.objects["outcomes/1/0"]) > AT_ONCE
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


@pytest.mark.parametrize("error", [RecursionError, MemoryError, ZeroDivisionError])
async def test_an_outcome_whose_reading_fails_unexpectedly_fails_its_task_and_no_other(
    benches: Benches, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    async with benches() as bench:
        for number, name in enumerate("ab", start=1):
            bench.ask(name)
            await bench.submitted(number)

        def choke(sealed: bytes, **_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr("scaler_batch.tasks.io.collect.decode_outcomes", choke)
            bench.jobs.succeed("job-1")
            await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], OutcomeUnreadableError)
        bench.jobs.succeed("job-2", value=b"fine")
        await bench.sink.answers(2)
        assert bench.sink.results[b"b"].value == b"fine"


async def test_more_than_a_little_is_opened_beside_the_event_loop_even_if_it_is_packed_small(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1", value=bytes(64 * AT_ONCE))
        packed = bench.store.objects["outcomes/1/0"]
        assert len(packed) < AT_ONCE < body_size(packed)
        await bench.sink.answers(1)
