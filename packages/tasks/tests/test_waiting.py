"""Jobs that wait: what for is told, and only what will not come is given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobReport, JobStatus
from scaler_batch.payload import Status
from scaler_batch.tasks.errors import JobFailedError, UnschedulableError
from scaler_batch.tasks.waiting import Wait, reason_of

pytestmark = pytest.mark.looptime(end=500_000)

Benches = Any

RESOURCE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments have no connected instances"
LIMIT = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - All compute environments have a maxvCpus setting"
ROLE = "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - The service role has no permission"
CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no capacity"


@pytest.mark.parametrize("reason", [RESOURCE, LIMIT])
async def test_a_machine_that_is_too_small_is_believed_after_ten_minutes(benches: Benches, reason: str):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.wait_for("job-1", reason)
        await asyncio.sleep(590)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, UnschedulableError)
        assert reason in str(error)
        assert asyncio.get_running_loop().time() < 700
        assert bench.jobs.terminated == ["job-1"]


async def test_an_environment_that_starts_its_first_machine_costs_no_task(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        for _ in range(5):
            bench.jobs.wait_for("job-1", RESOURCE)
            await asyncio.sleep(400)
            bench.jobs.wait_for("job-1")
            await asyncio.sleep(100)
        bench.jobs.start("job-1")
        await asyncio.sleep(60)
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].status is Status.SUCCESS


@pytest.mark.parametrize(
    "reason", [ROLE, CAPACITY, "ACTION_REQUIRED - x", "UNDETERMINED - x", "MISCONFIGURATION:NEW - x"]
)
async def test_what_somebody_may_mend_is_waited_for(benches: Benches, reason: str):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.wait_for("job-1", reason)
        await asyncio.sleep(10_000)
        assert not bench.sink.announced
        assert bench.manager.snapshot().waiting == {reason.split(" ")[0]: 1}


async def test_patience_is_a_setting(benches: Benches):
    async with benches(misconfiguration_patience=60.0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.wait_for("job-1", RESOURCE)
        await bench.sink.answers(1)
        assert 60 <= asyncio.get_running_loop().time() < 120


async def test_the_parent_of_an_array_says_nothing_and_a_child_does(benches: Benches):
    async with benches() as bench:
        job = await bench.array(3)
        bench.jobs.wait_for(job, RESOURCE)
        await asyncio.sleep(300)
        assert bench.manager.snapshot().waiting == {RESOURCE.split(" ")[0]: 3}
        await bench.sink.answers(4)
        error = bench.sink.results[b"t2"]
        assert isinstance(error, UnschedulableError)
        assert error.job_id == f"{job}:2"


async def test_a_reason_is_said_once_however_many_jobs_wait_and_once_when_it_goes(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with benches() as bench:
        for number in range(3):
            bench.ask(f"t{number}")
            await bench.submitted(number + 1)
            bench.jobs.wait_for(f"job-{number + 1}", CAPACITY)
        await asyncio.sleep(1000)
        assert caplog.text.count("and AWS Batch says why") == 1
        assert CAPACITY in caplog.text
        for number in range(3):
            bench.jobs.start(f"job-{number + 1}")
            bench.jobs.wait_for(f"job-{number + 1}")
        await asyncio.sleep(100)
        assert caplog.text.count("no job waits any more for CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY") == 1
        assert bench.manager.snapshot().waiting == {}


async def test_what_a_job_waited_for_is_told_when_it_fails(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.wait_for("job-1", ROLE)
        await asyncio.sleep(100)
        bench.jobs.die("job-1", exit_code=None, status_reason="Job cancelled by operator")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, JobFailedError)
        assert f"waited for: {ROLE}" in str(error)


async def test_what_it_waited_for_before_it_ran_is_not(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        bench.jobs.wait_for("job-1", CAPACITY)
        await asyncio.sleep(100)
        bench.jobs.start("job-1")
        bench.jobs.wait_for("job-1")
        await asyncio.sleep(100)
        bench.jobs.die("job-1", exit_code=1)
        await bench.sink.answers(1)
        assert "CAPACITY" not in str(bench.sink.results[b"a"])


async def test_a_job_in_an_unknown_state_is_watched_on_with_a_warning_and_others_go_on(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches() as bench:
        for number, name in enumerate("ab", start=1):
            bench.ask(name)
            await bench.submitted(number)
        bench.jobs.turn_unknown("job-1")
        await asyncio.sleep(500)
        assert caplog.text.count("a state that this release does not know") == 1
        bench.jobs.die("job-2")
        await bench.sink.answers(1)
        bench.jobs.succeed("job-1", value=b"done")
        await bench.sink.answers(2)
        assert bench.sink.results[b"a"].value == b"done"


@given(st.text(max_size=200), st.sampled_from(JobStatus))
def test_any_text_of_aws_can_be_read(text: str, status: JobStatus):
    reason = reason_of(JobReport("job", status, status_reason=text))
    assert text.startswith(reason)
    assert len(reason) <= 130


@given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from([RESOURCE, LIMIT, ROLE, ""])), max_size=30))
def test_a_wait_is_hopeless_only_where_one_reason_has_stood_for_its_patience(steps: list[tuple[float, str]]):
    wait, now, since, before = Wait(), 0.0, 0.0, ""
    for seconds, said in steps:
        now += seconds
        since = since if said == before else now
        before = said
        wait.note(JobReport("job", JobStatus.RUNNABLE, status_reason=said), now)
        assert wait.is_hopeless(now, 600.0) == (said in (RESOURCE, LIMIT) and now - since >= 600.0)
