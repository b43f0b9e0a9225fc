"""One TCP connection that speaks YMQ: greeted, framed, with flow control; it does not come back when it is lost.

The connecting side waits for the peer's greeting and answers with the same version, which suits every release.
What is received goes to a callback at once; a callback that raises `RemoteProtocolError` ends the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import cast

from .addresses import Endpoint
from .errors import ConnectionLostError, RemoteProtocolError
from .framing import FrameDecoder, Greeting, prefix

Buffer = bytes | bytearray | memoryview

_KEEPALIVE_IDLE = 30
_JOINED = 64 * 1024
"""Messages up to this many bytes are joined with their prefix, so that they leave in one packet."""


class YmqStream(asyncio.Protocol):
    """A connection to a peer that speaks YMQ; made by `open_stream`.

    Attributes:
        lost: done as soon as the connection is gone; its result tells why, in words.
        greeted: done when the peer has greeted.
    """

    def __init__(self, identity: bytes, on_message: Callable[[bytes], None], max_message: int) -> None:
        loop = asyncio.get_running_loop()
        self._identity = identity
        self._on_message = on_message
        self._decoder = FrameDecoder(max_message)
        self._writable = asyncio.Event()
        self._writable.set()
        self._reason: str | None = None
        self._leaving = False
        self._transport: asyncio.Transport
        self.lost: asyncio.Future[str] = loop.create_future()
        self.greeted: asyncio.Future[Greeting] = loop.create_future()

    # --- called by asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Only for the type checker: what uvloop passes behaves like a transport, but is of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Decode what came and hand it on."""
        try:
            for found in self._decoder.feed(data):
                if isinstance(found, Greeting):
                    self._answer(found)
                else:
                    self._on_message(found)
        except RemoteProtocolError as error:
            self.abort(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._reason = reason = self._reason or (str(exc) if exc else "the peer closed the connection")
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionLostError(reason))
            self.greeted.exception()  # somebody may have stopped waiting; that is no news
        self._writable.set()

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    # --- called by us ---

    @property
    def peer_host(self) -> str:
        """The numeric address of the peer."""
        return str(self._transport.get_extra_info("peername")[0])

    def send(self, message: Buffer) -> None:
        """Send a small message without waiting; does nothing when the connection is lost."""
        if not self.lost.done() and not self._leaving:
            self._transport.write(prefix(len(message)) + message)

    async def send_parts(self, parts: Sequence[Buffer], piece: int) -> None:
        """Send one message made of `parts`, no more than `piece` bytes ahead of what the peer takes.

        Must not be cancelled and then followed by another message: the rest of this one would be missing.

        Raises:
            ConnectionLostError: the connection is lost.
        """
        views = [memoryview(part).cast("B") for part in parts]
        length = sum(map(len, views))
        if length <= _JOINED:
            await self._write(b"".join([prefix(length), *views]))
            return
        await self._write(prefix(length))
        for view in views:
            for start in range(0, len(view), piece):
                await self._write(view[start : start + piece])

    def abort(self, reason: str) -> None:
        """Drop the connection at once."""
        self._reason = self._reason or reason
        self._transport.abort()

    async def close(self, grace: float) -> None:
        """Send what is left, say that nothing more will come, and wait for the peer to let go, `grace` seconds at most.

        Closing a socket that still has something to read would look to the peer like a failure, not like leaving.
        """
        self._reason = self._reason or "closed"
        self._leaving = True
        try:
            async with asyncio.timeout(grace):
                if not self.lost.done():
                    self._transport.write_eof()
                await asyncio.shield(self.lost)
        except (TimeoutError, OSError):
            self._transport.abort()
            await asyncio.shield(self.lost)
        finally:
            self._transport.abort()

    async def _write(self, data: Buffer) -> None:
        await self._writable.wait()
        if self.lost.done() or self._leaving:
            raise ConnectionLostError(self._reason or "the connection is lost")
        self._transport.write(data)

    def _answer(self, greeting: Greeting) -> None:
        self._transport.write(Greeting(greeting.dialect, self._identity).encode())
        self.greeted.set_result(greeting)


async def open_stream(
    endpoint: Endpoint, identity: bytes, on_message: Callable[[bytes], None], max_message: int, within: float
) -> tuple[YmqStream, Greeting]:
    """Connect, exchange greetings, and return the connection and how the peer introduced itself.

    Raises:
        ConnectionLostError: the peer cannot be reached, or did not greet within so many seconds.
    """
    loop = asyncio.get_running_loop()
    stream: YmqStream | None = None
    try:
        async with asyncio.timeout(within):
            _, stream = await loop.create_connection(
                lambda: YmqStream(identity, on_message, max_message), endpoint.host, endpoint.port
            )
            return stream, await asyncio.shield(stream.greeted)
    except OSError as error:  # a refused connection, an unknown name, a timeout
        raise ConnectionLostError(f"{endpoint} cannot be reached: {str(error) or 'no answer'}") from error
    finally:
        if stream is not None and not (stream.greeted.done() and not stream.greeted.exception()):
            stream.abort("the peer did not greet")


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
