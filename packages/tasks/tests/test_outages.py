"""S3 or AWS Batch fails: for a moment nobody notices, for good the client hears of it, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import Status
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.errors import BatchUnavailableError, StorageUnavailableError
from scaler_batch.tasks.outages import CONFIRMED, CONFIRMED_OVER, Outage, Reminder
from scaler_batch.tasks.testing import Reject, Stall, StoreDenied, StoreUnavailable, Throttle

pytestmark = pytest.mark.looptime(end=500_000)

Benches = Any

PASSING = StoreError("503", key="", retryable=True)
FINAL = StoreError("denied", key="", retryable=False)


async def test_listing_that_is_denied_fails_the_tasks_after_a_minute_and_ends_their_jobs(benches: Benches):
    async with benches() as bench:
        job = await bench.array(3)
        bench.store.faults.append(StoreDenied("list", times=math.inf))
        started = asyncio.get_running_loop().time()
        await bench.sink.answers(4)
        assert 60 <= asyncio.get_running_loop().time() - started < 90
        error = bench.sink.results[b"t1"]
        assert isinstance(error, StorageUnavailableError)
        assert "AccessDenied" in str(error)
        assert error.job_id == f"{job}:1"
        await asyncio.sleep(1)
        assert bench.jobs.terminated == [job]
        assert bench.jobs.active == 0


async def test_a_permission_that_comes_back_within_a_minute_costs_nothing(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        fault = StoreDenied("list", times=math.inf)
        bench.store.faults.append(fault)
        await asyncio.sleep(50)
        bench.store.faults.remove(fault)
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].status is Status.SUCCESS


async def test_listing_that_stays_away_fails_the_tasks_when_patience_ends(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches(outage_patience=600.0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreUnavailable("list", times=math.inf))
        await asyncio.sleep(590)
        assert not bench.sink.announced
        assert caplog.text.count("cannot be listed") <= 5, "said at growing intervals"
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], StorageUnavailableError)
        assert asyncio.get_running_loop().time() < 620


async def test_tasks_that_share_a_job_are_not_run_again_when_their_storage_is_given_up(benches: Benches):
    async with benches(tasks_per_job=4) as bench:
        await bench.array(4)
        bench.store.faults.append(StoreDenied("list", times=math.inf))
        await bench.sink.answers(5)
        await asyncio.sleep(100)
        assert len(bench.jobs.submissions) == 2


async def test_no_job_is_started_in_vain_while_the_storage_is_given_up_and_jobs_are_again_when_it_is_back(
    benches: Benches,
):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        fault = StoreDenied("list", times=math.inf)
        bench.store.faults.append(fault)
        await bench.sink.answers(1)
        bench.ask("b")
        await bench.sink.answers(2)
        assert isinstance(bench.sink.results[b"b"], StorageUnavailableError)
        assert len(bench.jobs.submissions) == 1
        bench.store.faults.remove(fault)
        bench.ask("c")
        await bench.submitted(2)
        bench.jobs.succeed("job-2")
        await bench.sink.answers(3)
        assert bench.sink.results[b"c"].status is Status.SUCCESS


async def test_deaths_are_looked_for_while_a_listing_does_not_end(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(Stall("list", times=1))
        await asyncio.sleep(100)
        assert bench.jobs.calls["describe"] >= 3
        bench.jobs.die("job-1", reason="OutOfMemoryError")
        await bench.sink.answers(1)
        assert "OutOfMemoryError" in str(bench.sink.results[b"a"])


async def test_a_job_that_is_found_dead_waits_for_the_storage_which_may_hold_its_outcome(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        fault = StoreUnavailable("list", times=math.inf)
        bench.store.faults.append(fault)
        bench.jobs.publish("job-1", value=b"done")
        bench.jobs.die("job-1")
        await asyncio.sleep(500)
        assert not bench.sink.announced
        bench.store.faults.remove(fault)
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_a_dead_job_whose_storage_stays_away_fails_with_both_facts(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.store.faults.append(StoreUnavailable("list", times=math.inf))
        bench.jobs.die("job-1", status_reason="Host EC2 (instance i-0) terminated.")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, StorageUnavailableError)
        assert "503 Slow Down" in str(error)
        assert "Host EC2 (instance i-0) terminated." in str(error)


async def test_many_dead_jobs_beside_a_storage_that_is_away_are_asked_for_in_turns(benches: Benches):
    async with benches(max_concurrent_jobs=120) as bench:
        for number in range(120):
            bench.ask(f"t{number}")
            await bench.submitted(number + 1)
        fault = StoreUnavailable("list", times=math.inf)
        bench.store.faults.append(fault)
        for number in range(120):
            bench.jobs.die(f"job-{number + 1}")
        await asyncio.sleep(300)
        bench.store.faults.remove(fault)
        await bench.sink.answers(120)


async def test_aws_batch_that_does_not_tell_of_jobs_fails_their_tasks_after_a_minute(benches: Benches):
    async with benches(faults=[Reject("describe", times=math.inf, message="AccessDeniedException")]) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, BatchUnavailableError)
        assert "AccessDeniedException" in str(error)
        assert error.job_id == "job-1"
        assert 60 <= asyncio.get_running_loop().time() < 120
        await asyncio.sleep(1)
        assert bench.jobs.terminated == ["job-1"]


async def test_an_outage_of_aws_batch_is_waited_out_as_long_as_patience_lasts(benches: Benches):
    async with benches(faults=[Throttle("describe", times=math.inf)], outage_patience=600.0) as bench:
        bench.ask("a")
        await asyncio.sleep(590)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"a"], BatchUnavailableError)


async def test_outcomes_are_read_while_aws_batch_does_not_answer(benches: Benches):
    async with benches(faults=[Stall("describe")]) as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(50)
        bench.jobs.succeed("job-1", value=b"done")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"done"


async def test_aws_batch_is_tried_anew_by_the_next_job(benches: Benches):
    fault = Reject("describe", times=math.inf)
    async with benches(faults=[fault]) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        await asyncio.sleep(100)
        bench.ask("b")
        await bench.submitted(2)
        await asyncio.sleep(30)
        bench.jobs.succeed("job-2", value=b"done")
        await bench.sink.answers(2)
        assert bench.sink.results[b"b"].value == b"done"


@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from([PASSING, FINAL, None])), max_size=40))
def test_an_outage_is_hopeless_only_after_its_patience_or_when_confirmed(steps: list[tuple[float, StoreError | None]]):
    outage, now, first, finals = Outage(900.0), 0.0, math.nan, []
    for wait, error in steps:
        now += wait
        if error is None:
            outage.worked()
            first, finals = math.nan, []
            assert not outage.is_hopeless
            continue
        before = outage.is_hopeless
        first = now if math.isnan(first) else first
        finals = [] if error is PASSING else [*finals, now]
        outage.failed(error, now)
        confirmed = len(finals) >= CONFIRMED and now - finals[0] >= CONFIRMED_OVER
        assert outage.is_hopeless == (before or confirmed or now - first >= 900.0)


def test_a_reminder_comes_at_growing_intervals_and_once_an_hour_at_least():
    reminder = Reminder()
    said = [second for second in range(86_400) if reminder.is_due(second)]
    assert said[:4] == [0, 60, 180, 420]
    assert 24 <= len(said) <= 32
    assert max(later - earlier for earlier, later in itertools.pairwise(said)) == 3600
