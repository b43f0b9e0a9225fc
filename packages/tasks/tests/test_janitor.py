from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.janitor import PORTION, Janitor

pytestmark = pytest.mark.looptime(end=50_000)

Benches = Any


class Deletions(MemoryStore):
    """Keeps the portions that were deleted, and breaks on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[list[str]] = []
        self.broken = False

    async def list(self, prefix: str) -> list[str]:
        self._check(prefix)
        return await super().list(prefix)

    async def delete(self, keys: Any) -> None:
        self._check(str(len(keys)))
        self.portions.append(list(keys))
        await super().delete(keys)

    def _check(self, key: str) -> None:
        if self.broken:
            raise StoreError("503", key=key, retryable=True)


async def test_keys_are_removed_in_portions_and_not_before():
    store = Deletions()
    janitor = Janitor(store)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(janitor.run())
        for number in range(PORTION - 1):
            janitor.discard(f"outcomes/{number}")
        await asyncio.sleep(1000)
        assert not store.portions
        janitor.discard("packs/1")
        await asyncio.sleep(1)
        assert [len(portion) for portion in store.portions] == [PORTION]
        run.cancel()


async def test_keys_that_come_while_others_are_removed_wait_for_the_next_portion():
    store = Deletions()
    janitor = Janitor(store)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(janitor.run())
        for number in range(3 * PORTION):
            janitor.discard(f"outcomes/{number}")
            if number % 10 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        removed = [key for portion in store.portions for key in portion]
        assert removed == [f"outcomes/{number}" for number in range(len(removed))], "each once, in order"
        assert len(removed) > 2 * PORTION
        run.cancel()


async def test_a_store_that_does_not_delete_stops_nothing():
    store = Deletions()
    janitor = Janitor(store)
    store.broken = True
    async with asyncio.TaskGroup() as group:
        run = group.create_task(janitor.run())
        for number in range(PORTION):
            janitor.discard(f"outcomes/{number}")
        await asyncio.sleep(1)
        store.broken = False
        for number in range(PORTION):
            janitor.discard(f"outcomes/again-{number}")
        await asyncio.sleep(1)
        assert len(store.portions) == 1
        run.cancel()


async def test_purging_removes_everything_of_the_run():
    store = Deletions()
    store.objects = {"outcomes/1": b"", "outcomes/2.0": b"", "packs/1": b"", "elsewhere": b""}
    await Janitor(store).purge()
    assert list(store.objects) == ["elsewhere"]


async def test_purging_a_store_that_does_not_answer_is_left_to_the_lifecycle(caplog: pytest.LogCaptureFixture):
    store = Deletions()
    store.broken = True
    await Janitor(store).purge()
    assert "lifecycle" in caplog.text


async def test_outcomes_and_packs_of_answered_tasks_are_removed(benches: Benches):
    async with benches(run=lambda call: b"x", inline_limit=0, max_concurrent_jobs=10) as bench:
        for number in range(1200):
            bench.ask(f"t{number}")
        await bench.sink.answers(1200)
        await asyncio.sleep(1)
        assert len(bench.store.objects) < PORTION
        assert bench.store.calls["delete"] <= 1200 // PORTION + 1
