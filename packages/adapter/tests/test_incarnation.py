from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.adapter.incarnation import identity_in, incarnation_of
from scaler_batch.wire import Endpoint, Scheme

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[bytes], Awaitable[Endpoint]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers that say certain bytes to whoever connects, and hang up."""
    servers: list[asyncio.Server] = []

    async def start(said: bytes) -> Endpoint:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            writer.write_eof()
            await reader.read()
            writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return Endpoint(*servers[-1].sockets[0].getsockname())

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_over_ymq_the_greeting_tells(serve: Serve) -> None:
    endpoint = await serve(b"YMQ\x02" + struct.pack("<Q", 3) + b"one")
    assert await incarnation_of(endpoint) == b"one"


async def test_where_a_websocket_is_refused_nothing_is_told(serve: Serve) -> None:
    endpoint = await serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert await incarnation_of(replace(endpoint, scheme=Scheme.WS)) is None


async def test_over_zmq_the_handshake_of_the_real_library_tells() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.ROUTING_ID, b"12|scheduler|34")
        port = router.bind_to_random_port("tcp://127.0.0.1")
        assert await incarnation_of(Endpoint("127.0.0.1", port)) == b"12|scheduler|34"


async def test_over_zmq_a_socket_without_a_name_tells_nothing() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        assert await incarnation_of(Endpoint("127.0.0.1", port)) is None


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"YMQ\x02",
        b"YMQ\x02" + struct.pack("<Q", 2**63),
        b"YMQ\x02" + struct.pack("<Q", 10) + b"short",
        b"\xff" + bytes(63) + b"\x04",
        b"\xff" + bytes(63) + b"\x00\x05READY",
        b"\xff" + bytes(63) + b"\x04\x05ERROR",
        b"\xff" + bytes(63) + b"\x06" + b"\xff" * 8,
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4,
    ],
)
async def test_whoever_does_not_tell_is_nobody(serve: Serve, said: bytes) -> None:
    assert await incarnation_of(await serve(said)) is None


async def test_where_nobody_listens_nobody_is_found(unused_tcp_port: int) -> None:
    assert await incarnation_of(Endpoint("127.0.0.1", unused_tcp_port)) is None


@given(st.binary(max_size=200))
def test_no_command_does_harm(rest: bytes) -> None:
    try:
        name = identity_in(b"\x05READY" + rest)
    except ValueError:
        return
    assert name is None or name in rest
