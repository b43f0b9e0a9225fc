"""One YMQ connection against a peer that writes what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from scaler_batch.wire.addresses import Endpoint
from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import ConnectionLostError
from scaler_batch.wire.framing import Greeting, prefix
from scaler_batch.wire.stream import YmqStream, open_stream

SOON = 20.0
HELLO = Greeting(Dialect.NEW, b"peer")


class Peer:
    """Accepts one connection and shows both of its ends."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.received: list[bytes] = []
        self.endpoint: Endpoint

    async def __aenter__(self) -> Peer:
        self.server = await asyncio.start_server(lambda *ends: self.accepted.put_nowait(ends), "127.0.0.1", 0)
        self.endpoint = Endpoint(*self.server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def open(self, hello: bytes = HELLO.encode(), within: float = SOON) -> YmqStream:
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(open_stream(self.endpoint, b"us", self.received.append, 1000, within))
            self.reader, self.writer = await self.accepted.get()
            self.writer.write(hello)
        return opening.result()[0]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as running:
        yield running
        running.writer.close()


async def test_the_greeting_is_answered_in_the_version_it_was_shown(peer: Peer) -> None:
    stream = await peer.open(Greeting(Dialect.OLD, b"peer").encode())
    expected = Greeting(Dialect.OLD, b"us").encode()
    assert await peer.reader.readexactly(len(expected)) == expected
    assert stream.greeted.result() == Greeting(Dialect.OLD, b"peer")
    stream.abort("done")


async def test_small_and_large_messages_leave_behind_their_lengths(peer: Peer) -> None:
    stream = await peer.open()
    await peer.reader.readexactly(len(Greeting(Dialect.NEW, b"us").encode()))
    large = bytes(range(256)) * 4096
    stream.send(b"small")
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.send_parts([large, b"", bytearray(b"end")], 1000))
        expected = prefix(5) + b"small" + prefix(len(large) + 3) + large + b"end"
        assert await peer.reader.readexactly(len(expected)) == expected
    stream.abort("done")


async def test_leaving_sends_what_is_left_and_then_the_end(peer: Peer) -> None:
    stream = await peer.open()
    stream.send(b"goodbye")
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.close(SOON))
        assert (await peer.reader.read()).endswith(prefix(7) + b"goodbye")
        peer.writer.close()
    assert stream.lost.result() == "closed"


async def test_a_peer_that_does_not_let_go_is_not_waited_for(peer: Peer) -> None:
    stream = await peer.open()
    await stream.close(0.01)
    assert stream.lost.done()


async def test_nothing_can_be_sent_once_the_connection_is_lost(peer: Peer) -> None:
    stream = await peer.open()
    peer.writer.close()
    async with asyncio.timeout(SOON):
        assert await stream.lost == "the peer closed the connection"
    stream.send(b"into the void")
    with pytest.raises(ConnectionLostError, match="the peer closed the connection"):
        await stream.send_parts([b"x"], 1)


async def test_a_writer_that_waits_learns_that_the_connection_is_lost(peer: Peer) -> None:
    stream = await peer.open()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(_fails(stream.send_parts([bytes(64 * 1024 * 1024)], 1024 * 1024)))
        await peer.reader.readexactly(1000)
        stream.abort("enough")
        async with asyncio.timeout(SOON):
            await writing


async def _fails(sending: object) -> None:
    with pytest.raises(ConnectionLostError, match="enough"):
        await sending  # type: ignore[misc]


async def test_what_is_not_the_protocol_ends_the_connection(peer: Peer) -> None:
    stream = await peer.open()
    peer.writer.write(prefix(1001))
    async with asyncio.timeout(SOON):
        assert "announces 1001 bytes" in await stream.lost


@pytest.mark.parametrize(
    ("hello", "within", "complaint"),
    [
        (b"HTTP/1.1 400 Bad Request", SOON, "does not speak YMQ"),
        (b"", 0.05, "cannot be reached: it accepts connections and does not greet"),
    ],
    ids=["nonsense", "nothing"],
)
async def test_a_peer_that_does_not_greet_is_not_connected_to(
    peer: Peer, hello: bytes, within: float, complaint: str
) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await peer.open(hello, within)
    assert caught.group_contains(ConnectionLostError, match=complaint)
