"""The doubles keep AWS's limits, so that whoever tests against them does not meet those limits on AWS first."""

from __future__ import annotations

import asyncio
import math
import pickle
import random
from dataclasses import replace

import pytest

from scaler_batch.aws import JobReport, JobShape, JobSpec, JobStatus, ServiceError
from scaler_batch.payload import (
    Call,
    Origin,
    Outcome,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    decode_outcomes,
    encode_pack,
    place,
)
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.errors import InputError
from scaler_batch.tasks.models import TaskRequest
from scaler_batch.tasks.testing import (
    ANY,
    FakeJobService,
    Fault,
    HideChildren,
    LoseRequest,
    LoseResponse,
    MemoryInputs,
    RecordingSink,
    Reject,
    Spare,
    Stall,
    Throttle,
    Vanish,
)

pytestmark = pytest.mark.looptime(end=10_000)


RUN = RunLocation("bucket", "", "run", "us-east-1")
SEALS = RunSeal(RUN, Seal(bytes(32))).submission(1)
KEY = SEALS.key.reveal()


def published(store: MemoryStore, child: int | None) -> tuple[list[Outcome], Origin]:
    """What a job has published, as the task manager reads it."""
    seal = SEALS.job(child)
    return decode_outcomes(seal.open(seal.outcome_key(), store.objects[seal.outcome_key()]))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def spec(size: int = 1, *, name: str = "name", timeout: int = 60, sequence: int = 1, argument: bytes = b"a") -> JobSpec:
    pack = encode_pack([[Call(b"s", b"f", (argument, b"%d" % number))] for number in range(size)])
    inline = place(pack, inline_limit=pack.size).parameter
    parameters = {"run": str(RUN), "sequence": str(sequence), "pack": inline, "key": KEY}
    return JobSpec(name, JobShape("queue", "definition", timeout), parameters, size)


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (spec(name="a b"), "pattern"),
        (spec(name="n" * 129), "pattern"),
        (spec(name=""), "pattern"),
        (spec(timeout=59), "60"),
        (JobSpec("name", spec().shape, spec().parameters, 0), "array size"),
        (JobSpec("name", spec().shape, spec().parameters, 10_001), "array size"),
        (spec(argument=pickle.dumps(list(range(20_000)))), "30 KiB"),
    ],
)
async def test_what_aws_refuses_is_refused(store: MemoryStore, job: JobSpec, text: str):
    jobs = FakeJobService(store)
    with pytest.raises(ServiceError, match=text) as caught:
        await jobs.submit(job)
    assert not caught.value.retryable
    assert not jobs.submissions


async def test_overrides_that_are_too_long_fail_the_job_after_it_was_taken(store: MemoryStore):
    jobs = FakeJobService(store, run=lambda call: b"x")
    job_id = await jobs.submit(spec(argument=random.Random(1).randbytes(7000)))
    report = (await jobs.describe([job_id]))[job_id]
    assert report.status is JobStatus.FAILED
    assert "Container Overrides length must be at most 8192" in report.status_reason


async def test_a_pack_that_does_not_fit_its_array_is_a_mistake_of_the_sender(store: MemoryStore):
    with pytest.raises(AssertionError, match="3 jobs and a pack of 2"):
        await FakeJobService(store).submit(JobSpec("name", spec().shape, spec(2).parameters, 3))


