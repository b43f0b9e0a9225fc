"""Whoever is on the way to the scheduler or the object storage, or in their place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from certificates import HOST, Authority
from scaler_batch.wire import (
    Dialect,
    MessageRefused,
    ObjectStorageAddress,
    TaskReceived,
    WorkerConnection,
    WorkerHeartbeat,
    encode,
)
from scaler_batch.wire import messages as m
from scaler_batch.wire.addresses import parse
from scaler_batch.wire.framing import Greeting
from scaler_batch.wire.stream import YmqStream
from scaler_batch.wire.testing import ScriptedScheduler
from scaler_batch.wire.websocket import WebSocketClient
from stack import Options, PartFailedError, Stack

SOON = 30.0
PAUSING = 64 * 1024
"""Bytes that wait to be sent after which asyncio asks its writers to pause."""

YESTERDAY = datetime.now(UTC) - timedelta(days=1)

ONE_TASK = """
import sys
from scaler import Client
with Client(address=sys.argv[1]) as client:
    print("answered", client.submit(abs, -7).result())
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(Path(tmp_path_factory.mktemp("authority")))


@pytest.fixture(scope="module")
def honest(cloud: Stack, authority: Authority) -> Iterator[Stack]:
    """A whole system with the published scheduler's own TLS on."""
    worker = ("--tls-ca", str(authority.file), "--name", "honest")
    with Stack(Options(worker=worker, scheme="wss", tls=authority.pair())) as running:
        running.join(cloud).start_adapter()
        yield running


def answers_a_task(stack: Stack) -> bool:
    return "answered 7" in stack.run("client", "-c", ONE_TASK, stack.scheduler_address)


@contextlib.contextmanager
def scheduler(cloud: Stack, options: Options, storage: Options | None = None) -> Iterator[Stack]:
    """A scheduler of somebody's, and an object storage, perhaps of somebody else's."""
    with Stack(storage or options) as running:
        running.environment |= {name: value for name, value in cloud.environment.items() if name.startswith("AWS_")}
        running.provisioned = cloud.provisioned
        running.start_storage()
        running.options = options
        running.start_scheduler()
        yield running


def why_a_worker_leaves(stack: Stack, authority: Authority) -> str:
    """Send a worker there that trusts the authority over TLS, and return what it says when it ends."""
    worker = ("--tls-ca", str(authority.file), "--name", "deceived")
    stack.options = replace(stack.options, scheme="wss", worker=worker)
    with pytest.raises(PartFailedError, match="ended with exit code 1") as ended:
        stack.start_adapter("deceived")
    return str(ended.value)


Pair = Callable[[Authority, Path], tuple[Path, Path]]

FORGED: dict[str, tuple[Pair, str]] = {
    "another CA": (lambda _, folder: Authority(folder).pair(), "signed by nobody that is trusted here"),
    "another host": (lambda authority, _: authority.pair("other.example"), "made out to somebody else"),
    "expired": (lambda authority, _: authority.pair(expires=YESTERDAY), "has expired"),
}


@pytest.mark.parametrize(("pair", "said"), FORGED.values(), ids=FORGED.keys())
def test_a_scheduler_with_a_certificate_of_its_own_gets_no_worker(
    honest: Stack, cloud: Stack, authority: Authority, tmp_path: Path, pair: Pair, said: str
) -> None:
    with scheduler(cloud, Options(scheme="wss", tls=pair(authority, tmp_path))) as rogue:
        assert said in why_a_worker_leaves(rogue, authority)
    assert answers_a_task(honest)


def test_an_object_storage_with_a_certificate_of_its_own_gets_no_worker(
    honest: Stack, cloud: Stack, authority: Authority, tmp_path: Path
) -> None:
    # The scheduler is honest, and does not notice: Scaler's own programs verify nothing.
    options = Options(scheme="wss", tls=authority.pair())
    with scheduler(cloud, options, storage=replace(options, tls=Authority(tmp_path).pair())) as half_rogue:
        said = why_a_worker_leaves(half_rogue, authority)
        assert "signed by nobody that is trusted here" in said
        assert f":{half_rogue.storage_port}" in said
    assert answers_a_task(honest)


def test_whoever_answers_without_tls_does_not_talk_the_worker_out_of_it(
    honest: Stack, cloud: Stack, authority: Authority
) -> None:
    with scheduler(cloud, Options()) as rogue:
        assert "answers without TLS" in why_a_worker_leaves(rogue, authority)
    assert answers_a_task(honest)


# --- messages that are small to send and dear to read ---


