"""One connection that speaks YMQ: greeted, framed, with flow control; it does not come back when it is lost.

::

    messages ── YMQ ── [WebSocket] ── [TLS] ── TCP

The address says which of the layers are there. The connecting side waits for the peer's greeting and answers with the
same version, which suits every release. What is received goes to a callback at once; a callback that raises
`RemoteProtocolError` ends the connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from .addresses import Endpoint, Scheme
from .errors import ConnectionLostError, RemoteProtocolError, TlsError
from .framing import FrameDecoder, Greeting, prefix
from .tls import DEFAULT_TLS, TlsSettings, explain
from .websocket import WebSocketClient

Buffer = bytes | bytearray | memoryview

_SMALL = 1024
_CLOSED = "the peer closed the connection"
_KEEPALIVE_IDLE = 30
_JOINED = 64 * 1024
"""Messages up to this many bytes are joined with their prefix, so that they leave in one packet."""


class YmqStream(asyncio.Protocol):
    """A connection to a peer that speaks YMQ; made by `open_stream`.

    Args:
        identity: what the peer is greeted with; None where it is only listened to.
        on_message: takes what is received.
        max_message: longer messages end the connection.
        websocket: lies between YMQ and the network; None where nothing does.

    Attributes:
        lost: done as soon as the connection is gone; its result tells why, in words.
        greeted: done when the peer has greeted.
    """

    def __init__(
        self,
        identity: bytes | None,
        on_message: Callable[[bytes], None],
        max_message: int,
        websocket: WebSocketClient | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._identity = identity
        self._on_message = on_message
        self._decoder = FrameDecoder(max_message)
        self._websocket = websocket
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
        if self._websocket is not None:
            self._transport.write(self._websocket.opening())

    def data_received(self, data: bytes) -> None:
        """Decode what came and hand it on."""
        try:
            for piece in self._unwrap(data):
                for found in self._decoder.feed(piece):
                    if isinstance(found, Greeting):
                        self._answer(found)
                    else:
                        self._on_message(found)
        except RemoteProtocolError as error:
            if not self.greeted.done():
                self.greeted.set_exception(error)
                self.greeted.exception()
            self.abort(str(error))

    def _unwrap(self, data: bytes) -> Iterable[bytes]:
        """Return what the layer below carries, having answered what is addressed to that layer itself."""
        websocket = self._websocket
        if websocket is None:
            return (data,)
        _acknowledge(self._transport.get_extra_info("socket"))
        pieces = list(websocket.receive(data))
        replies = websocket.replies()
        # A peer that asks and asks and does not read the answers gets none: they would pile up here.
        if replies and self._writable.is_set():
            self._transport.write(replies)
        if websocket.is_closed:
            self._reason = self._reason or _CLOSED
            self._transport.close()
        return pieces

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        said = explain(exc) if isinstance(exc, ssl.SSLError) else str(exc or "")
        self._reason = reason = self._reason or said or _CLOSED
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
            self._put(prefix(len(message)) + message)

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
                    self._take_leave()
                await asyncio.shield(self.lost)
        except (TimeoutError, OSError):
            self._transport.abort()
            await asyncio.shield(self.lost)
        finally:
            self._transport.abort()

    def _take_leave(self) -> None:
        if self._websocket is not None and self.greeted.done():
            self._transport.write(self._websocket.closing())
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS says so itself, once everything is sent
            self._transport.close()

    async def _write(self, data: Buffer) -> None:
        await self._writable.wait()
        if self.lost.done() or self._leaving:
            raise ConnectionLostError(self._reason or "the connection is lost")
        self._put(data)

    def _put(self, data: Buffer) -> None:
        self._transport.write(data if self._websocket is None else self._websocket.wrap(data))

    def _answer(self, greeting: Greeting) -> None:
        if self._identity is not None:
            self._put(Greeting(greeting.dialect, self._identity).encode())
        self.greeted.set_result(greeting)


async def open_stream(
    endpoint: Endpoint,
    identity: bytes | None,
    on_message: Callable[[bytes], None],
    max_message: int,
    within: float,
    tls: TlsSettings = DEFAULT_TLS,
) -> tuple[YmqStream, Greeting]:
    """Connect, exchange greetings, and return the connection and how the peer introduced itself.

    Raises:
        TlsError: the two ends cannot agree on TLS, or a file that it needs cannot be used.
        ConnectionLostError: the peer cannot be reached, or did not greet within so many seconds.
    """
    loop = asyncio.get_running_loop()
    secure = endpoint.scheme.is_encrypted
    context, name = (tls.context(), tls.server_name or endpoint.host) if secure else (None, None)
    websocket = WebSocketClient(endpoint) if endpoint.scheme.is_websocket else None
    stream: YmqStream | None = None
    try:
        async with asyncio.timeout(within):
            _, stream = await loop.create_connection(
                lambda: YmqStream(identity, on_message, max_message, websocket),
                endpoint.host,
                endpoint.port,
                ssl=context,
                server_hostname=name,
            )
            return stream, await asyncio.shield(stream.greeted)
    except (ConnectionLostError, RemoteProtocolError) as error:
        # A server that wants a certificate of ours lets go of us after its side of the handshake, often without a word.
        wanting = secure and tls.certificate is None and str(error) == _CLOSED
        hint = "; if it asks for a client certificate, give --tls-cert and --tls-key" if wanting else ""
        raise ConnectionLostError(f"{endpoint}: {error}{hint}") from error
    except OSError as error:  # a refused connection, an unknown name, a timeout, TLS
        raise _unreachable(endpoint, error, connected=stream is not None) from error
    finally:
        if stream is not None and not (stream.greeted.done() and not stream.greeted.exception()):
            stream.abort("the peer did not greet")


def _unreachable(endpoint: Endpoint, error: OSError, *, connected: bool) -> ConnectionLostError:
    # A peer that is gone in the middle of the handshake may be back; it says nothing about TLS.
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return TlsError(f"{endpoint}: {explain(error)}")
    return ConnectionLostError(f"{endpoint} cannot be reached: {str(error) or silence(endpoint, connected=connected)}")


async def hear_greeting(endpoint: Endpoint, within: float, tls: TlsSettings) -> Greeting:
    """Connect, hear how the peer introduces itself, and leave without a word.

    Raises:
        TlsError: the two ends cannot agree on TLS, or a file that it needs cannot be used.
        ConnectionLostError: the peer cannot be reached, or did not greet within so many seconds.
    """
    stream, greeting = await open_stream(endpoint, None, lambda _: None, _SMALL, within, tls)
    stream.abort("heard enough")
    await stream.lost
    return greeting


def silence(endpoint: Endpoint, *, connected: bool) -> str:
    """Say what it may mean that nothing is heard of a peer, which is often the wrong scheme."""
    if not connected:
        return "no answer, or none to TLS" if endpoint.scheme.is_encrypted else "no answer"
    others = " or ".join(f"{other.value}://" for other in Scheme if other.is_websocket and other is not endpoint.scheme)
    if endpoint.scheme is Scheme.TCP:
        others = "tls://, " + others
    return f"it accepts connections and does not greet; if it listens at {others}, use that address"


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)


def _acknowledge(sock: socket.socket) -> None:
    """Acknowledge what comes at once.

    Where Scaler speaks WebSocket it leaves Nagle's algorithm on: the second half of each answer would wait 40 ms for an
    acknowledgement that the system puts off. The option holds until the system changes its mind.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
