"""A TCP proxy that cuts the connections through it, as networks do, while the processes at both ends live on.

::

    client ──► Proxy ──► server          swallow(…): what one of them says is lost from now on
                                         cut(RESET): both are told of an error
                                         cut(END): both are told that no more will come
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from concurrent.futures import Future
from enum import Enum
from typing import Self

HOST = "127.0.0.1"
PIECE = 64 * 1024
SOON = 30.0


class Cut(Enum):
    """How a connection is cut."""

    RESET = "reset"
    """With RST: what was under way is lost."""
    END = "end"
    """With FIN: as if the other end had closed it. What comes afterwards is lost."""


class Way(Enum):
    """Which way bytes travel."""

    TO_SERVER = 0
    TO_CLIENT = 1


class Connection:
    """One connection from a client, and the one to the server that it was given.

    Args:
        loss: Set whenever something was swallowed.
        ends: Both of them, the client's first.
    """

    def __init__(self, loss: asyncio.Event, *ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._loss = loss
        self._ends = ends
        self._passing = True
        self.swallowing: Way | None = None
        self.swallowed = 0

    async def run(self) -> None:
        """Pass on what comes, in both directions, until both ends have closed."""
        (near, to_near), (far, to_far) = self._ends
        try:
            await asyncio.gather(self._pass_on(near, to_far, Way.TO_SERVER), self._pass_on(far, to_near, Way.TO_CLIENT))
        finally:
            to_near.close()
            to_far.close()

    def cut(self, how: Cut) -> None:
        """Pass on no more, and say so to both ends."""
        self._passing = False
        for _, writer in self._ends:
            if how is Cut.RESET:
                linger = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):  # it has been closed already
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            elif not writer.is_closing():
                writer.write_eof()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if self.swallowing is way:
                    self.swallowed += len(data)
                    self._loss.set()
                elif self._passing:
                    writer.write(data)
                    await writer.drain()
            if self._passing:
                writer.write_eof()


class Proxy:
    """Passes connections on to a port of this machine. A context manager.

    Args:
        target: The port.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stop = asyncio.Event()
        self._loss = asyncio.Event()
        self.port = 0

    def __enter__(self) -> Self:
        listening: Future[int] = Future()
        self._thread.start()
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(listening), self._loop)
        self.port = listening.result(SOON)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._serving.result(SOON)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SOON)
        self._loop.close()

    @property
    def address(self) -> str:
        """Where it listens, as Scaler writes it."""
        return f"tcp://{HOST}:{self.port}"

    def cut(self, how: Cut) -> None:
        """Cut all connections."""
        asyncio.run_coroutine_threadsafe(self._cut(how), self._loop).result(SOON)

    def swallow(self, way: Way) -> None:
        """Lose what goes one way from now on through the connections that there are."""
        for connection in list(self._connections):
            connection.swallowing = way

    def wait_for_loss(self, least: int) -> None:
        """Wait until the connections that there are have lost so many bytes."""
        asyncio.run_coroutine_threadsafe(self._until_lost(least), self._loop).result(SOON)

    async def _until_lost(self, least: int) -> None:
        while sum(connection.swallowed for connection in self._connections) < least:
            self._loss.clear()
            await self._loss.wait()

    async def _serve(self, listening: Future[int]) -> None:
        async with asyncio.TaskGroup() as group:

            def accept(*near: asyncio.StreamReader | asyncio.StreamWriter) -> None:
                group.create_task(self._connect(*near))  # type: ignore[arg-type]

            server = await asyncio.start_server(accept, HOST, 0)
            listening.set_result(server.sockets[0].getsockname()[1])
            await self._stop.wait()
            server.close()
            await self._cut(Cut.RESET)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        connection = Connection(self._loss, (reader, writer), far)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def _cut(self, how: Cut) -> None:
        while self._connections:
            self._connections.pop().cut(how)
