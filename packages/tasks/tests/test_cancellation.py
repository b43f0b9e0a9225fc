"""Cancelling at every stage: never an answer for who was cancelled, and no job left running for nobody."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from scaler_batch.payload import Status
from scaler_batch.tasks import Stage, Verdict
from scaler_batch.tasks.testing import LoseResponse, Reject, Stall, Throttle

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any

FORCE = pytest.mark.parametrize("force", [True, False])


async def test_a_task_that_nobody_knows_is_unknown(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        assert bench.manager.cancel(b"a", force=True) is Verdict.UNKNOWN
        bench.ask("a")
        await bench.sink.answers(1)
        assert bench.manager.cancel(b"a", force=True) is Verdict.UNKNOWN


@FORCE
async def test_a_cancelled_task_in_the_queue_is_never_submitted(benches: Benches, force: bool):
    async with benches(max_concurrent_jobs=1) as bench:
        bench.ask("running")
        await bench.submitted()
        bench.ask("cancelled", priority=9)
        bench.ask("next")
        assert bench.manager.cancel(b"cancelled", force=force) is Verdict.CANCELLED
        assert bench.manager.cancel(b"cancelled", force=force) is Verdict.UNKNOWN
        bench.jobs.succeed("job-1")
        await bench.submitted(2)
        assert bench.names("job-2") == ["next"]
        bench.jobs.succeed("job-2")
        await bench.sink.answers(2)
        assert bench.answered() == ["running", "next"]
        assert not bench.jobs.terminated


@pytest.mark.parametrize("after", [True, False])
async def test_a_task_cancelled_while_it_is_submitted_has_its_job_ended(benches: Benches, after: bool):
    stall = Stall(after=after)
    async with benches(faults=[stall]) as bench:
        bench.ask("a")
        await asyncio.sleep(1)
        assert bench.manager.snapshot().stages[Stage.SUBMITTING] == 1
        assert bench.manager.cancel(b"a", force=False) is Verdict.REFUSED
        assert bench.manager.cancel(b"a", force=True) is Verdict.CANCELLED
        assert bench.manager.snapshot().tasks == 0
        stall.until.set()
        await asyncio.sleep(10)
        assert bench.jobs.terminated == ["job-1"]
        assert bench.jobs.active == 0
        assert not bench.sink.announced


async def test_of_an_array_that_is_submitted_only_the_cancelled_child_is_ended(benches: Benches):
    first, second = Stall(), Stall(after=True)
    async with benches(faults=[first, second]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        for name in "abc":
            bench.ask(name)
        first.until.set()
        await asyncio.sleep(1)
        bench.manager.cancel(b"b", force=True)
        second.until.set()
        await asyncio.sleep(10)
        assert bench.jobs.terminated == ["job-2:1"]
        bench.jobs.succeed("job-2")
        bench.jobs.succeed("job-1")
        await bench.sink.answers(3)
        assert sorted(bench.answered()) == ["a", "c", "first"]


async def test_a_task_cancelled_while_the_answer_of_its_submission_is_lost_has_its_job_ended(benches: Benches):
    find = Stall(operation="find")
    async with benches(faults=[LoseResponse(), find]) as bench:
        bench.ask("a")
        await asyncio.sleep(5)
        bench.manager.cancel(b"a", force=True)
        find.until.set()
        await asyncio.sleep(10)
        assert bench.jobs.terminated == ["job-1"]
        assert bench.jobs.calls["submit"] == 1


async def test_a_task_cancelled_while_it_runs_has_its_job_ended_and_frees_its_slot(benches: Benches):
    async with benches(max_concurrent_jobs=1) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.ask("next")
        await asyncio.sleep(1)
        assert bench.manager.cancel(b"a", force=False) is Verdict.REFUSED
        assert bench.manager.cancel(b"a", force=True) is Verdict.CANCELLED
        await bench.submitted(2)
        assert bench.names("job-2") == ["next"]
        assert bench.jobs.terminated == ["job-1"]
        bench.jobs.succeed("job-2")
        await bench.sink.answers(1)
        await asyncio.sleep(1000)
        assert bench.answered() == ["next"]


async def test_a_task_that_may_not_be_stopped_is_answered(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        assert bench.manager.cancel(b"a", force=False) is Verdict.REFUSED
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert bench.answered() == ["a"]


async def test_an_outcome_that_comes_after_the_cancellation_is_no_answer(benches: Benches):
    async with benches(grace=30.0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.manager.cancel(b"a", force=True)
        bench.jobs.succeed("job-1")
        await asyncio.sleep(1000)
        assert not bench.sink.announced


async def test_a_task_cancelled_while_its_outcome_is_fetched_is_not_answered(benches: Benches):
    async with benches() as bench:
        gate = asyncio.Event()
        get = bench.store.get

        async def slow(key: str) -> bytes:
            await gate.wait()
            return await get(key)

        bench.store.get = slow
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        await asyncio.sleep(10)
        assert bench.manager.snapshot().stages[Stage.COLLECTING] == 1
        assert bench.manager.cancel(b"a", force=False) is Verdict.REFUSED
        assert bench.manager.cancel(b"a", force=True) is Verdict.CANCELLED
        gate.set()
        await asyncio.sleep(10)
        assert not bench.sink.announced
        assert not bench.jobs.terminated, "its job is over"


async def test_a_task_cancelled_between_prepare_and_announce_has_its_reply_discarded(benches: Benches):
    async with benches() as bench:
        bench.sink.gate.clear()
        request = bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        await bench.sink.is_preparing()
        assert bench.manager.cancel(b"a", force=False) is Verdict.REFUSED
        assert bench.manager.cancel(b"a", force=True) is Verdict.CANCELLED
        bench.sink.gate.set()
        await asyncio.sleep(10)
        assert not bench.sink.announced
        assert bench.sink.discarded == [request]


async def test_a_task_whose_job_has_died_can_still_be_cancelled(benches: Benches):
    async with benches() as bench:
        bench.sink.gate.clear()
        bench.ask("a")
        await bench.submitted()
        bench.jobs.die("job-1")
        await bench.sink.is_preparing()
        assert bench.manager.cancel(b"a", force=True) is Verdict.CANCELLED
        bench.sink.gate.set()
        await asyncio.sleep(10)
        assert not bench.sink.announced
        assert not bench.jobs.terminated


async def test_a_new_life_waits_for_its_own_outcome(benches: Benches):
    async with benches(grace=30.0) as bench:
        old = bench.ask("a", b"old")
        assert not bench.manager.submit(bench.request("a", b"twice")), "one life at a time"
        await bench.submitted()
        bench.manager.cancel(b"a", force=True)
        new = bench.ask("a", b"new")
        await bench.submitted(2)
        bench.jobs.succeed("job-1", value=b"old")
        await asyncio.sleep(100)
        assert not bench.sink.announced
        bench.jobs.succeed("job-2", value=b"new")
        await bench.sink.answers(1)
        assert [request for request, _ in bench.sink.announced] == [new]
        assert bench.sink.results[b"a"].value == b"new"
        assert old.arguments != new.arguments


async def test_a_new_life_beside_an_old_reply_is_answered_once_and_by_its_own_result(benches: Benches):
    async with benches() as bench:
        bench.sink.gate.clear()
        old = bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1", value=b"old")
        await bench.sink.is_preparing()
        bench.manager.cancel(b"a", force=True)
        new = bench.ask("a")
        await bench.submitted(2)
        bench.jobs.succeed("job-2", value=b"new")
        await bench.sink.is_preparing(2)
        bench.sink.gate.set()
        await bench.sink.answers(1)
        await asyncio.sleep(10)
        assert [(request is new, result.value) for request, result in bench.sink.announced] == [(True, b"new")]
        assert bench.sink.discarded[0] is old


async def test_a_new_life_beside_an_old_submission_is_submitted_apart(benches: Benches):
    stall = Stall(after=True)
    async with benches(faults=[stall]) as bench:
        bench.ask("a", b"old")
        await asyncio.sleep(1)
        bench.manager.cancel(b"a", force=True)
        bench.ask("a", b"new")
        stall.until.set()
        await bench.submitted(2)
        assert bench.jobs.terminated == ["job-1"]
        bench.jobs.succeed("job-2", value=lambda call: call.arguments[0])
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"new"


async def test_ending_a_job_is_tried_until_aws_batch_hears_it(benches: Benches):
    async with benches(faults=[Throttle("terminate", times=6)]) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.manager.cancel(b"a", force=True)
        await asyncio.sleep(100)
        assert bench.jobs.calls["terminate"] == 7
        assert bench.jobs.active == 0


@pytest.mark.parametrize(
    ("fault", "tries"),
    [(Reject("terminate", times=math.inf), 1), (Throttle("terminate", times=math.inf), 60)],
    ids=["refused", "throttled"],
)
async def test_a_job_that_cannot_be_ended_holds_up_nobody(benches: Benches, fault, tries: int):
    async with benches(faults=[fault]) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.manager.cancel(b"a", force=True)
        bench.ask("b")
        await bench.submitted(2)
        bench.jobs.succeed("job-2")
        await bench.sink.answers(1)
        await asyncio.sleep(1000)
        assert bench.answered() == ["b"]
        assert bench.jobs.calls["terminate"] <= tries


async def test_a_child_and_its_parents_pack_are_removed_after_cancelling(benches: Benches):
    async with benches(inline_limit=0) as bench:
        bench.ask("a")
        await bench.submitted()
        assert list(bench.store.objects) == ["packs/1"]
        bench.manager.cancel(b"a", force=True)
        for number in range(1000):
            bench.ask(f"t{number}")
            bench.manager.cancel(b"t%d" % number, force=True)
        for number in range(500):
            bench.ask(f"u{number}")
            await bench.submitted(number + 2)
            bench.manager.cancel(b"u%d" % number, force=True)
        await asyncio.sleep(1)
        assert len(bench.store.objects) < 350, "a thousand keys go at once, of three a task"


async def test_many_cancelled_at_once_are_all_ended_and_their_neighbours_answered(benches: Benches):
    stall = Stall()
    async with benches(faults=[stall], latency=0.05, max_concurrent_jobs=1000) as bench:
        bench.ask("first")
        for number in range(100):
            bench.ask(f"t{number}")
        stall.until.set()
        await asyncio.sleep(1)
        for number in range(0, 100, 2):
            assert bench.manager.cancel(b"t%d" % number, force=True) is Verdict.CANCELLED
        await asyncio.sleep(10)
        assert len(bench.jobs.terminated) == 50
        for job_id in bench.jobs.submissions:
            bench.jobs.succeed(job_id)
        await bench.sink.answers(51)
        assert all(result.status is Status.SUCCESS for result in bench.sink.results.values())
        assert bench.manager.snapshot().tasks == 0