def message_of_lists(pointer: bytes, rest: bytes, *segments: bytes) -> bytes:
    """A task, whose arguments `pointer` leads to."""
    first = (
        struct.pack("<iIQ", 0, 1 | 1 << 16, 0) + struct.pack("<iI", 0, 6 << 16) + bytes(32) + pointer + bytes(8) + rest
    )
    every = (first, *segments)
    table = struct.pack(f"<{len(every) + 1}I", len(every) - 1, *(len(each) // 8 for each in every))
    return table + bytes(-len(table) % 8) + b"".join(every)


def structs(count: int, shape: int, content: bytes, padding: int = 0) -> bytes:
    pointer = struct.pack("<II", 1 << 2 | 1, len(content) // 8 << 3 | 7)
    return message_of_lists(pointer, struct.pack("<II", count << 2, shape) + content + bytes(padding))


def ids_that_share_their_bytes(count: int, size: int) -> bytes:
    """An instruction to forget objects, whose ids are all the same `size` bytes, by way of a far pointer each."""
    first = struct.pack("<iIQ", 0, 1 | 1 << 16, 6) + struct.pack("<iIQ", 0, 1 | 2 << 16, 1)  # the kind: delete
    first += bytes(8) + struct.pack("<iI", 0, 4 << 16)
    first += struct.pack("<iI", 3 << 2 | 1, count << 3 | 6) + bytes(24) + struct.pack("<II", 2, 1) * count
    second = struct.pack("<II", 1, size << 3 | 2) + bytes(size)
    return struct.pack("<4I", 1, len(first) // 8, len(second) // 8, 0) + first + second


MIB = 1 << 20
DEAR = {
    "half a billion elements without a size in 88 bytes": [structs((1 << 29) - 1, 0, b"")],
    "elements without a size, twenty times": [structs(100_000, 0, b"")] * 20,
    "eight million elements without a size in 32 MiB": [structs(8 * MIB - 64, 0, b"", padding=32 * MIB)],
    "two million elements in 32 MiB": [structs(2 * MIB, 1 | 1 << 16, struct.pack("<QQ", 1, 0) * (2 * MIB))],
    "the same bytes a thousand times": [ids_that_share_their_bytes(1_000, 128 * 1024)],
}


@pytest.mark.parametrize("frames", DEAR.values(), ids=DEAR.keys())
async def test_a_message_costs_no_more_than_its_bytes_allow(frames: list[bytes]) -> None:
    honest_task = m.Task(b"t" * 16, b"Client|c", b"", b"f" * 32, (m.Argument(m.ArgumentKind.OBJECT_ID, b"a" * 32),))
    async with (
        ScriptedScheduler(ObjectStorageAddress(HOST, 5, "tcp")) as rogue,
        WorkerConnection(rogue.address, WorkerHeartbeat) as worker,
        asyncio.timeout(SOON),
    ):
        await rogue.heartbeat()
        before = time.process_time()
        for frame in frames:
            rogue.send_frame(frame)
        rogue.send_frame(encode(honest_task))
        refusals = 0
        while not isinstance(event := await anext(worker), TaskReceived):
            refusals += isinstance(event, MessageRefused)
        spent = time.process_time() - before
    assert event.task == honest_task
    assert refusals == len(frames)
    assert spent < 1.0  # it was half a minute


@pytest.mark.parametrize(
    "words",
    [
        [struct.pack("<II", 2, 1), struct.pack("<II", 2, 0)],
        [struct.pack("<II", 2, 0)],
        [struct.pack("<II", 6, 0) + struct.pack("<II", 2, 0)],
        [struct.pack("<II", 6, 1), struct.pack("<II", 6, 0) * 2],
    ],
    ids=["two that lead to each other", "one to itself", "a wide one to itself", "wide ones to each other"],
)
async def test_pointers_that_lead_in_a_circle_end(words: list[bytes]) -> None:
    table = struct.pack(f"<{len(words) + 1}I", len(words) - 1, *(len(each) // 8 for each in words))
    frame = table + bytes(-len(table) % 8) + b"".join(words)
    async with (
        ScriptedScheduler(ObjectStorageAddress(HOST, 5, "tcp")) as rogue,
        WorkerConnection(rogue.address, WorkerHeartbeat) as worker,
        asyncio.timeout(SOON),
    ):
        await rogue.heartbeat()
        rogue.send_frame(frame)
        while not isinstance(await anext(worker), MessageRefused):
            pass


class DeafPeer(asyncio.Transport):
    """The way to a peer that never reads: what is written stays, and soon the writer is asked to pause."""

    def __init__(self, stream: YmqStream, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self._stream = stream
        self.held = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.held += data
        if len(self.held) > PAUSING:
            self._stream.pause_writing()

    def abort(self) -> None:
        self._stream.connection_lost(None)


async def test_a_peer_that_asks_and_does_not_listen_fills_no_memory_with_answers() -> None:
    stream = YmqStream(b"worker", lambda _: None, MIB, WebSocketClient(parse(f"ws://{HOST}:1")))
    server = WSConnection(ConnectionType.SERVER)
    with socket.socket() as sock:
        peer = DeafPeer(stream, sock)
        stream.connection_made(peer)
        server.receive_data(bytes(peer.held))
        assert [type(event) for event in server.events()] == [ws.Request]
        stream.data_received(server.send(ws.AcceptConnection()))
        stream.data_received(server.send(ws.BytesMessage(Greeting(Dialect.NEW, b"rogue").encode())))
        ping = server.send(ws.Ping(bytes(125)))
        for _ in range(20_000):
            stream.data_received(ping)
        assert stream.greeted.done()
        assert not stream.lost.done()
        stream.abort("seen enough")
    assert len(peer.held) < 2 * PAUSING  # the pings were 2.5 MB
