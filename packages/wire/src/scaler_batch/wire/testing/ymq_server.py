"""The accepting side of YMQ: greets without waiting, and keeps one connection for each identity, the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

from ..envelope import Dialect
from ..errors import RemoteProtocolError
from ..framing import FrameDecoder, Greeting, prefix


class YmqServer:
    """Listens on a free port of the loopback interface.

    Args:
        identity: what it greets with.
        on_message: called with the sender's identity and the message.
        dialect: shown in the greeting.
        host: the numeric address to listen on.
    """

    def __init__(
        self,
        identity: bytes,
        on_message: Callable[[bytes, bytes], None],
        dialect: Dialect = Dialect.NEW,
        host: str = "127.0.0.1",
    ) -> None:
        self.greeting = Greeting(dialect, identity).encode()
        self.host = host
        self.port = 0
        self.peers: dict[bytes, asyncio.Transport] = {}
        self.accepted = 0
        """How many connections have been greeted so far."""
        self.on_message = on_message
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Accepted(self), self.host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop every connection and listen no more."""
        if self._server is not None:
            self._server.close()
            self.drop_connections()
            await self._server.wait_closed()
            self._server = None

    def send(self, identity: bytes, *messages: Sequence[bytes]) -> None:
        """Send messages, each given as parts, to a peer; nothing happens when it is not there."""
        transport = self.peers.get(identity)
        if transport is not None:
            for parts in messages:
                transport.writelines([prefix(sum(map(len, parts))), *parts])

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are to every peer."""
        for transport in self.peers.values():
            transport.write(data)

    def drop_connections(self) -> None:
        """Drop every connection at once."""
        for transport in list(self._open):
            transport.abort()

    def opened(self, transport: asyncio.Transport) -> None:
        """Greet whoever connects."""
        self._open.add(transport)
        transport.write(self.greeting)

    def greeted(self, identity: bytes, transport: asyncio.Transport) -> None:
        """Keep a connection; an older one of the same identity goes."""
        older = self.peers.get(identity)
        self.peers[identity] = transport
        self.accepted += 1
        if older is not None:
            older.close()

    def closed(self, identity: bytes | None, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._open.discard(transport)
        if identity is not None and self.peers.get(identity) is transport:
            del self.peers[identity]


class _Accepted(asyncio.Protocol):
    def __init__(self, server: YmqServer) -> None:
        self._server = server
        self._decoder = FrameDecoder(max_message=1 << 32)
        self._identity: bytes | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for found in self._decoder.feed(data):
                self._handle(found)
        except RemoteProtocolError:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self._identity, self._transport)

    def _handle(self, found: Greeting | bytes) -> None:
        if isinstance(found, Greeting):
            self._identity = found.identity
            self._server.greeted(found.identity, self._transport)
        elif self._identity is not None:
            self._server.on_message(self._identity, found)
