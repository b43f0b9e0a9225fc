from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from scaler_batch.adapter import inputs as module
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.tasks.errors import InputError
from scaler_batch.wire.testing import MemoryObjectStorage

A, B, C = (letter * 32 for letter in (b"a", b"b", b"c"))


@pytest.fixture
async def objects() -> AsyncIterator[MemoryObjectStorage]:
    async with MemoryObjectStorage() as storage:
        yield storage


@pytest.fixture
async def link(objects: MemoryObjectStorage) -> AsyncIterator[StorageLink]:
    storage = StorageLink()
    await storage.open(objects.address)
    yield storage
    await storage.aclose()


def fetched(objects: MemoryObjectStorage) -> list[bytes]:
    return [object_id for _, object_id in objects.requests]


async def test_an_object_is_fetched_once(objects: MemoryObjectStorage, link: StorageLink) -> None:
    objects.set(A, b"content")
    inputs = CachedInputs(link)
    assert [bytes(await inputs.load(A)) for _ in range(3)] == [b"content"] * 3
    assert fetched(objects) == [A]


async def test_the_least_recently_used_leaves_when_room_is_needed(
    objects: MemoryObjectStorage, link: StorageLink
) -> None:
    for name in (A, B, C):
        objects.set(name, bytes(10))
    inputs = CachedInputs(link, room=20)
    for name in (A, B, A, C, A, B):
        await inputs.load(name)
    assert fetched(objects) == [A, B, C, B]


async def test_what_is_larger_than_the_room_is_not_kept(objects: MemoryObjectStorage, link: StorageLink) -> None:
    objects.set(A, bytes(21))
    inputs = CachedInputs(link, room=20)
    await inputs.load(A)
    await inputs.load(A)
    assert fetched(objects) == [A, A]


async def test_a_dropped_object_is_fetched_again(objects: MemoryObjectStorage, link: StorageLink) -> None:
    objects.set(A, b"content")
    inputs = CachedInputs(link)
    await inputs.load(A)
    inputs.drop([A, B])
    await inputs.load(A)
    assert fetched(objects) == [A, A]


async def test_an_object_that_nobody_sets_is_an_error_in_time(
    link: StorageLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(InputError, match=A.hex()):
        await CachedInputs(link).load(A)


async def test_loading_waits_until_the_storage_is_known(objects: MemoryObjectStorage) -> None:
    objects.set(A, b"content")
    storage = StorageLink()
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(CachedInputs(storage).load(A))
        await asyncio.sleep(0)
        await storage.open(objects.address)
    assert bytes(loading.result()) == b"content"
    await storage.aclose()
