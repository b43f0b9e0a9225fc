"""Removing what nothing needs: in portions while the run goes on, and wholly at its end."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from scaler_batch.payload import RunLocation
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import outcome_key
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.cleanup import purge
from scaler_batch.tasks.commands import PurgeRun, RemoveObjects
from scaler_batch.tasks.io import clean
from scaler_batch.tasks.state.cleaning import PORTION, discard, on_removed
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.testing import FaultyStore, StoreUnavailable

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


@pytest.fixture
def core() -> Core:
    return Core(TaskManagerSettings("q", "d"), RunLocation("bucket", "", "run", "eu-west-1"), random.Random(1))


def removed(core: Core) -> list[tuple[str, ...]]:
    """The portions that were asked for since the last time."""
    commands, core.commands = core.commands, []
    return [command.keys for command in commands if isinstance(command, RemoveObjects)]


def test_keys_are_removed_in_portions_and_not_before(core: Core):
    for number in range(PORTION - 1):
        discard(core, f"outcomes/{number}")
    assert not removed(core)
    discard(core, "packs/1")
    assert [len(portion) for portion in removed(core)] == [PORTION]


def test_keys_that_come_while_others_are_removed_wait_for_the_next_portion(core: Core):
    portions = []
    for number in range(3 * PORTION):
        discard(core, f"outcomes/{number}")
        if number % 10 == 0:
            portions += removed(core)
        if number % 400 == 399:
            on_removed(core)
    on_removed(core)
    portions += removed(core)
    keys = [key for portion in portions for key in portion]
    assert keys == [f"outcomes/{number}" for number in range(len(keys))], "each once, in order"
    assert len(keys) >= 2 * PORTION
    assert len(portions) <= 3


def test_a_key_is_removed_once_however_often_it_is_seen(core: Core):
    for _ in range(2):
        for number in range(PORTION):
            discard(core, f"outcomes/{number}")
    assert len(removed(core)) == 1
    on_removed(core)
    assert not removed(core)


async def test_a_store_that_does_not_delete_stops_nothing(caplog: pytest.LogCaptureFixture):
    store = FaultyStore([StoreUnavailable("delete")])
    await clean.remove_objects(store, RemoveObjects(("outcomes/1/0",)))
    assert "lifecycle" in caplog.text


async def test_purging_removes_everything_of_the_run():
    store = MemoryStore()
    store.objects = {"outcomes/1": b"", "outcomes/2.0": b"", "packs/1": b"", "objects/1": b"", "elsewhere": b""}
    await purge(store)
    assert list(store.objects) == ["elsewhere"]


@pytest.mark.parametrize("operation", ["list", "delete"])
async def test_purging_a_store_that_does_not_answer_is_left_to_the_lifecycle(
    operation: str, caplog: pytest.LogCaptureFixture
):
    store = FaultyStore([StoreUnavailable(operation)])
    with pytest.raises(StoreError):
        await purge(store)
    store.faults.append(StoreUnavailable(operation))
    await clean.purge_run(store, PurgeRun())
    assert "lifecycle" in caplog.text


async def test_what_a_cancelled_job_publishes_is_removed_and_not_what_somebody_waits_for(benches: Benches):
    async with benches(grace=30.0, tasks_per_job=2) as bench:
        for name in ("a", "b", "c", "d"):
            bench.ask(name)
        await bench.submitted()
        for name in (b"a", b"b"):
            bench.manager.cancel(name, force=True)
        await asyncio.sleep(1)
        bench.jobs.publish("job-1", 0, positions=[1])
        bench.store.objects[bench.seal(1, 0).interruption_key(2)] = b""
        for number in range(PORTION):
            bench.store.objects[bench.outcome(1, 0, number + 2)] = b"?"
        planted = outcome_key(7, None, 0, "0" * 32)
        bench.store.objects[planted] = b"of a job that may yet be submitted"
        await asyncio.sleep(20)
        assert planted in bench.store.objects
        assert len(bench.store.objects) < PORTION / 10


async def test_outcomes_and_packs_of_answered_tasks_are_removed(benches: Benches):
    async with benches(run=lambda call: b"x", inline_limit=0, max_concurrent_jobs=10) as bench:
        for number in range(1200):
            bench.ask(f"t{number}")
        await bench.sink.answers(1200)
        await asyncio.sleep(1)
        assert len(bench.store.objects) < PORTION
        assert bench.store.calls["delete"] <= 1200 // PORTION + 1
