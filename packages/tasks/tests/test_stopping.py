"""Drain and stop: everybody answered, or nothing left running."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from scaler_batch.tasks import TasksError
from scaler_batch.tasks.testing import ANY, Lag, LoseResponse, Reject, Stall, Throttle, Vanish

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def test_draining_waits_for_all_answers_and_takes_nothing_new(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=100.0, max_concurrent_jobs=2) as bench:
        for number in range(5):
            bench.ask(f"t{number}")
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(bench.manager.drain())
            await asyncio.sleep(1)
            with pytest.raises(TasksError, match="takes no more"):
                bench.manager.submit(bench.request("late"))
            await bench.sink.answers(4)
            assert not drain.done()
        assert len(bench.sink.announced) == 5


async def test_draining_an_empty_manager_ends_at_once(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        await bench.manager.drain()
        await bench.manager.drain()


async def test_draining_ends_with_the_cancellation_of_the_last_task(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.manager.drain())
            await bench.submitted()
            bench.manager.cancel(b"a", force=True)


async def test_draining_waits_for_a_task_that_came_after_a_quiet_time(benches: Benches):
    async with benches(run=lambda call: b"x", seconds=5.0) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        bench.ask("b")
        await bench.manager.drain()
        assert bench.answered() == ["a", "b"]


async def test_stopping_ends_who_waits_for_the_drain(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        async with asyncio.TaskGroup() as group:
            group.create_task(bench.manager.drain())
            await bench.submitted()
            assert await bench.manager.stop(within=30.0)


async def test_stopping_an_idle_manager_ends_nothing_and_asks_nobody(benches: Benches):
    async with benches() as bench:
        assert await bench.manager.stop(within=1.0)
        assert not bench.jobs.calls


async def test_stopping_ends_every_job_and_answers_nobody(benches: Benches):
    async with benches(grace=20.0, max_concurrent_jobs=3) as bench:
        for number in range(6):
            bench.ask(f"t{number}")
        await bench.submitted()
        started = asyncio.get_running_loop().time()
        assert await bench.manager.stop(within=60.0)
        assert 20.0 <= asyncio.get_running_loop().time() - started < 21.0, "as long as the jobs take to end"
        assert bench.jobs.active == 0
        assert len(bench.jobs.submissions) == 1, "what waited never left"
        assert not bench.sink.announced
        assert bench.manager.snapshot().tasks == 0
        with pytest.raises(TasksError):
            bench.manager.submit(bench.request("late"))


async def test_an_array_is_ended_by_one_call(benches: Benches):
    async with benches() as bench:
        for number in range(50):
            bench.ask(f"t{number}")
        await bench.submitted()
        assert await bench.manager.stop(within=60.0)
        assert bench.jobs.terminated == ["job-1"]


async def test_objects_of_the_run_are_removed(benches: Benches):
    async with benches(inline_limit=0, run=lambda call: b"x", seconds=1.0) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        bench.ask("b")
        await bench.submitted(2)
        assert bench.store.objects
        assert await bench.manager.stop(within=60.0)
        assert not bench.store.objects


@pytest.mark.parametrize("after", [True, False])
async def test_jobs_that_are_being_submitted_are_ended_by_their_parent(benches: Benches, after: bool):
    first, second = Stall(), Stall(after=after)
    async with benches(faults=[first, second]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        for name in "abc":
            bench.ask(name)
        first.until.set()
        await asyncio.sleep(1)
        async with asyncio.TaskGroup() as group:
            stop = group.create_task(bench.manager.stop(within=30.0))
            await asyncio.sleep(5)
            assert bench.jobs.terminated == ["job-1"], "what is known is ended meanwhile"
            second.until.set()
        assert stop.result()
        assert bench.jobs.terminated == ["job-1", "job-2"]
        assert bench.jobs.active == 0


async def test_a_job_whose_submission_lost_its_answer_is_ended(benches: Benches):
    async with benches(faults=[LoseResponse(), Throttle("find", times=3)]) as bench:
        bench.ask("a")
        await asyncio.sleep(0.01)
        assert await bench.manager.stop(within=60.0)
        assert bench.jobs.active == 0
        assert bench.jobs.terminated == ["job-1"]


async def test_what_is_loading_is_not_waited_for_and_never_submitted(benches: Benches):
    async with benches() as bench:
        bench.ask("running")
        await bench.submitted()
        gate = asyncio.Event()
        stuck = bench.request("stuck", b"large")
        bench.inputs.slow[stuck.arguments[0]] = gate
        bench.manager.submit(stuck)
        await asyncio.sleep(1)
        started = asyncio.get_running_loop().time()
        assert await bench.manager.stop(within=60.0)
        assert asyncio.get_running_loop().time() - started < 2.0
        gate.set()
        await asyncio.sleep(10)
        assert bench.jobs.calls["submit"] == 1


async def test_replies_that_are_stuck_do_not_keep_jobs_running(benches: Benches):
    async with benches(transfers=1) as bench:
        bench.ask("running")
        await bench.submitted()
        bench.sink.gate.clear()
        stall = Stall()
        bench.jobs.faults.append(stall)
        bench.ask("next")
        await asyncio.sleep(1)
        for number in range(10):
            bench.ask(f"missing-{number}")
        bench.inputs.objects.clear()
        stall.until.set()
        await asyncio.sleep(10)
        assert bench.sink.preparing == 1
        assert await bench.manager.stop(within=30.0)
        assert bench.jobs.active == 0


async def test_jobs_cancelled_just_before_are_waited_for(benches: Benches):
    async with benches(grace=20.0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.manager.cancel(b"a", force=True)
        assert await bench.manager.stop(within=60.0)
        assert bench.jobs.active == 0


async def test_a_stop_that_is_not_confirmed_says_so_in_time(benches: Benches, caplog: pytest.LogCaptureFixture):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.faults.append(Throttle(ANY, times=math.inf))
        started = asyncio.get_running_loop().time()
        assert not await bench.manager.stop(within=10.0)
        assert asyncio.get_running_loop().time() - started == pytest.approx(10.0, abs=0.1)
        assert "job-1" in caplog.text


async def test_a_stop_during_a_submission_that_does_not_end_says_so_and_ends_what_it_can(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.faults.append(Stall("submit"))
        bench.ask("b")
        await asyncio.sleep(1)
        assert not await bench.manager.stop(within=10.0)
        assert bench.jobs.active == 0
        assert "may have taken these without confirming it: scaler-batch-run-1-2 in queue queue" in caplog.text


async def test_a_submission_that_is_throttled_is_given_up_when_stopping(benches: Benches):
    async with benches(faults=[Throttle("submit", times=math.inf)]) as bench:
        bench.ask("a")
        await asyncio.sleep(1)
        started = asyncio.get_running_loop().time()
        assert await bench.manager.stop(within=10.0)
        assert asyncio.get_running_loop().time() - started < 5.0
        assert not bench.jobs.submissions
        assert "named" not in bench.jobs.calls, "a refusal leaves no doubt"


async def test_a_job_that_was_taken_unheard_and_is_listed_late_is_found_when_stopping(benches: Benches):
    faults = [LoseResponse(), Lag("find", times=math.inf), Lag("named", times=2)]
    async with benches(faults=faults) as bench:
        bench.ask("a")
        await bench.jobs.has_taken(1)
        await asyncio.sleep(2)
        assert await bench.manager.stop(within=22.0)
        assert bench.jobs.active == 0
        assert bench.jobs.terminated == ["job-1"]


async def test_a_job_that_was_made_twice_because_listing_lagged_is_ended_twice(benches: Benches):
    async with benches(faults=[LoseResponse(), Lag("find", times=4)]) as bench:
        bench.ask("a")
        await bench.jobs.has_taken(2)
        await asyncio.sleep(1)
        assert await bench.manager.stop(within=22.0)
        assert sorted(bench.jobs.terminated) == ["job-1", "job-2"]
        assert bench.jobs.active == 0


async def test_without_a_doubt_nothing_is_looked_for(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        assert await bench.manager.stop(within=22.0)
        assert "named" not in bench.jobs.calls


async def test_with_aws_batch_gone_a_stop_names_the_job_that_may_have_been_taken(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches(faults=[LoseResponse(), Throttle(ANY, times=math.inf)]) as bench:
        bench.ask("a")
        await asyncio.sleep(1)
        started = asyncio.get_running_loop().time()
        assert not await bench.manager.stop(within=5.0)
        assert asyncio.get_running_loop().time() - started == pytest.approx(5.0, abs=0.1)
        assert "scaler-batch-run-1-1 in queue queue" in caplog.text


async def test_an_idle_manager_whose_storage_is_gone_stops_in_time_and_speaks_of_no_jobs(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        await bench.sink.answers(1)

        async def never(prefix: str) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        bench.store.list = never
        started = asyncio.get_running_loop().time()
        assert await bench.manager.stop(within=5.0)
        assert asyncio.get_running_loop().time() - started <= 5.1
        assert "still be running" not in caplog.text
        assert "all jobs are ended" in caplog.text


async def test_jobs_that_may_not_be_ended_are_reported(benches: Benches, caplog: pytest.LogCaptureFixture):
    async with benches(faults=[Reject("terminate", times=math.inf)]) as bench:
        bench.ask("a")
        await bench.submitted()
        assert not await bench.manager.stop(within=10.0)
        assert bench.jobs.active == 1
        assert "job-1" in caplog.text


async def test_a_job_that_batch_has_forgotten_is_over(benches: Benches):
    async with benches(faults=[Vanish(job_id="job-1")]) as bench:
        bench.ask("a")
        await bench.submitted()
        assert await bench.manager.stop(within=10.0)


async def test_a_look_that_fails_is_repeated(benches: Benches):
    async with benches(grace=1.0, faults=[Throttle("describe", times=3)]) as bench:
        bench.ask("a")
        await bench.submitted()
        assert await bench.manager.stop(within=10.0)
        assert bench.jobs.active == 0


async def test_objects_that_cannot_be_removed_in_time_are_not_jobs_that_run(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()

        async def never(prefix: str) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        bench.store.list = never
        assert await bench.manager.stop(within=10.0)
        assert bench.jobs.active == 0


async def test_leaving_without_a_stop_ends_at_once(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.ask("b")
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() == started
    assert not bench.jobs.terminated


async def test_leaving_during_a_submission_ends_at_once(benches: Benches):
    async with benches(faults=[Stall()]) as bench:
        bench.ask("a")
        await asyncio.sleep(1)
    assert not bench.jobs.submissions


async def test_a_job_that_has_answered_and_does_not_leave_is_ended(benches: Benches):
    async with benches(latency=1.0, grace=2.0) as bench:
        bench.ask("a")
        await asyncio.sleep(100)
        bench.jobs.publish("job-1", positions=[0])
        await bench.sink.answers(1)
        assert await bench.manager.stop(within=60.0)
        assert bench.jobs.terminated == ["job-1"]
        assert bench.jobs.active == 0


async def test_jobs_that_have_answered_and_left_are_not_ended(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        assert await bench.manager.stop(within=60.0)
        assert not bench.jobs.terminated


async def test_a_stop_does_not_fail_for_not_knowing_whether_jobs_that_have_answered_have_left(benches: Benches):
    async with benches(run=lambda call: b"x") as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        bench.jobs.faults.append(Stall("describe"))
        assert await bench.manager.stop(within=10.0)
