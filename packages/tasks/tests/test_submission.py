"""From waiting tasks to jobs: who leaves together, how the pack travels, and who is left behind."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from scaler_batch.payload.contract import PACK_IN_STORE, PACK_PARAMETER, RUN_PARAMETER, SEQUENCE_PARAMETER
from scaler_batch.tasks.errors import InputUnavailableError, StorageUnavailableError, SubmitRejectedError
from scaler_batch.tasks.state.loading import GRACE
from scaler_batch.tasks.state.objects import FRESH, UNUSED
from scaler_batch.tasks.testing import Reject, Stall

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def test_a_lone_task_leaves_at_once_as_a_single_job(benches: Benches):
    async with benches() as bench:
        bench.ask("a")
        await bench.jobs.has_taken(1)
        assert asyncio.get_running_loop().time() < 0.01
        (submission,) = bench.jobs.submissions.values()
        assert submission.spec.size == 1
        assert submission.spec.name == "scaler-batch-run-1-1"
        assert submission.spec.parameters[RUN_PARAMETER] == "s3://bucket/runs/run-1?region=eu-west-1"
        assert submission.spec.parameters[SEQUENCE_PARAMETER] == "1"


async def test_what_gathers_during_a_submission_leaves_as_one_array(benches: Benches):
    stall = Stall()
    async with benches(faults=[stall]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        for name in "abcde":
            bench.ask(name)
            await asyncio.sleep(1)
        assert not bench.jobs.submissions
        stall.until.set()
        await bench.submitted(2)
        assert bench.names("job-1") == ["first"]
        assert bench.names("job-2") == ["a", "b", "c", "d", "e"]
        assert bench.jobs.submissions["job-2"].spec.size == 5
        assert [job.index for job in bench.jobs.submissions["job-2"].jobs] == [0, 1, 2, 3, 4]


async def test_higher_priority_leaves_first_and_equals_in_order_of_arrival(benches: Benches):
    async with benches(max_concurrent_jobs=1) as bench:
        bench.ask("running")
        await bench.submitted()
        for name, priority in [("a", 0), ("b", 0), ("urgent", 9), ("c", 0), ("later", -1), ("soon", 9)]:
            bench.ask(name, priority=priority)
        for count in range(1, 8):
            await bench.submitted(count)
            bench.jobs.succeed(f"job-{count}")
        await bench.sink.answers(7)
        assert bench.answered() == ["running", "urgent", "soon", "a", "b", "c", "later"]


async def test_no_more_jobs_are_in_flight_than_allowed_and_freed_slots_are_filled_together(benches: Benches):
    async with benches(max_concurrent_jobs=4) as bench:
        for number in range(10):
            bench.ask(f"t{number}")
        await bench.submitted()
        await asyncio.sleep(100)
        assert bench.names("job-1") == ["t0", "t1", "t2", "t3"]
        assert len(bench.jobs.submissions) == 1
        bench.jobs.succeed("job-1", 1)
        bench.jobs.raise_("job-1", 3)
        await bench.submitted(2)
        assert bench.names("job-2") == ["t4", "t5"]
        bench.jobs.die("job-1", 0)
        await bench.submitted(3)
        assert bench.names("job-3") == ["t6"]
        assert bench.jobs.peak == 4


async def test_a_small_pack_travels_inline_and_touches_no_store(benches: Benches):
    async with benches() as bench:
        bench.ask("a", b"small")
        await bench.submitted()
        assert not bench.jobs.submissions["job-1"].spec.parameters[PACK_PARAMETER].startswith(PACK_IN_STORE)
        assert bench.jobs.jobs[0].calls[0].arguments == (b"small", b"a")
        assert not bench.store.objects
        assert not bench.store.calls["put"]


async def test_a_large_pack_is_in_the_store_before_its_job_is_submitted(benches: Benches):
    async with benches(inline_limit=100) as bench:
        bench.ask("a", bytes(range(256)) * 3)
        await bench.submitted()
        digest = hashlib.sha256(bench.store.objects["packs/1"]).hexdigest()
        assert bench.jobs.submissions["job-1"].spec.parameters[PACK_PARAMETER] == f"{PACK_IN_STORE}{digest}"
        assert list(bench.store.objects) == ["packs/1"]
        assert bench.jobs.jobs[0].calls[0].arguments == (bytes(range(256)) * 3, b"a")


async def test_an_input_that_many_tasks_share_is_loaded_once_a_batch_and_packed_once(benches: Benches):
    stall = Stall()
    async with benches(inline_limit=0, faults=[stall]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        shared = bytes(range(256)) * 1000
        requests = [bench.ask(f"t{number}", shared, b"%d" % number) for number in range(50)]
        stall.until.set()
        await bench.submitted(2)
        assert bench.inputs.loads[requests[0].arguments[0]] == 1
        assert bench.inputs.loads[requests[0].function] == 2, "once for each of the two batches"
        assert len(bench.store.objects["packs/2"]) < 2 * len(shared)
        assert [bytes(job.calls[0].arguments[0]) for job in bench.jobs.submissions["job-2"].jobs] == [shared] * 50


async def test_no_more_inputs_are_fetched_at_a_time_than_allowed(benches: Benches):
    async with benches(transfers=2) as bench:
        gate = asyncio.Event()
        request = bench.request("a", *(b"%d" % number for number in range(8)))
        bench.inputs.slow = dict.fromkeys(request.arguments, gate)
        bench.manager.submit(request)
        await asyncio.sleep(1)
        assert sum(bench.inputs.loads[name] for name in request.arguments) == 2
        gate.set()
        await bench.submitted()


async def test_a_missing_input_fails_only_its_task(benches: Benches):
    stall = Stall()
    async with benches(faults=[stall]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        bench.ask("a")
        missing = bench.ask("missing", b"gone")
        bench.ask("b")
        del bench.inputs.objects[missing.arguments[0]]
        stall.until.set()
        await bench.sink.answers(1)
        assert isinstance(bench.sink.results[b"missing"], InputUnavailableError)
        assert missing.arguments[0].hex() in str(bench.sink.results[b"missing"])
        await bench.submitted(2)
        assert bench.names("job-2") == ["a", "b"]


async def test_a_batch_without_a_task_that_has_its_inputs_is_no_job(benches: Benches):
    async with benches() as bench:
        request = bench.request("missing")
        bench.inputs.objects.clear()
        bench.manager.submit(request)
        await bench.sink.answers(1)
        assert not bench.jobs.calls


async def test_a_rejected_submission_answers_each_task_with_what_to_do(benches: Benches):
    async with benches(faults=[Stall(), Reject()]) as bench:
        stall, _ = bench.jobs.faults
        bench.ask("first")
        await asyncio.sleep(1)
        for name in "abc":
            bench.ask(name)
        stall.until.set()
        await bench.sink.answers(3)
        for name in (b"a", b"b", b"c"):
            error = bench.sink.results[name]
            assert isinstance(error, SubmitRejectedError)
            assert "queue and definition exist" in str(error)
            assert "job queue does not exist" in str(error), "AWS's own words"
        bench.ask("next")
        await bench.submitted(2)
        assert bench.names("job-2") == ["next"]


async def test_a_store_that_takes_no_pack_fails_the_batch_and_no_job_is_made(benches: Benches):
    async with benches(inline_limit=0) as bench:
        bench.store.broken["put"] = 1
        bench.ask("a")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, StorageUnavailableError)
        assert "503 on put" in str(error)
        assert not bench.jobs.calls["submit"]


async def test_a_task_cancelled_while_its_inputs_are_loading_is_never_submitted(benches: Benches):
    async with benches() as bench:
        gate = asyncio.Event()
        slow = bench.request("slow", b"large")
        bench.inputs.slow[slow.arguments[0]] = gate
        bench.manager.submit(slow)
        await asyncio.sleep(1)
        bench.manager.cancel(b"slow", force=True)
        gate.set()
        bench.ask("next")
        await bench.submitted()
        assert bench.names("job-1") == ["next"]
        assert bench.jobs.calls["submit"] == 1


async def test_a_task_cancelled_while_its_neighbours_inputs_are_loading_is_left_out(benches: Benches):
    async with benches(faults=[Stall()]) as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        gate = asyncio.Event()
        slow = bench.request("slow", b"large")
        bench.inputs.slow[slow.arguments[0]] = gate
        bench.manager.submit(slow)
        bench.ask("cancelled")
        bench.jobs.faults[0].until.set()
        await asyncio.sleep(GRACE / 2)
        bench.manager.cancel(b"cancelled", force=True)
        gate.set()
        await bench.submitted(2)
        assert bench.names("job-2") == ["slow"]
        assert not bench.jobs.terminated


async def test_a_task_cancelled_while_its_pack_is_stored_is_never_submitted(benches: Benches):
    async with benches(inline_limit=0) as bench:
        stored = asyncio.Event()
        put = bench.store.put

        async def slow_put(key: str, data: bytes) -> None:
            await put(key, data)
            await stored.wait()

        bench.store.put = slow_put
        bench.ask("a")
        await asyncio.sleep(1)
        bench.manager.cancel(b"a", force=True)
        stored.set()
        await asyncio.sleep(1)
        assert not bench.jobs.calls


LARGE = bytes(range(256)) * 20


async def test_a_large_input_is_stored_by_itself_once_and_outlives_every_submission_that_uses_it(benches: Benches):
    async with benches(object_threshold=5000, max_concurrent_jobs=1) as bench:
        for name in "ab":
            bench.ask(name, LARGE)
        await bench.submitted(1)
        [key] = bench.store.objects
        assert key.startswith("objects/")
        assert bench.jobs.jobs[0].calls[0].arguments[0] == LARGE
        bench.jobs.succeed("job-1")
        await bench.submitted(2)
        assert bench.jobs.jobs[1].calls[0].arguments[0] == LARGE
        assert bench.store.calls["put"] == 1
        assert max(bench.inputs.loads.values()) == 2, "small inputs are asked for each time"
        assert bench.inputs.loads[bench.request("c", LARGE).arguments[0]] == 1


async def test_two_names_for_the_same_data_are_one_object(benches: Benches):
    async with benches(object_threshold=5000) as bench:
        request = bench.request("a", LARGE)
        bench.inputs.objects[b"another name"] = LARGE
        bench.manager.submit(replace(request, arguments=(request.arguments[0], b"another name")))
        await bench.submitted(1)
        assert len(bench.store.objects) == 1
        assert list(bench.jobs.jobs[0].calls[0].arguments) == [LARGE, LARGE]


async def test_the_latest_objects_stay_for_the_next_submission_and_older_ones_are_removed(benches: Benches):
    async with benches(object_threshold=5000) as bench:
        for number in range(1, 3 * UNUSED):
            bench.ask(f"t{number}", LARGE + bytes([number]))
            await bench.submitted(number)
            bench.jobs.succeed(f"job-{number}")
            await bench.sink.answers(number)
        bench.ask("again", LARGE + bytes([3 * UNUSED - 1]))
        await bench.submitted(3 * UNUSED)
        assert bench.store.calls["put"] == 3 * UNUSED - 1
        bench.ask("anew", LARGE + bytes([1]))
        await bench.submitted(3 * UNUSED + 1)
        assert bench.store.calls["put"] == 3 * UNUSED


@pytest.mark.long
async def test_an_object_is_stored_anew_before_the_buckets_lifecycle_removes_it(benches: Benches):
    async with benches(object_threshold=5000) as bench:
        for number in (1, 2):
            bench.ask(f"t{number}", LARGE)
            await bench.submitted(number)
            await asyncio.sleep(FRESH)
        assert bench.store.calls["put"] == 2
        assert len(bench.store.objects) == 2


async def test_a_large_input_that_cannot_be_stored_fails_the_tasks_that_need_it(benches: Benches):
    async with benches(object_threshold=5000) as bench:
        bench.store.broken["put"] = 1
        bench.ask("a", LARGE)
        bench.ask("b")
        await bench.submitted(1)
        assert bench.names("job-1") == ["b"]
        assert isinstance(bench.sink.results[b"a"], StorageUnavailableError)
