from __future__ import annotations

import asyncio

import pytest

from scaler_batch.wire.addresses import Endpoint
from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import ConnectionLostError, RemoteProtocolError
from scaler_batch.wire.messages import ObjectStorageAddress
from scaler_batch.wire.probing import Finding, classify, probe
from scaler_batch.wire.settings import TransportKind
from scaler_batch.wire.testing import ScriptedScheduler

SOON = 20.0
QUICK = Backoff(first=0.001, longest=0.01)
STORAGE = ObjectStorageAddress("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("first", "meaning"),
    [
        (b"\xff\0\0\0", (TransportKind.ZMQ, None)),
        (b"YMQ\x01", (TransportKind.YMQ, Dialect.OLD)),
        (b"YMQ\x02", (TransportKind.YMQ, Dialect.NEW)),
    ],
)
def test_the_first_word_tells_what_is_spoken(first: bytes, meaning: tuple[TransportKind, Dialect | None]) -> None:
    assert classify(first) == meaning


@pytest.mark.parametrize(("first", "complaint"), [(b"YMQ\x07", "version 7"), (b"SSH-", "neither ZMQ nor YMQ")])
def test_anything_else_is_refused(first: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        classify(first)


@pytest.mark.parametrize("dialect", Dialect)
async def test_a_scheduler_over_ymq_tells_its_dialect(dialect: Dialect) -> None:
    async with ScriptedScheduler(STORAGE, transport=TransportKind.YMQ, dialect=dialect) as scheduler:
        endpoint = Endpoint("localhost", int(scheduler.address.rsplit(":")[-1]))
        found = await probe(endpoint, SOON, QUICK)
    assert found == Finding(Endpoint("127.0.0.1", endpoint.port), TransportKind.YMQ, dialect)


async def test_a_scheduler_over_zmq_is_recognised() -> None:
    async with ScriptedScheduler(STORAGE) as scheduler:
        endpoint = Endpoint("127.0.0.1", int(scheduler.address.rsplit(":")[-1]))
        assert await probe(endpoint, SOON, QUICK) == Finding(endpoint, TransportKind.ZMQ, None)


async def test_a_scheduler_that_is_late_is_waited_for() -> None:
    async with ScriptedScheduler(STORAGE) as scheduler:
        endpoint = Endpoint("127.0.0.1", int(scheduler.address.rsplit(":")[-1]))
        await scheduler.stop()
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(probe(endpoint, SOON, QUICK))
            await asyncio.sleep(0)
            await scheduler.start()
        assert probing.result().transport is TransportKind.ZMQ


async def test_whoever_hangs_up_at_once_is_tried_again_until_time_is_up() -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(writer)
        writer.close()

    calls: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLostError, match=f"127.0.0.1:{port} did not answer within 0.1 s"):
            await probe(Endpoint("127.0.0.1", port), 0.1, QUICK)
        # Whoever was cut off while connecting stands before this one in the queue of the server.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert len(calls) > 1
