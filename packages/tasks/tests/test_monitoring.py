"""Seeing outcomes appear: soon, with few looks, and without any where there is nothing to see."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.payload.keys import outcome_key
from scaler_batch.tasks.state import watching
from scaler_batch.tasks.testing import ANY, Stall, Throttle

pytestmark = pytest.mark.looptime(end=100_000)

Benches = Any


async def test_an_outcome_is_seen_within_a_tenth_of_the_jobs_time(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=60.0) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        assert asyncio.get_running_loop().time() < 66.1


async def test_an_hour_of_work_costs_some_hundred_looks(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=3600.0) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        assert bench.store.calls["list"] < 500
        assert bench.jobs.calls["describe"] < 200
        assert asyncio.get_running_loop().time() < 3610.1


async def test_a_short_task_beside_a_long_one_is_answered_when_it_is_done(benches: Benches):
    async with benches() as bench:
        job = await bench.array(2)
        await asyncio.sleep(5)
        bench.jobs.succeed(job, 1)
        started = asyncio.get_running_loop().time()
        await bench.sink.answers(2)
        assert asyncio.get_running_loop().time() - started < 1.0
        assert bench.answered() == ["first", "t1"]


async def test_a_fresh_task_is_seen_soon_beside_an_old_one(benches: Benches):
    async with benches() as bench:
        bench.ask("old")
        await asyncio.sleep(3000)
        bench.ask("fresh")
        await bench.submitted(2)
        bench.jobs.succeed("job-2")
        started = asyncio.get_running_loop().time()
        await bench.sink.answers(1)
        assert asyncio.get_running_loop().time() - started < 0.2


async def test_a_short_task_after_a_quiet_hour_is_not_asked_after(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=0.3) as bench:
        for count in (1, 2, 3):
            bench.ask("a")
            await bench.sink.answers(count)
            await asyncio.sleep(3600)
        assert bench.jobs.calls == {"submit": 3}


async def test_a_store_that_does_not_answer_delays_and_loses_nothing(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        bench.ask("b")
        await bench.submitted()
        bench.store.broken["list"] = 30
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)


async def test_an_outage_of_aws_batch_is_waited_out(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=1.0, faults=[Throttle(ANY, times=12)]) as bench:
        for name in "abc":
            bench.ask(name)
            await asyncio.sleep(0.5)
        await bench.sink.answers(3)


async def test_objects_that_are_nobodys_outcome_are_said_once(benches: Benches, caplog: pytest.LogCaptureFixture):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        for number in range(100):
            bench.store.objects[f"outcomes/stranger-{number}"] = b""
        await asyncio.sleep(1000)
        assert caplog.text.count("unexpected objects") == 1


async def test_objects_that_are_nobodys_outcome_are_left_alone(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        strangers = ["outcomes/readme", "outcomes/1.0", "outcomes/99", "outcomes/01"]
        bench.store.objects |= dict.fromkeys(strangers, b"?")
        await asyncio.sleep(10)
        assert not bench.sink.announced
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert set(strangers) <= set(bench.store.objects)


async def test_an_object_that_answers_a_call_its_job_does_not_have_harms_nobody(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.objects |= {bench.outcome(1, first=first): b"?" for first in (1, 999)}
        await asyncio.sleep(10)
        assert not bench.sink.announced
        bench.jobs.succeed("job-1", value=b"value")
        await bench.sink.answers(1)
        assert bytes(bench.sink.results[b"a"].value) == b"value"


@pytest.mark.long
async def test_a_listing_of_any_length_lets_others_have_their_turn(benches: Benches, monkeypatch: pytest.MonkeyPatch):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        numbers = range(10**6, 10**6 + 20_000)
        bench.store.objects |= {outcome_key(number, None, 0, "0" * 32): b"?" for number in numbers}
        looked: list[str] = []
        when_others_came: list[int] = []

        def note(key: str) -> None:
            if not looked:
                asyncio.get_running_loop().call_soon(lambda: when_others_came.append(len(looked)))
            looked.append(key)

        parse = watching.parse_outcome_key
        monkeypatch.setattr(watching, "parse_outcome_key", lambda key: (note(key), parse(key))[1])
        await asyncio.sleep(10)
        assert when_others_came[0] < len(bench.store.objects) / 10 < len(looked)


async def test_an_idle_manager_makes_no_call_at_all(benches: Benches):
    async with benches() as bench:
        await asyncio.sleep(86_400)
        assert not bench.jobs.calls
        assert not bench.store.calls


async def test_a_manager_that_is_idle_again_makes_no_call_either(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=10.0) as bench:
        bench.ask("a")
        bench.ask("b")
        await bench.sink.answers(2)
        await asyncio.sleep(1)
        before = bench.jobs.calls.copy(), bench.store.calls.copy()
        await asyncio.sleep(80_000)
        assert (bench.jobs.calls, bench.store.calls) == before


@pytest.mark.parametrize("turns", range(8))
async def test_a_launch_at_the_moment_of_leaving_does_not_keep_the_manager_alive(benches: Benches, turns: int):
    # Before Python 3.12, wait_for loses a cancellation that arrives in the turn after its event.
    async with benches(faults=[Stall()]) as bench:
        bench.ask("a")
        await asyncio.sleep(1)
        bench.jobs.faults[0].until.set()
        await bench.jobs.has_taken(1)
        for _ in range(turns):
            await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(8))
async def test_a_launch_beside_running_jobs_does_not_keep_the_manager_alive(benches: Benches, turns: int):
    async with benches() as bench:
        bench.ask("running")
        await asyncio.sleep(100)
        stall = Stall()
        bench.jobs.faults.append(stall)
        bench.ask("a")
        await asyncio.sleep(1)
        stall.until.set()
        await bench.jobs.has_taken(2)
        for _ in range(turns):
            await asyncio.sleep(0)