async def test_a_job_without_its_pack_fails_as_the_runner_does(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(JobSpec("name", spec().shape, {**spec().parameters, "pack": f"sha256:{'0' * 64}"}, 1))
    jobs.succeed(job_id)
    assert (await jobs.describe([job_id]))[job_id].exit_code == 66
    assert not store.objects


async def test_children_hold_their_own_calls_and_report_by_their_place(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec(3))
    assert [[call.arguments[1] for call in job.calls or ()] for job in jobs.jobs] == [[b"0"], [b"1"], [b"2"]]
    jobs.start(job_id)
    jobs.die(job_id, 1, exit_code=137, reason="OutOfMemoryError")
    assert (await jobs.describe([job_id]))[job_id] == JobReport(job_id, JobStatus.PENDING, failed_children=1)
    (child,) = await jobs.failed_children(job_id)
    assert (child.job_id, child.index, child.exit_code, child.reason) == ("job-1:1", 1, 137, "OutOfMemoryError")
    assert child.attempt == 0, "a listing says nothing of attempts"
    assert (await jobs.describe(["job-1:0"]))["job-1:0"].status is JobStatus.RUNNING
    jobs.succeed(job_id)
    assert (await jobs.describe([job_id]))[job_id].status is JobStatus.FAILED


async def test_an_array_whose_children_all_succeed_succeeds(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec(2))
    jobs.succeed(job_id)
    assert (await jobs.describe([job_id]))[job_id].status is JobStatus.SUCCEEDED
    assert sorted(store.objects) == sorted(SEALS.job(child).outcome_key() for child in (0, 1))


async def test_the_first_outcome_stands(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec())
    jobs.publish(job_id, value=b"first")
    jobs.succeed(job_id, value=b"second")
    jobs.die(job_id)
    (outcome,), origin = published(store, None)
    assert (outcome.status, bytes(outcome.value)) == (Status.SUCCESS, b"first")
    assert origin.job == "job-1"
    assert (await jobs.describe([job_id]))[job_id].status is JobStatus.SUCCEEDED, "over is over"


async def test_a_function_is_run_for_every_call(store: MemoryStore):
    def run(call: Call) -> bytes:
        if call.arguments[1] == b"1":
            raise KeyError("one")
        if call.arguments[1] == b"2":
            raise SystemExit(3)
        return bytes(call.arguments[0]) * 2

    jobs = FakeJobService(store, run=run, seconds=5.0)
    job_id = await jobs.submit(spec(3))
    assert jobs.active == jobs.peak == 3
    await asyncio.sleep(4.9)
    assert not store.objects
    await asyncio.sleep(0.2)
    assert sorted(store.objects) == sorted(SEALS.job(child).outcome_key() for child in (0, 1))
    assert bytes(published(store, 0)[0][0].value) == b"aa"
    assert published(store, 1)[0][0].status is Status.RAISED
    (dead,) = await jobs.failed_children(job_id)
    assert (dead.index, dead.exit_code) == (2, 3)
    assert jobs.active == 0


async def test_requests_are_counted_as_aws_counts_them(store: MemoryStore):
    jobs = FakeJobService(store, latency=0.5)
    await jobs.describe([f"job-{number}" for number in range(250)])
    assert jobs.calls == {"describe": 3}
    job_id = await jobs.submit(spec(1500))
    jobs.die(job_id)
    assert len(await jobs.failed_children(job_id)) == 1500
    assert jobs.calls == {"describe": 3, "submit": 1, "failed_children": 2}
    assert asyncio.get_running_loop().time() == pytest.approx(1.5, abs=0.01)


async def test_a_terminated_job_ends_after_its_grace_unless_it_was_over(store: MemoryStore):
    jobs = FakeJobService(store, grace=30.0)
    job_id = await jobs.submit(spec(3))
    jobs.succeed(job_id, 2)
    await jobs.terminate(f"{job_id}:0", "one")
    await jobs.terminate("job-7", "nobody")
    await asyncio.sleep(29)
    assert jobs.active == 2
    await asyncio.sleep(2)
    assert [job.status for job in jobs.jobs] == [JobStatus.FAILED, JobStatus.RUNNABLE, JobStatus.SUCCEEDED]
    await jobs.terminate(job_id, "all")
    await asyncio.sleep(31)
    assert [job.status_reason for job in jobs.jobs] == ["one", "all", "Essential container in task exited"]
    assert jobs.terminated == [f"{job_id}:0", "job-7", job_id]


async def test_jobs_are_found_by_name_and_queue(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec(name="one"))
    assert await jobs.find("one", "queue") == job_id
    assert await jobs.find("one", "elsewhere") is None
    assert await jobs.find("two", "queue") is None


@pytest.mark.parametrize(
    ("fault", "retryable", "ambiguous", "taken"),
    [
        (Throttle(), True, False, 0),
        (LoseRequest(), True, True, 0),
        (LoseResponse(), True, True, 1),
        (Reject(message="no such queue"), False, False, 0),
    ],
)
async def test_a_fault_says_what_the_caller_can_know(
    store: MemoryStore, fault: Fault, retryable: bool, ambiguous: bool, taken: int
):
    jobs = FakeJobService(store, faults=[fault])
    with pytest.raises(ServiceError) as caught:
        await jobs.submit(spec())
    assert (caught.value.retryable, caught.value.ambiguous) == (retryable, ambiguous)
    assert len(jobs.submissions) == taken
    assert await jobs.submit(spec()), "used up"


async def test_faults_take_their_turns_and_their_operations(store: MemoryStore):
    jobs = FakeJobService(store, faults=[Throttle("describe"), Reject(times=1), Throttle(ANY, times=math.inf)])
    with pytest.raises(ServiceError, match="does not exist"):
        await jobs.submit(spec())
    for _ in range(3):
        with pytest.raises(ServiceError, match="rate exceeded"):
            await jobs.submit(spec())
    with pytest.raises(ServiceError, match="rate exceeded"):
        await jobs.describe([])
    jobs.faults.clear()
    assert await jobs.describe([]) == {}


@pytest.mark.parametrize("after", [True, False])
async def test_a_call_stalls_before_or_after_its_effect(store: MemoryStore, after: bool):
    stall = Stall(after=after)
    jobs = FakeJobService(store, faults=[stall])
    async with asyncio.TaskGroup() as group:
        submit = group.create_task(jobs.submit(spec()))
        await asyncio.sleep(1)
        assert not submit.done()
        assert len(jobs.submissions) == after
        stall.until.set()
    assert submit.result() == "job-1"


async def test_jobs_and_children_can_be_hidden(store: MemoryStore):
    jobs = FakeJobService(store, faults=[Vanish(job_id="job-1"), HideChildren()])
    for sequence in (1, 2):
        await jobs.submit(spec(2, sequence=sequence))
    assert list(await jobs.describe(["job-1", "job-2"])) == ["job-2"]
    jobs.die("job-2", 0)
    assert await jobs.failed_children("job-2") == []
    assert len(await jobs.failed_children("job-2")) == 1


async def test_waiting_for_submissions_ends_with_the_last_of_them(store: MemoryStore):
    jobs = FakeJobService(store, latency=1.0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(jobs.has_taken(2))
        await jobs.submit(spec())
        await asyncio.sleep(1)
        assert not waiting.done()
        await jobs.submit(spec(sequence=2))


async def test_inputs_are_held_once_and_missing_ones_said_so():
    inputs = MemoryInputs()
    one = inputs.request(b"1", Call(b"s", b"f", (b"shared", b"one")), priority=3, context="seen again")
    two = inputs.request(b"2", Call(b"s", b"f", (b"shared", b"two")))
    assert one.arguments[0] == two.arguments[0]
    assert one.arguments[1] != two.arguments[1]
    assert (one.priority, one.context) == (3, "seen again")
    assert await inputs.load(one.arguments[1]) == b"one"
    with pytest.raises(InputError, match="6e6f6e65"):
        await inputs.load(b"none")
    assert inputs.loads == {one.arguments[1]: 1, b"none": 1}


async def test_an_input_can_take_its_time():
    inputs = MemoryInputs()
    request = inputs.request(b"1", Call(b"s", b"f"))
    gate = inputs.slow[request.function] = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        load = group.create_task(inputs.load(request.function))
        await asyncio.sleep(1)
        assert not load.done()
        gate.set()
    assert load.result() == b"f"


@pytest.mark.parametrize("first", ["announce", "discard"])
@pytest.mark.parametrize("second", ["announce", "discard"])
async def test_a_second_ending_of_a_request_is_an_error(first: str, second: str):
    sink = RecordingSink()
    request, again = (TaskRequest(b"a", b"s", b"f") for _ in range(2))
    getattr(sink, first)(request, "result")
    with pytest.raises(AssertionError, match="twice"):
        getattr(sink, second)(request, "result")
    getattr(sink, second)(again, "result")
    assert len(sink.announced) + len(sink.discarded) == 2


async def test_many_jobs_are_ended_fifty_a_request(store: MemoryStore):
    jobs = FakeJobService(store, faults=[Spare(job_id="job-1")])
    for sequence in range(1, 4):
        await jobs.submit(spec(sequence=sequence))
    ids = ["job-1", "job-2", *(f"unknown-{number}" for number in range(60))]
    assert await jobs.terminate_many(ids, "enough") == ["job-1"]
    assert await jobs.terminate_many(["job-1"], "enough") == []
    await asyncio.sleep(0.1)
    assert jobs.calls["terminate_many"] == 3
    assert [job.status for job in jobs.jobs] == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.RUNNABLE]
    report = (await jobs.describe(["job-1"]))["job-1"]
    assert (report.terminated, report.status_reason) == (True, "enough")


async def test_a_job_that_was_over_is_not_ended_by_whoever_asks_for_it(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec())
    jobs.die(job_id)
    await jobs.terminate(job_id, "late")
    await asyncio.sleep(0.1)
    assert not (await jobs.describe([job_id]))[job_id].terminated


async def test_jobs_that_are_not_over_are_found_by_the_beginning_of_their_names(store: MemoryStore):
    jobs = FakeJobService(store)
    for sequence, name in enumerate(("run-1", "run-2", "Run-3", "other"), 1):
        await jobs.submit(spec(name=name, sequence=sequence))
    jobs.die("job-2")
    assert await jobs.named("run-", "queue") == ["job-1"]
    assert await jobs.named("run-", "elsewhere") == []


async def test_the_log_of_a_job_that_ran_can_be_read_from_its_end(store: MemoryStore):
    jobs = FakeJobService(store)
    job_id = await jobs.submit(spec(2))
    child = f"{job_id}:1"
    jobs.logs[child] = ["one", "two", "three"]
    assert await jobs.tail((await jobs.describe([child]))[child], 2) == ()
    jobs.die(job_id)
    report = (await jobs.describe([child]))[child]
    assert (report.index, report.attempt) == (1, 1)
    assert await jobs.tail(report, 2) == ("two", "three")
    (first, _) = await jobs.failed_children(job_id)
    assert await jobs.tail(first, 2) == (), "a listing names no log"


@pytest.mark.parametrize("attempts", [0, 11])
async def test_attempts_are_one_to_ten(store: MemoryStore, attempts: int):
    plain = spec()
    job = replace(plain, shape=replace(plain.shape, attempts=attempts))
    with pytest.raises(ServiceError, match="attempts"):
        await FakeJobService(store).submit(job)
