"""Several tasks a job: how they are grouped, answered, and what becomes of them when their job dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scaler_batch.payload import Outcome
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks import Stage
from scaler_batch.tasks.errors import JobFailedError, OutcomeUnreadableError, StorageUnavailableError
from scaler_batch.tasks.testing import Stall

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def bundle(bench: Any, count: int) -> str:
    """Submit so many tasks, named t0, t1, …, as one submission, and return its id."""
    stall = Stall()
    bench.jobs.faults.append(stall)
    before = len(bench.jobs.submissions)
    bench.ask("first")
    await asyncio.sleep(0.01)
    for number in range(count):
        bench.ask(f"t{number}")
    stall.until.set()
    await bench.submitted(before + 2)
    return f"job-{before + 2}"


def values(bench: Any) -> dict[str, bytes]:
    results = bench.sink.results.items()
    return {name.decode(): bytes(found.value) for name, found in results if isinstance(found, Outcome)}


async def test_tasks_share_jobs_and_jobs_share_an_array(benches: Benches):
    async with benches(tasks_per_job=3) as bench:
        job_id = await bundle(bench, 7)
        jobs = bench.jobs.submissions[job_id].jobs
        assert [[bytes(call.arguments[-1]) for call in job.calls] for job in jobs] == [
            [b"t0", b"t1", b"t2"],
            [b"t3", b"t4", b"t5"],
            [b"t6"],
        ]


@pytest.mark.parametrize("tasks_per_job", [3, "auto"])
async def test_a_task_that_asks_for_a_job_of_its_own_shares_none(benches: Benches, tasks_per_job: Any):
    async with benches(tasks_per_job=tasks_per_job, max_concurrent_jobs=2, run=lambda call: b"", seconds=0.1) as bench:
        for number in range(12):
            bench.manager.submit(replace(bench.request(f"t{number}"), alone=number in (0, 5)))
        await bench.sink.answers(12)
        bundles = [{bytes(call.arguments[-1]) for call in job.calls or ()} for job in bench.jobs.jobs]
        assert {b"t0"} in bundles
        assert {b"t5"} in bundles
        assert max(map(len, bundles)) > 1
        assert sum(map(len, bundles)) == 12


async def test_a_task_can_be_traced_to_its_job_until_it_is_answered(benches: Benches):
    async with benches() as bench:
        bench.sink.gate.clear()
        bench.ask("t0")
        await bench.submitted()
        bench.jobs.succeed("job-1")
        await bench.sink.is_preparing()
        assert bench.manager.snapshot().jobs == 0
        assert bench.manager.job_of(b"t0") == "job-1"
        bench.sink.gate.set()
        await bench.sink.answers(1)
        assert bench.manager.job_of(b"t0") is None


async def test_tasks_that_share_a_job_can_be_traced_to_it(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        assert bench.manager.job_of(b"t0") is None
        job_id = await bundle(bench, 3)
        assert [bench.manager.job_of(name) for name in (b"t0", b"t1", b"t2")] == [f"{job_id}:{n}" for n in (0, 0, 1)]
        assert bench.manager.job_of(b"first") == "job-1"
        bench.jobs.succeed(job_id)
        await bench.sink.answers(3)
        assert bench.manager.job_of(b"t0") is None


async def test_slots_are_jobs_and_not_tasks(benches: Benches):
    async with benches(tasks_per_job=10, max_concurrent_jobs=2) as bench:
        await bundle(bench, 35)
        assert bench.jobs.active == 2
        assert bench.manager.snapshot().jobs == 2
        assert bench.manager.snapshot().stages[Stage.QUEUED] == 25


async def test_every_task_of_a_job_gets_its_own_outcome(benches: Benches):
    async with benches(tasks_per_job=4) as bench:
        job_id = await bundle(bench, 4)
        bench.jobs.succeed(job_id, value=lambda call: bytes(call.arguments[-1]) * 2)
        await bench.sink.answers(4)
        assert values(bench) == {f"t{number}": f"t{number}".encode() * 2 for number in range(4)}
        assert bench.manager.snapshot().jobs == 1, "the first, and this one no more"


async def test_outcomes_are_answered_as_they_come_while_their_job_runs_on(benches: Benches):
    async with benches(tasks_per_job=4) as bench:
        job_id = await bundle(bench, 4)
        bench.jobs.publish(job_id, value=b"early", positions=[1, 3])
        await bench.sink.answers(2)
        assert set(values(bench)) == {"t1", "t3"}
        assert bench.manager.snapshot().jobs == 2
        bench.jobs.publish(job_id, value=b"late", positions=[0, 2])
        await bench.sink.answers(4)
        assert values(bench) == {"t1": b"early", "t3": b"early", "t0": b"late", "t2": b"late"}
        assert bench.manager.snapshot().jobs == 1


async def test_what_a_dead_job_has_left_undone_runs_again_one_by_one(benches: Benches):
    async with benches(tasks_per_job=3) as bench:
        job_id = await bundle(bench, 3)
        bench.jobs.publish(job_id, value=b"done", positions=[1])
        bench.jobs.die(job_id, exit_code=137)
        await bench.submitted(3)
        again = bench.jobs.submissions["job-3"].jobs
        assert [[bytes(call.arguments[-1]) for call in job.calls] for job in again] == [[b"t0"], [b"t2"]]
        bench.jobs.die("job-3", 0, exit_code=137)
        bench.jobs.succeed("job-3", 1, value=b"second")
        await bench.sink.answers(3)
        assert values(bench) == {"t1": b"done", "t2": b"second"}
        assert isinstance(bench.sink.results[b"t0"], JobFailedError)
        assert len(bench.jobs.submissions) == 3


async def test_a_late_answer_of_a_dead_job_is_not_lost_and_its_task_not_run_again(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        job_id = await bundle(bench, 2)
        bench.jobs.publish(job_id, value=b"done", positions=[0])
        bench.jobs.die(job_id)
        await bench.sink.answers(1)
        await bench.submitted(3)
        assert bench.names("job-3") == ["t1"]


async def test_a_job_whose_tasks_are_all_cancelled_is_ended_and_one_with_a_task_left_is_not(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        job_id = await bundle(bench, 2)
        bench.manager.cancel(b"t0", force=True)
        await asyncio.sleep(5)
        assert not bench.jobs.terminated
        bench.manager.cancel(b"t1", force=True)
        await asyncio.sleep(5)
        assert bench.jobs.terminated == [job_id]


async def test_a_cancelled_task_is_not_run_again_when_its_job_dies(benches: Benches):
    async with benches(tasks_per_job=3) as bench:
        job_id = await bundle(bench, 3)
        bench.manager.cancel(b"t0", force=True)
        bench.jobs.die(job_id)
        await bench.submitted(3)
        assert bench.names("job-3") == ["t1", "t2"]


async def test_outcomes_that_cannot_be_fetched_fail_their_tasks_and_no_others(benches: Benches):
    async with benches(tasks_per_job=3) as bench:
        job_id = await bundle(bench, 3)
        get = bench.store.get

        async def denied(key: str) -> bytes:
            if key == bench.outcome(2):
                raise StoreError("AccessDenied", key=key, retryable=False)
            return await get(key)

        bench.store.get = denied
        bench.jobs.publish(job_id, positions=[0])
        await asyncio.sleep(1)
        bench.jobs.publish(job_id, value=b"fine", positions=[1, 2])
        await bench.sink.answers(2)
        assert values(bench) == {"t1": b"fine", "t2": b"fine"}
        bench.jobs.succeed(job_id)
        await bench.sink.answers(3)
        assert isinstance(bench.sink.results[b"t0"], StorageUnavailableError)


async def test_outcomes_that_cannot_be_read_are_said_so(benches: Benches):
    async with benches(tasks_per_job=2) as bench:
        await bundle(bench, 2)
        bench.put(2, b"garbage")
        await asyncio.sleep(1)
        bench.jobs.die("job-2")
        await bench.sink.answers(2)
        assert isinstance(bench.sink.results[b"t1"], OutcomeUnreadableError)


async def test_processes_travel_with_bundles_only(benches: Benches):
    async with benches(tasks_per_job=2, processes=4) as bench:
        job_id = await bundle(bench, 2)
        [job] = bench.jobs.submissions[job_id].jobs
        [first] = bench.jobs.submissions["job-1"].jobs
        assert (job.bundle.processes, first.bundle.processes) == (4, 0)


async def test_auto_spreads_a_few_tasks_and_gathers_many_short_ones(benches: Benches):
    async with benches(tasks_per_job="auto", max_concurrent_jobs=10, run=lambda call: b"", seconds=1.0) as bench:
        for number in range(5):
            bench.ask(f"few{number}")
        await bench.sink.answers(5)
        assert len(bench.jobs.jobs) == 5
        for number in range(1000):
            bench.ask(f"many{number}")
        await bench.sink.answers(1005)
        assert len(bench.jobs.jobs) < 40
        assert all(isinstance(found, Outcome) for found in bench.sink.results.values())


async def test_an_interruption_brings_the_next_checkup_forward_and_answers_nothing(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(2000)
        before = bench.jobs.calls["describe"]
        bench.store.objects[bench.seal(1).interruption_key(1)] = b""
        await asyncio.sleep(15)
        assert bench.jobs.calls["describe"] > before
        assert not bench.sink.results
        bench.jobs.succeed("job-1", value=b"second attempt")
        await bench.sink.answers(1)
        assert values(bench) == {"a": b"second attempt"}


async def test_tasks_of_one_shape_go_together_and_others_apart(benches: Benches):
    async with benches() as bench:
        stall = Stall()
        bench.jobs.faults.append(stall)
        bench.ask("first")
        await asyncio.sleep(0.01)
        large = replace(bench.shape, memory=64_000, gpus=1)
        for number in range(6):
            request = bench.request(f"t{number}")
            bench.manager.submit(replace(request, shape=large) if number % 2 else request)
        stall.until.set()
        await bench.submitted(3)
        assert [bench.names(f"job-{number}") for number in (2, 3)] == [["t0", "t2", "t4"], ["t1", "t3", "t5"]]
        shapes = [submission.spec.shape for submission in bench.jobs.submissions.values()]
        assert shapes == [bench.shape, bench.shape, large]


async def test_a_thousand_tasks_take_few_calls(benches: Benches):
    """The counts that AWS bills and throttles, at the default of 100 jobs and with as many as there are tasks."""
    for slots, submissions, checkups in ((1000, 5, 5), (100, 45, 15)):
        async with benches(max_concurrent_jobs=slots, run=lambda call: b"", seconds=3.0, latency=0.02) as bench:
            for number in range(1000):
                bench.ask(f"t{number}")
            await bench.sink.answers(1000)
            calls = bench.manager.snapshot().calls
            assert calls["submit"] <= submissions
            assert calls.get("describe", 0) <= checkups
            assert bench.store.calls["put"] <= submissions
            assert bench.store.calls["get"] == 1000


async def test_a_snapshot_tells_what_was_done(benches: Benches):
    async with benches() as bench:
        for number, name in enumerate("ab", start=1):
            bench.ask(name)
            await bench.submitted(number)
        bench.jobs.succeed("job-1", value=b"x")
        bench.jobs.die("job-2", exit_code=1)
        await bench.sink.answers(2)
        snapshot = bench.manager.snapshot()
        assert snapshot.answers == {"success": 1, "JobFailedError": 1}
        assert snapshot.calls["submit"] == 2
        assert snapshot.calls["GetObject"] == 1
        assert snapshot.received > 0
