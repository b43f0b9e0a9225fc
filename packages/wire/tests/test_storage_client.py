"""The client against an object storage over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import (
    ConnectionLostError,
    LocalProtocolError,
    ObjectTimeoutError,
    ObjectTooLargeError,
    RemoteProtocolError,
)
from scaler_batch.wire.settings import StorageSettings
from scaler_batch.wire.storage import AnswerKind, Header, RequestKind
from scaler_batch.wire.storage_client import ObjectStorageClient
from scaler_batch.wire.testing import MemoryObjectStorage
from scaler_batch.wire.testing.ymq_server import YmqServer

ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 32
SOON = 20.0
QUICK = StorageSettings(backoff=Backoff(first=0.001, longest=0.01), give_up_after=SOON)


async def until_asked(storage: MemoryObjectStorage, requests: int) -> None:
    """Wait until the storage has received so many requests."""
    async with asyncio.timeout(SOON):
        await storage.asked(requests)


async def test_what_is_set_can_be_got(client: ObjectStorageClient, storage: MemoryObjectStorage) -> None:
    await client.set(ONE, b"con", bytearray(b"te"), memoryview(b"nt"))
    assert storage.objects == {ONE: b"content"}
    assert await client.get(ONE, SOON) == b"content"
    assert await client.get(ONE, SOON, limit=3) == b"con"


async def test_an_empty_object_is_an_object(client: ObjectStorageClient) -> None:
    await client.set(ONE)
    await client.set(TWO, b"", b"")
    assert await client.get(ONE, SOON) == await client.get(TWO, SOON) == b""


async def test_a_request_waits_for_the_object_while_others_pass_it(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(client.get(ONE, SOON))
        await until_asked(storage, 1)
        await client.set(TWO, b"two")
        assert await client.get(TWO, SOON) == b"two"
        assert not waiting.done()
        storage.set(ONE, b"one")
    assert waiting.result() == b"one"


async def test_answers_out_of_order_reach_who_asked(client: ObjectStorageClient, storage: MemoryObjectStorage) -> None:
    contents = {bytes([n]) * 32: b"content %d" % n for n in range(50)}
    storage.objects.update(contents)
    storage.hold()
    async with asyncio.TaskGroup() as group:
        asked = {object_id: group.create_task(client.get(object_id, SOON)) for object_id in contents}
        await until_asked(storage, len(contents))
        storage.release(backwards=True)
    assert {object_id: task.result() for object_id, task in asked.items()} == contents


async def test_deleting_tells_whether_the_object_was_there(client: ObjectStorageClient) -> None:
    await client.set(ONE, b"x")
    assert await client.delete(ONE) is True
    assert await client.delete(ONE) is False


async def test_a_duplicate_has_the_same_content_and_waits_for_it(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(client.duplicate(ONE, TWO, SOON))
        await until_asked(storage, 1)
        await client.set(ONE, b"one")
    assert await client.get(TWO, SOON) == b"one"


async def test_the_figures_are_told(client: ObjectStorageClient) -> None:
    await client.set(ONE, b"four")
    assert (await client.info())[:3] == (1, 1, 4)


async def test_an_object_nobody_sets_is_waited_for_no_longer_than_allowed(client: ObjectStorageClient) -> None:
    with pytest.raises(ObjectTimeoutError, match="no answer about object 3131") as caught:
        await client.get(ONE, 0.01)
    assert (caught.value.object_id, caught.value.seconds) == (ONE, 0.01)
    assert isinstance(caught.value, TimeoutError)


async def test_an_answer_too_late_goes_to_nobody(client: ObjectStorageClient, storage: MemoryObjectStorage) -> None:
    with pytest.raises(ObjectTimeoutError):
        await client.get(ONE, 0.01)
    storage.set(ONE, b"late")
    storage.set(TWO, b"two")
    assert await client.get(TWO, SOON) == b"two"
    assert client.connections == 1


async def test_a_large_object_goes_both_ways_and_is_not_interleaved_with_others(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    large = bytes(range(256)) * 4096 * 16  # 16 MiB
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(client.set(bytes([n]) * 32, memoryview(large)[: len(large) - n]))
            group.create_task(client.set(bytes([n, n + 1]) * 16, b"small"))
    assert [len(storage.objects[bytes([n]) * 32]) for n in range(3)] == [len(large), len(large) - 1, len(large) - 2]
    got = await asyncio.gather(*(client.get(bytes([n]) * 32, SOON) for n in range(3)))
    assert got[0] == large
    assert got[2] == large[:-2]


async def test_a_caller_that_is_cancelled_leaves_no_half_request_behind(
    client: ObjectStorageClient, storage: MemoryObjectStorage
) -> None:
    async with asyncio.TaskGroup() as group:
        setting = group.create_task(client.set(ONE, bytes(8 * 1024 * 1024)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        setting.cancel()
        await client.set(TWO, b"two")
    assert await client.get(TWO, SOON) == b"two"
    assert client.connections == 1
    assert len(storage.objects.get(ONE, b"")) in (0, 8 * 1024 * 1024)


async def test_entering_fails_when_nobody_is_there(storage: MemoryObjectStorage) -> None:
    await storage.server.stop()
    settings = StorageSettings(connect_timeout=0.05, backoff=Backoff(first=0.001))
    with pytest.raises(ConnectionLostError, match="cannot be reached"):
        async with ObjectStorageClient(storage.address, settings=settings):
            raise AssertionError("entered")


async def test_entering_can_be_cancelled(storage: MemoryObjectStorage) -> None:
    await storage.server.stop()
    client = ObjectStorageClient(storage.address)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), client:
            raise AssertionError("entered")


async def test_closing_fails_what_is_under_way_and_refuses_more(storage: MemoryObjectStorage) -> None:
    async with ObjectStorageClient(storage.address) as client, asyncio.TaskGroup() as group:
        waiting = group.create_task(_is_closed(client.get(ONE, SOON)))
        await until_asked(storage, 1)
        await client.close()
        await waiting
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.get(ONE, SOON)


async def _is_closed(request: object) -> None:
    with pytest.raises(ConnectionLostError, match="the client was closed"):
        await request  # type: ignore[misc]


async def test_an_error_in_the_body_comes_out_as_it_is(storage: MemoryObjectStorage) -> None:
    with pytest.raises(ValueError, match=r"^mine$"):
        async with ObjectStorageClient(storage.address):
            raise ValueError("mine")


@pytest.mark.parametrize("dialect", Dialect)
async def test_the_greeting_is_answered_in_kind_and_tells_the_dialect(dialect: Dialect) -> None:
    async with MemoryObjectStorage(dialect) as storage, ObjectStorageClient(storage.address) as client:
        await client.set(ONE, b"x")
        assert client.dialect is dialect


async def test_a_wrong_object_id_is_our_own_mistake(client: ObjectStorageClient) -> None:
    with pytest.raises(LocalProtocolError, match="32 bytes, not 5"):
        await client.get(b"short", SOON)


async def test_a_storage_that_answers_nonsense_is_left_and_asked_again() -> None:
    nonsense = iter([b"nonsense", Header(0, 99, AnswerKind.GOT, ONE).encode()])

    def reply(peer: bytes, message: bytes) -> None:
        header = Header.decode(message)
        right = Header(2, header.number, AnswerKind.GOT, ONE).encode()
        wrong = next(nonsense, None)
        server.send(peer, *([(wrong,)] if wrong else [(right,), (b"ok",)]))

    server = YmqServer(b"storage", reply)
    async with server, ObjectStorageClient(f"tcp://127.0.0.1:{server.port}", settings=QUICK) as client:
        assert await client.get(ONE, SOON) == b"ok"
        assert client.connections == 3


async def test_an_object_larger_than_accepted_is_refused_when_it_is_announced() -> None:
    async with MemoryObjectStorage() as storage:
        storage.objects = {ONE: bytes(101), TWO: bytes(100)}
        settings = StorageSettings(max_object=100, backoff=Backoff(first=0.001))
        async with ObjectStorageClient(storage.address, settings=settings) as client:
            with pytest.raises(ObjectTooLargeError, match="has 101 bytes; at most 100 are accepted") as caught:
                await client.get(ONE, SOON)
            assert (caught.value.object_id, caught.value.size, caught.value.limit) == (ONE, 101, 100)
            assert await client.get(TWO, SOON) == bytes(100)
        assert [object_id for _, object_id in storage.requests] == [ONE, TWO]


async def test_figures_that_are_none_are_refused() -> None:
    def reply(peer: bytes, message: bytes) -> None:
        number = Header.decode(message).number
        server.send(peer, (Header(3, number, AnswerKind.INFO, ONE).encode(),), (b"123",))

    server = YmqServer(b"storage", reply)
    async with server, ObjectStorageClient(f"tcp://127.0.0.1:{server.port}") as client:
        with pytest.raises(RemoteProtocolError, match="8 bytes each"):
            await client.info()


async def test_host_names_are_resolved(storage: MemoryObjectStorage) -> None:
    async with ObjectStorageClient(f"tcp://localhost:{storage.address.port}") as client:
        await client.set(ONE, b"x")


async def test_ipv6_is_spoken() -> None:
    def reply(peer: bytes, message: bytes) -> None:
        header = Header.decode(message)
        assert header.kind == RequestKind.DELETE
        server.send(peer, (Header(0, header.number, AnswerKind.DELETED, ONE).encode(),))

    server = YmqServer(b"storage", reply, host="::1")
    try:
        await server.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with ObjectStorageClient(f"tcp://[::1]:{server.port}") as client:
        assert await client.delete(ONE)
    await server.stop()
