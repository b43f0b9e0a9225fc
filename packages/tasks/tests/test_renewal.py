"""Inputs of jobs that wait for long are renewed before a lifecycle of a day removes them."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload.errors import NotStoredError
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import Polling, renewal
from scaler_batch.tasks.errors import JobInputMissingError
from scaler_batch.tasks.renewal import AFTER, RenewingStore, due
from scaler_batch.tasks.testing import Stall, StoreDenied, StoreUnavailable

pytestmark = pytest.mark.looptime(end=1_000_000)

DAY = 86_400.0
WEEK = 7 * DAY

Benches = Any

RARELY = Polling(backoff_fraction=1, longest=3600)
"""A week of looks every ten seconds would take long even in virtual time."""

KEYS = st.sampled_from("abcdef")


# --- what is due ---


@given(st.dictionaries(KEYS, st.floats(0, 1e6)), st.sets(KEYS), st.floats(0, 1e6), st.floats(1, 1e6))
def test_what_is_needed_and_old_or_from_the_future_is_due_oldest_first(
    stored: dict[str, float], needed: set[str], now: float, after: float
):
    found = due(stored, needed, now, after)
    assert set(found) == {key for key in needed & stored.keys() if now - stored[key] >= after or stored[key] > now}
    assert [stored[key] for key in found] == sorted(stored[key] for key in found)


NAPS = st.lists(st.just(0.0) | st.floats(0, DAY / 8), max_size=20)


@given(NAPS, NAPS, st.floats(0, 2 * DAY))
def test_nothing_grows_a_day_old_though_the_machine_sleeps_and_the_clock_is_set_back(
    before: list[float], after: list[float], back: float
):
    age, clock, stored = 0.0, 1e9, {"key": 1e9}
    for step, asleep in enumerate((*before, 0.0, *after, *[0.0] * 300)):
        passed = asleep + 300
        age, clock = age + passed, clock + passed - (back if step == len(before) else 0.0)
        assert age < DAY
        if due(stored, ["key"], clock, AFTER):
            stored["key"], age = clock, 0.0


# --- what is renewed ---


@pytest.mark.long
async def test_inputs_of_jobs_that_wait_for_a_week_are_there_when_they_start(benches: Benches):
    async with benches(polling=RARELY, inline_limit=0, object_threshold=100) as bench:
        bench.store.lifespan = DAY
        bench.ask("a", b"large" * 100)
        await bench.submitted()
        inputs = set(bench.store.objects)
        assert {key.partition("/")[0] for key in inputs} == {"packs", "objects"}
        await asyncio.sleep(WEEK)
        bench.store.expire()
        assert set(bench.store.objects) == inputs
        assert 14 <= bench.store.calls["renew"] / len(inputs) <= WEEK / AFTER
        assert bench.manager.snapshot().calls["CopyObject"] == bench.store.calls["renew"]


async def test_without_renewing_they_are_gone(benches: Benches):
    async with benches(polling=RARELY, inline_limit=0, renew_after=2 * WEEK) as bench:
        bench.store.lifespan = DAY
        bench.ask("a")
        await bench.submitted()
        await asyncio.sleep(2 * DAY)
        bench.store.expire()
        assert not bench.store.objects


async def test_what_no_unfinished_task_needs_is_not_renewed(benches: Benches):
    async with benches(polling=RARELY, inline_limit=0, object_threshold=100) as bench:
        bench.ask("done", b"large" * 100)
        await bench.submitted()
        bench.ask("waits")
        await bench.submitted(2)
        bench.jobs.succeed("job-1")
        await bench.sink.answers(1)
        await asyncio.sleep(2 * DAY)
        assert set(bench.store.renewed) == {"packs/2"}


async def test_a_pack_is_renewed_while_aws_batch_has_not_taken_its_job_yet(benches: Benches):
    async with benches(polling=RARELY, inline_limit=0) as bench:
        bench.store.lifespan = DAY
        bench.jobs.faults.append(Stall())
        bench.ask("a")
        await asyncio.sleep(2 * DAY)
        bench.store.expire()
        assert list(bench.store.objects) == ["packs/1"]


async def test_objects_of_two_submissions_are_renewed_until_the_last_is_over(benches: Benches):
    async with benches(polling=RARELY, object_threshold=100) as bench:
        bench.ask("a", b"large" * 100)
        await bench.submitted()
        bench.ask("b", b"large" * 100)
        await bench.submitted(2)
        bench.jobs.succeed("job-1")
        await asyncio.sleep(DAY)
        [key] = set(bench.store.renewed)
        assert key.startswith("objects/")
        bench.jobs.succeed("job-2")
        await bench.sink.answers(2)
        before = len(bench.store.renewed)
        await asyncio.sleep(DAY)
        assert len(bench.store.renewed) == before


# --- what fails ---


@pytest.mark.parametrize("fault", [StoreUnavailable, StoreDenied])
async def test_a_renewal_that_fails_is_tried_until_it_works_and_said_once(
    benches: Benches, caplog: pytest.LogCaptureFixture, fault: Any
):
    async with benches(polling=RARELY, inline_limit=0) as bench:
        bench.store.lifespan = DAY
        for number, name in enumerate("abc", 1):
            bench.ask(name)
            await bench.submitted(number)
        await asyncio.sleep(AFTER - 1)
        failing = fault("renew", times=math.inf)
        bench.store.faults.append(failing)
        # What was stored just after a look is due just after another one, so that only the next one sees it.
        for _ in range(2 * 60):
            await asyncio.sleep(1)
            if said := sum("could not be renewed" in each.message for each in caplog.records):
                break
        assert said == 1
        await asyncio.sleep(3 * 3600)
        assert 3 < sum("could not be renewed" in each.message for each in caplog.records) < 12
        bench.store.faults.remove(failing)
        await asyncio.sleep(DAY - AFTER)
        bench.store.expire()
        assert len(bench.store.objects) == 3


async def test_an_input_that_somebody_removed_is_said_once_and_its_task_fails_with_a_type_of_its_own(
    benches: Benches, caplog: pytest.LogCaptureFixture
):
    async with benches(polling=RARELY, inline_limit=0) as bench:
        bench.ask("a")
        await bench.submitted()
        bench.ask("b")
        await bench.submitted(2)
        del bench.store.objects["packs/1"]
        await asyncio.sleep(2 * DAY)
        assert ["packs/1" in each.message for each in caplog.records if "is gone" in each.message] == [True]
        bench.jobs.die("job-1", exit_code=66)
        bench.jobs.succeed("job-2")
        await bench.sink.answers(2)
        assert isinstance(bench.sink.results[b"a"], JobInputMissingError)


class SlowCopies(MemoryStore):
    """Copies once it is told to, and then restores what was removed meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.copying, self.go = asyncio.Event(), asyncio.Event()

    async def renew(self, key: str) -> None:
        data = self.objects[key]
        self.copying.set()
        await self.go.wait()
        self.objects[key] = data


async def test_an_object_that_is_removed_while_it_is_renewed_stays_removed(monkeypatch):
    store, clock = SlowCopies(), itertools.count(0.0, 100.0)
    monkeypatch.setattr(renewal, "time_of_day", lambda: next(clock))
    renewed = RenewingStore(store, 10)
    await renewed.put("packs/1", [b"pack"])
    run = asyncio.create_task(renewed.run(lambda: ["packs/1"]))
    await store.copying.wait()
    await renewed.delete(["packs/1"])
    store.go.set()
    await asyncio.sleep(5)
    assert store.objects == {}
    run.cancel()


async def test_what_is_not_there_cannot_be_renewed():
    with pytest.raises(NotStoredError):
        await RenewingStore(MemoryStore()).renew("packs/1")
