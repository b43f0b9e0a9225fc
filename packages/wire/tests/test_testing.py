"""The doubles do what the real ones do."""

from __future__ import annotations

import asyncio

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.addresses import endpoint_of
from scaler_batch.wire.connection import WorkerConnection
from scaler_batch.wire.storage_client import ObjectStorageClient
from scaler_batch.wire.stream import open_stream
from scaler_batch.wire.testing import MemoryObjectStorage, ScriptedScheduler

SOON = 20.0


def vitals() -> m.WorkerHeartbeat:
    return m.WorkerHeartbeat(queue_size=1)


async def test_a_worker_can_do_its_work_between_the_two() -> None:
    client = b"Client|x"
    async with MemoryObjectStorage() as storage, ScriptedScheduler(storage.address) as scheduler:
        storage.set(b"f" * 32, b"function")
        async with WorkerConnection(scheduler.address, vitals) as link:
            registered = await anext(link)
            assert registered == ev.Registered(storage.address)
            scheduler.send(m.Task(b"t" * 16, client, b"", b"f" * 32))
            event = await anext(link)
            assert isinstance(event, ev.TaskReceived)
            async with ObjectStorageClient(registered.storage) as objects:
                content = await objects.get(event.task.function_id, SOON)
                await objects.set(b"r" * 32, content.upper())
            link.send_result(event.task.task_id, m.ResultKind.SUCCESS, b"r" * 32)
            result = await scheduler.receive(m.TaskResult)
        assert storage.objects[result.results[0]] == b"FUNCTION"


async def test_messages_are_received_by_kind_each_once() -> None:
    async with ScriptedScheduler(m.ObjectStorageAddress("h", 1)) as scheduler:
        async with WorkerConnection(scheduler.address, vitals) as link:
            await anext(link)
            for number in (1, 2):
                scheduler.send(m.TaskCancel(bytes([number])))
            first = await scheduler.receive(m.TaskCancelConfirm)
            second = await scheduler.receive(m.TaskCancelConfirm)
        await scheduler.receive(m.WorkerDisconnectNotification)
    assert (first.task_id, second.task_id) == (b"\x01", b"\x02")


async def test_the_newer_of_two_connections_with_one_identity_is_kept() -> None:
    async with MemoryObjectStorage() as storage:
        endpoint = endpoint_of(storage.address)
        older, _ = await open_stream(endpoint, b"same", lambda _: None, 100, SOON)
        newer, _ = await open_stream(endpoint, b"same", lambda _: None, 100, SOON)
        async with asyncio.timeout(SOON):
            assert await older.lost == "the peer closed the connection"
        assert not newer.lost.done()
        await newer.close(SOON)


async def test_a_malformed_request_ends_that_connection_only() -> None:
    async with MemoryObjectStorage() as storage, ObjectStorageClient(storage.address) as good:
        bad, _ = await open_stream(endpoint_of(storage.address), b"bad", lambda _: None, 100, SOON)
        bad.send(b"no header")
        async with asyncio.timeout(SOON):
            await bad.lost
        await good.set(b"1" * 32, b"x")
        assert good.connections == 1


async def test_a_restarted_storage_has_forgotten_everything() -> None:
    async with MemoryObjectStorage() as storage:
        storage.set(b"1" * 32, b"x")
        port = storage.address.port
        await storage.restart()
        assert storage.objects == {}
        assert storage.address.port == port


@pytest.mark.parametrize("backwards", [False, True])
async def test_answers_can_be_kept_back(backwards: bool) -> None:
    order: list[bytes] = []

    async def ask(client: ObjectStorageClient, object_id: bytes) -> None:
        await client.get(object_id, SOON)
        order.append(object_id)

    one, two = b"1" * 32, b"2" * 32
    async with MemoryObjectStorage() as storage, ObjectStorageClient(storage.address) as client:
        storage.objects |= {one: b"1", two: b"2"}
        storage.hold()
        async with asyncio.TaskGroup() as group:
            group.create_task(ask(client, one))
            group.create_task(ask(client, two))
            await storage.asked(2)
            assert order == []
            storage.release(backwards=backwards)
    assert order == ([two, one] if backwards else [one, two])
