"""A byte stream in WebSocket frames, without sockets: what Scaler's ``ws`` and ``wss`` addresses mean.

YMQ's bytes travel as the payload of binary frames, cut anywhere. What is received is handed on as it comes, so that a
frame is never gathered as a whole, however long it claims to be.
"""

from __future__ import annotations

from collections.abc import Iterator

from wsproto import ConnectionType, WSConnection
from wsproto import events as ws
from wsproto.connection import ConnectionState
from wsproto.utilities import ProtocolError

from .addresses import Endpoint
from .errors import RemoteProtocolError
from .framing import MAGIC


class WebSocketClient:
    """The connecting side.

    Args:
        endpoint: its host, port and path go into the HTTP request.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._replies = b""
        self.is_closed = False
        """Whether the peer has said that nothing more comes."""

    def opening(self) -> bytes:
        """Return what is to be sent first."""
        return self._connection.send(ws.Request(host=self._endpoint.authority, target=self._endpoint.path))

    def wrap(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return the frame that carries `data`."""
        return self._connection.send(ws.BytesMessage(bytes(data)))

    def closing(self) -> bytes:
        """Return what says that nothing more comes."""
        return self._connection.send(ws.CloseConnection(code=1000))

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Take what was received and yield what it carries; must be iterated to its end.

        Raises:
            RemoteProtocolError: the peer does not speak WebSocket, or refuses to.
        """
        if self._is_connecting and data.startswith(MAGIC):  # no line of HTTP, whose end would be waited for
            raise RemoteProtocolError(self._complaint("it greets with YMQ"))
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                yield from self._handle(event)
        except ProtocolError as error:
            raise RemoteProtocolError(self._complaint(str(error))) from None

    def replies(self) -> bytes:
        """Return what is to be sent in answer to what was received; all but the last ping go without one."""
        replies, self._replies = self._replies, b""
        return replies

    def _handle(self, event: ws.Event) -> Iterator[bytes]:
        match event:
            case ws.BytesMessage(data=data):
                yield bytes(data)
            case ws.Ping():
                self._replies = self._connection.send(event.response())
            case ws.RejectConnection(status_code=status):
                raise RemoteProtocolError(
                    f"it answers with HTTP status {status}: no scheduler is at {self._endpoint}, or not at this path"
                )
            case ws.CloseConnection(reason=reason):
                # wsproto says in this way, too, that it could not read a frame; then the peer has not closed anything.
                if self._connection.state is ConnectionState.OPEN:
                    raise RemoteProtocolError(self._complaint(reason or "unreadable"))
                self._replies = self._connection.send(event.response()) if self._is_asked_to_close else b""
                self.is_closed = True
            case ws.TextMessage():
                raise RemoteProtocolError("it sends text where bytes were expected")
            case _:  # accepted; a pong; the page that goes with a refusal
                return

    @property
    def _is_connecting(self) -> bool:
        return self._connection.state is ConnectionState.CONNECTING

    @property
    def _is_asked_to_close(self) -> bool:
        return self._connection.state is ConnectionState.REMOTE_CLOSING

    def _complaint(self, what: str) -> str:
        if self._is_connecting:
            other = "tls" if self._endpoint.scheme.is_encrypted else "tcp"
            return f"it does not speak WebSocket ({what}); if it listens at a {other}:// address, connect to that"
        return f"its WebSocket frames are malformed: {what}"
