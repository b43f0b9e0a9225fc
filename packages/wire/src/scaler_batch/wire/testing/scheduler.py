"""A scheduler that does what a test tells it to: it answers heartbeats, sends what it is given, keeps what it gets."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq

from .. import messages as m
from ..envelope import Dialect, decode, encode
from ..settings import TransportKind
from .ymq_server import YmqServer

Received = TypeVar("Received", bound=m.Message)


class ScriptedScheduler:
    """Listens on a free port of the loopback interface, over ZMQ or YMQ; for workers and worker managers.

    Args:
        storage: the address that echoes tell.
        transport: how it is spoken to.
        dialect: the numbering of messages it uses, and, over YMQ, shows.

    Attributes:
        echo: whether heartbeats are answered.
        storage: the address that echoes tell.
        command: what worker managers are told after each echo, if anything.
        workers: the ids of those that sent something, in the order in which they first did.
        received: everything received but the heartbeats of workers, as (worker, message), in order.
        heartbeats: the heartbeats of workers, likewise.
    """

    def __init__(
        self,
        storage: m.ObjectStorageAddress,
        *,
        transport: TransportKind = TransportKind.ZMQ,
        dialect: Dialect = Dialect.NEW,
    ) -> None:
        self.echo = True
        self.storage = storage
        self.command: m.WorkerManagerCommand | None = None
        self.workers: list[bytes] = []
        self.received: list[tuple[bytes, m.Message | m.Unknown]] = []
        self.heartbeats: list[tuple[bytes, m.WorkerHeartbeat]] = []
        self._unclaimed: list[tuple[bytes, m.Message | m.Unknown]] = []
        self._dialect = dialect
        self._news = asyncio.Event()
        self._link: _Router | YmqServer = (
            YmqServer(b"1|scheduler|test", self._on_frame, dialect)
            if transport is TransportKind.YMQ
            else _Router(self._on_frame)
        )

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._link.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"tcp://127.0.0.1:{self._link.port}"

    async def start(self) -> None:
        """Listen again on the same port, knowing nothing of any worker."""
        self.workers.clear()
        await self._link.start()

    async def stop(self) -> None:
        """Go away at once."""
        await self._link.stop()

    async def worker(self) -> bytes:
        """Return the id of the first worker, waiting for it if need be."""
        while not self.workers:
            await self._wait()
        return self.workers[0]

    def send(self, message: m.Message, worker: bytes | None = None) -> None:
        """Send a message to a worker, the first one where none is named."""
        self.send_frame(encode(message, self._dialect), worker)

    def send_frame(self, frame: bytes, worker: bytes | None = None) -> None:
        """Send a frame as it is to a worker, the first one where none is named."""
        self._link.send(self.workers[0] if worker is None else worker, (frame,))

    async def receive(self, kind: type[Received]) -> Received:
        """Return the oldest message of this kind that was not returned before, waiting for it if need be."""
        while True:
            for position, (_, message) in enumerate(self._unclaimed):
                if isinstance(message, kind):
                    del self._unclaimed[position]
                    return message
            await self._wait()

    async def heartbeat(self, number: int = 1) -> m.WorkerHeartbeat:
        """Return the heartbeat number `number`, counted from 1 over all workers, waiting for it if need be."""
        while len(self.heartbeats) < number:
            await self._wait()
        return self.heartbeats[number - 1][1]

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _on_frame(self, worker: bytes, frame: bytes) -> None:
        message = decode(frame, self._dialect)
        if worker not in self.workers:
            self.workers.append(worker)
        if isinstance(message, m.WorkerHeartbeat):
            self.heartbeats.append((worker, message))
        else:
            self.received.append((worker, message))
            self._unclaimed.append((worker, message))
        if self.echo:
            self._answer(worker, message)
        self._news.set()

    def _answer(self, worker: bytes, message: m.Message | m.Unknown) -> None:
        match message:
            case m.WorkerHeartbeat():
                self.send(m.WorkerHeartbeatEcho(self.storage), worker)
            case m.WorkerManagerHeartbeat():
                self.send(m.WorkerManagerHeartbeatEcho(), worker)
                if self.command is not None:
                    self.send(self.command, worker)
            case _:
                return


class _Router:
    """A ROUTER socket on a free port of the loopback interface."""

    def __init__(self, on_message: Any) -> None:
        self.port = 0
        self._on_message = on_message
        self._context: zmq.Context[zmq.Socket[bytes]]
        self._socket: zmq.Socket[bytes] | None = None

    async def start(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SocketType.ROUTER)
        self._socket.set_hwm(0)
        self._socket.bind(f"tcp://127.0.0.1:{self.port or '*'}")
        self.port = int(self._socket.getsockopt_string(zmq.SocketOption.LAST_ENDPOINT).rsplit(":", 1)[1])
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    async def stop(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close(linger=0)
            self._socket = None
            await asyncio.to_thread(self._context.term)

    def send(self, peer: bytes, *messages: tuple[bytes, ...]) -> None:
        if self._socket is not None:
            for parts in messages:
                self._socket.send_multipart([peer, *parts], zmq.Flag.DONTWAIT)
            asyncio.get_running_loop().call_soon(self._read)

    def _read(self) -> None:
        while self._socket is not None:
            try:
                peer, *frames = self._socket.recv_multipart(zmq.Flag.DONTWAIT)
            except zmq.Again:
                return
            for frame in frames:
                self._on_message(peer, frame)
