"""Finding the jobs that died without an outcome, and answering for each of them once."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from scaler_batch.payload import Status
from scaler_batch.tasks import Polling
from scaler_batch.tasks.errors import JobFailedError, JobLostError
from scaler_batch.tasks.testing import HideChildren, Reject, Stall, Throttle, Vanish

pytestmark = pytest.mark.looptime(end=100_000)

Benches = Any


async def test_a_single_job_that_dies_is_explained(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.die("job-1", exit_code=137, reason="OutOfMemoryError")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, JobFailedError)
        assert (error.job_id, error.exit_code, error.attempt) == ("job-1", 137, 1)
        assert "OutOfMemoryError" in str(error)


async def test_a_job_that_dies_young_is_found_within_seconds(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.die("job-1")
        await bench.sink.answers(1)
        assert asyncio.get_running_loop().time() < 3.0


async def test_a_dead_child_fails_only_its_task(benches: Benches):
    async with benches() as bench:
        job = await bench.array(4)
        bench.jobs.die(job, 2, exit_code=1, status_reason="Host EC2 (instance i-0) terminated.")
        await bench.sink.answers(2)
        error = bench.sink.results[b"t2"]
        assert isinstance(error, JobFailedError)
        assert error.job_id == f"{job}:2"
        assert "Host EC2" in str(error)
        await asyncio.sleep(1000)
        assert bench.manager.snapshot().tasks == 3
        assert bench.jobs.calls["failed_children"] == 1, "the same failure is not listed twice"
        bench.jobs.succeed(job)
        await bench.sink.answers(5)
        assert all(bench.sink.results[name].status is Status.SUCCESS for name in (b"t0", b"t1", b"t3"))


async def test_children_that_die_one_after_the_other_are_all_found(benches: Benches):
    async with benches() as bench:
        job = await bench.array(5)
        for index in (3, 0, 4):
            bench.jobs.die(job, index)
            await asyncio.sleep(50)
        assert bench.answered() == ["first", "t3", "t0", "t4"]
        assert bench.jobs.calls["failed_children"] == 3


async def test_a_child_that_batch_counts_but_does_not_list_yet_is_asked_for_again(benches: Benches):
    async with benches(faults=[HideChildren(times=2)]) as bench:
        job = await bench.array(3)
        bench.jobs.die(job, 1)
        await bench.sink.answers(2)
        assert bench.answered() == ["first", "t1"]
        assert bench.jobs.calls["failed_children"] == 3


async def test_a_parent_that_is_over_speaks_for_children_that_are_not_listed(benches: Benches):
    async with benches(faults=[HideChildren(times=math.inf)]) as bench:
        job = await bench.array(3)
        bench.jobs.succeed(job, 0)
        bench.jobs.die(job)
        await bench.sink.answers(4)
        assert bench.sink.results[b"t0"].status is Status.SUCCESS
        assert bench.sink.results[b"t2"].job_id == f"{job}:2"


async def test_children_that_may_not_be_listed_do_not_hold_up_others(benches: Benches):
    async with benches(faults=[Reject("failed_children", times=math.inf)]) as bench:
        job = await bench.array(3)
        bench.ask("single")
        await bench.submitted(3)
        bench.jobs.die(job, 0)
        bench.jobs.die("job-3")
        await bench.sink.answers(2)
        assert bench.answered() == ["first", "single"]
        bench.jobs.die(job)
        await bench.sink.answers(5)


async def test_an_outcome_published_just_before_death_wins(benches: Benches):
    async with benches(polling=Polling(backoff_fraction=10.0, longest=1000.0, batch_check_ratio=0.0)) as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(0.2)
        bench.jobs.publish("job-1", value=b"done")
        bench.jobs.die("job-1", exit_code=137)
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_an_outcome_that_appears_between_the_look_and_the_checkup_wins(benches: Benches):
    stall = Stall(operation="describe")
    async with benches(faults=[stall]) as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(20)
        assert bench.jobs.calls["describe"] == 1, "the checkup is under way, the look before it found nothing"
        bench.jobs.publish("job-1", value=b"done")
        bench.jobs.die("job-1")
        stall.until.set()
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_a_job_that_ends_well_and_leaves_nothing_is_a_failure(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        bench.store.objects.clear()
        await bench.sink.answers(1)
        assert "left no outcome in S3" in str(bench.sink.results[b"a"])


async def test_a_job_that_batch_does_not_know_is_given_up_after_a_while(benches: Benches):
    async with benches(faults=[Vanish(job_id="job-1")]) as bench:
        bench.ask("a")
        await asyncio.sleep(55)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], JobLostError)
        assert "job-1" in str(bench.sink.results[b"a"])
        assert asyncio.get_running_loop().time() < 100


async def test_a_job_that_was_given_up_is_ended_in_case_it_runs_all_the_same(benches: Benches):
    async with benches(faults=[Vanish(job_id="job-1")]) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        await asyncio.sleep(1)
        assert bench.jobs.terminated == ["job-1"]
        assert bench.jobs.active == 0


async def test_every_child_of_a_vanished_array_is_given_up_by_name(benches: Benches):
    async with benches() as bench:
        job = await bench.array(3)
        bench.jobs.faults.append(Vanish(job_id=job))
        await bench.sink.answers(4)
        assert bench.sink.results[b"t1"].job_id == f"{job}:1"


async def test_a_job_that_takes_a_while_to_be_known_is_not_given_up(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        for _ in range(3):
            vanish = Vanish(job_id="job-1")
            bench.jobs.faults.append(vanish)
            await asyncio.sleep(45)
            vanish.times = 0
            await asyncio.sleep(45)
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].status is Status.SUCCESS


async def test_a_vanished_job_that_published_is_answered(benches: Benches):
    async with benches(faults=[Vanish(job_id="job-1")]) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.succeed("job-1", value=b"done")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_steady_traffic_does_not_hide_the_dead(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=0.3) as bench:
        bench.jobs._run = None
        bench.ask("dead")
        await bench.submitted()
        bench.jobs._run = lambda call: b"x"
        bench.jobs.die("job-1")
        for number in range(100):
            bench.ask(f"t{number}")
            await asyncio.sleep(0.2)
        assert "dead" in bench.answered()[:20]


async def test_many_dead_singles_cost_one_listing_of_outcomes(benches: Benches):
    async with benches() as bench:
        for number in range(50):
            bench.ask(f"t{number}")
            await bench.submitted(number + 1)
        await asyncio.sleep(100)
        for job_id in bench.jobs.submissions:
            bench.jobs.die(job_id)
        before = bench.store.calls["list"]
        await bench.sink.answers(50)
        assert bench.store.calls["list"] - before < 10


async def test_two_hundred_singles_are_asked_for_in_turns_one_request_a_checkup(benches: Benches):
    async with benches(max_concurrent_jobs=200) as bench:
        for number in range(200):
            bench.ask(f"t{number}")
            await bench.submitted(number + 1)
        await asyncio.sleep(1000)
        before = bench.jobs.calls["describe"]
        await asyncio.sleep(45)
        assert bench.jobs.calls["describe"] - before in (1, 2)
        for number in range(200):
            bench.jobs.die(f"job-{number + 1}")
        await bench.sink.answers(200)


@pytest.mark.parametrize("fault", [Throttle, Reject])
async def test_a_checkup_that_fails_is_tried_again_without_haste(benches: Benches, fault):
    async with benches(faults=[fault("describe", times=5)]) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.die("job-1")
        await asyncio.sleep(5)
        assert bench.jobs.calls["describe"] <= 5
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], JobFailedError)


async def test_a_listing_of_children_that_is_throttled_is_tried_again(benches: Benches):
    async with benches(faults=[Throttle("failed_children", times=2)]) as bench:
        job = await bench.array(3)
        bench.jobs.die(job, 0)
        await bench.sink.answers(2)
        assert bench.answered() == ["first", "t0"]


async def test_a_store_that_fails_while_the_dead_are_counted_loses_nothing(benches: Benches):
    async with benches(polling=Polling(backoff_fraction=10.0, longest=1000.0, batch_check_ratio=0.0)) as bench:
        job = await bench.array(3)
        bench.jobs.die(job, 1)
        list_ = bench.store.list
        failures = 0

        async def fails_after_each_checkup(prefix: str) -> list[str]:
            nonlocal failures
            if bench.jobs.calls["failed_children"] and failures < 2:
                failures += 1
                bench.store.broken["list"] = 1
            return await list_(prefix)

        bench.store.list = fails_after_each_checkup
        await bench.sink.answers(2)
        assert bench.answered() == ["first", "t1"]
        assert failures == 2
