"""That no job is made twice and none is lost, whatever becomes of SubmitJob and its answer."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from scaler_batch.tasks.errors import SubmitRejectedError
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.testing import Lag, LoseRequest, LoseResponse, Reject, Stall, Throttle

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


async def test_a_throttled_submission_is_tried_again_and_not_looked_up(benches: Benches):
    async with benches(faults=[Throttle(times=5)]) as bench:
        bench.ask("a")
        await bench.submitted()
        assert bench.jobs.calls == {"submit": 6}


async def test_throttling_for_minutes_is_waited_out_and_then_given_up(benches: Benches):
    async with benches(faults=[Throttle(times=math.inf)]) as bench:
        bench.ask("a")
        await asyncio.sleep(240)
        assert not bench.sink.announced
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, SubmitRejectedError)
        assert "submit the task again later" in str(error)
        assert bench.jobs.calls["submit"] < 60


async def test_a_job_whose_answer_was_lost_is_found_by_its_name_and_not_made_again(benches: Benches):
    async with benches(faults=[LoseResponse()]) as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(10)
        assert bench.jobs.calls["submit"] == bench.jobs.calls["find"] == 1
        bench.jobs.succeed("job-1", value=b"once")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"once"


async def test_an_array_whose_answer_was_lost_is_found_and_all_its_tasks_are_answered(benches: Benches):
    async with benches(faults=[Stall(), LoseResponse()], run=lambda call: b"x") as bench:
        bench.ask("first")
        await asyncio.sleep(1)
        for name in "abc":
            bench.ask(name)
        bench.jobs.faults[0].until.set()
        await bench.sink.answers(4)
        assert len(bench.jobs.submissions) == 2


async def test_a_job_that_was_never_taken_is_looked_for_several_times_and_then_submitted_again(benches: Benches):
    async with benches(faults=[LoseRequest()]) as bench:
        bench.ask("a")
        await bench.submitted()
        assert bench.jobs.calls == {"submit": 2, "find": 4}
        assert 20 <= asyncio.get_running_loop().time() < 21


async def test_a_job_that_is_listed_late_is_not_made_twice(benches: Benches):
    async with benches(faults=[LoseResponse(), Lag(times=3)]) as bench:
        bench.ask("a")
        await asyncio.sleep(21)
        assert bench.jobs.calls["submit"] == 1
        assert bench.manager.job_of(b"a") == "job-1"


async def test_a_lookup_that_is_throttled_is_tried_again(benches: Benches):
    async with benches(faults=[LoseResponse(), Throttle("find", times=3)]) as bench:
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(10)
        assert bench.jobs.calls == {"submit": 1, "find": 4, "describe": bench.jobs.calls["describe"]}


@pytest.mark.parametrize("fault", [Reject("find"), Throttle("find", times=math.inf)])
async def test_where_the_lookup_fails_too_the_user_is_told_which_job_to_look_for(benches: Benches, fault):
    async with benches(faults=[LoseResponse(), fault]) as bench:
        bench.ask("a")
        await bench.sink.answers(1)
        error = bench.sink.results[b"a"]
        assert isinstance(error, SubmitRejectedError)
        assert "scaler-batch-run-1-1" in str(error)
        assert bench.jobs.calls["submit"] == 1


async def test_a_doubt_stays_until_the_job_is_made_or_found(benches: Benches):
    # The first try worked and is not listed yet; after the second, throttled one it is.
    async with benches(faults=[LoseResponse(), Throttle()]) as bench:
        hidden = HideOnce(bench.jobs)
        bench.jobs.find = hidden.find
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(10)
        assert len(bench.jobs.submissions) == 1
        assert hidden.asked == 2
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)


async def test_patience_ends_with_a_lookup_and_not_with_a_lost_job(benches: Benches):
    once = Backoff(first=1.0, longest=1.0, within=0.1)
    async with benches(faults=[LoseRequest(), LoseResponse()], backoff=once) as bench:
        bench.ask("a")
        await bench.jobs.has_taken(1)
        await asyncio.sleep(10)
        assert (bench.jobs.calls["submit"], bench.jobs.calls["find"]) == (2, 5)
        bench.jobs.succeed("job-1", value=b"found")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"found"
        assert len(bench.jobs.submissions) == 1


async def test_a_refusal_after_a_lost_answer_ends_with_a_lookup_too(benches: Benches):
    async with benches(faults=[LoseResponse(), Reject()]) as bench:
        hidden = HideOnce(bench.jobs)
        bench.jobs.find = hidden.find
        bench.ask("a")
        await bench.jobs.has_taken(1)
        await asyncio.sleep(10)
        bench.jobs.succeed("job-1", value=b"found")
        await bench.sink.answers(1)
        assert bench.sink.results[b"a"].value == b"found"


class HideOnce:
    """A lookup that does not see a new job at once."""

    def __init__(self, jobs) -> None:
        self._find = jobs.find
        self.asked = 0

    async def find(self, name: str, queue: str) -> str | None:
        self.asked += 1
        return None if self.asked == 1 else await self._find(name, queue)
