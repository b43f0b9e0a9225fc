"""The client of an object storage whose connections are lost."""

from __future__ import annotations

import asyncio

import pytest

from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.errors import ConnectionLostError
from scaler_batch.wire.settings import StorageSettings
from scaler_batch.wire.storage_client import ObjectStorageClient
from scaler_batch.wire.testing import MemoryObjectStorage

ONE, TWO = b"1" * 32, b"2" * 32
SOON = 20.0


async def until_asked(storage: MemoryObjectStorage, requests: int) -> None:
    """Wait until the storage has received so many requests."""
    async with asyncio.timeout(SOON):
        await storage.asked(requests)


async def test_requests_are_made_again_when_the_connection_was_lost(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(client.get(object_id, SOON)) for object_id in (ONE, TWO)]
        await until_asked(storage, 2)
        storage.drop_connections()
        await until_asked(storage, 4)
        storage.set(TWO, b"two")
        storage.set(ONE, b"one")
    assert [task.result() for task in waiting] == [b"one", b"two"]
    assert client.connections == 2


async def test_no_answer_reaches_the_wrong_caller_while_connections_come_and_go(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    contents = {n.to_bytes(32, "big"): b"%d" % n * 300 for n in range(1, 200)}
    storage.objects.update(contents)

    async def ask(object_id: bytes) -> bool:
        return await client.get(object_id, SOON) == contents[object_id]

    async with asyncio.TaskGroup() as group:
        asked = []
        for n, object_id in enumerate(contents, 1):
            asked.append(group.create_task(ask(object_id)))
            if n % 20 == 0:
                await until_asked(storage, n)
                storage.drop_connections()
    assert all(task.result() for task in asked)
    assert client.connections > 1


async def test_each_connection_has_an_identity_of_its_own(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    (first,) = storage.server.peers
    storage.drop_connections()
    await client.info()
    (second,) = storage.server.peers
    assert first != second


async def test_a_storage_that_restarts_is_found_again(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    await client.set(ONE, b"old")
    await storage.restart()
    await client.set(ONE, b"new")
    assert storage.objects == {ONE: b"new"}


async def test_requests_fail_when_the_storage_does_not_come_back(storage: MemoryObjectStorage) -> None:
    settings = StorageSettings(backoff=Backoff(first=0.001, longest=0.01), give_up_after=0.05)
    async with ObjectStorageClient(storage.address, settings=settings) as client, asyncio.TaskGroup() as group:
        waiting = group.create_task(_fails(client.get(ONE, SOON)))
        await until_asked(storage, 1)
        await storage.server.stop()
        await waiting
        assert not client.connected
        await _fails(client.set(ONE, b"x"))
        await storage.server.start()
        await client.wait_connected()
        await client.set(ONE, b"back")


async def _fails(request: object) -> None:
    with pytest.raises(ConnectionLostError, match="the object storage is away"):
        await request  # type: ignore[misc]
