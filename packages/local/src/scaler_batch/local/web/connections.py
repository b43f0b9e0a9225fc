"""Connections while no thread works for them.

::

    accepted ─► waiting ─── the head of a request is whole ──► a thread
                   ▲                                              │
                   ├───────────── answered, kept open ◄───────────┤
                   └── sent away: read to its end, then closed ◄──┘

A thread gets a connection once the head of a request has come whole, so a client that begins one and stops holds a
descriptor and no thread. How long that may take is bounded, and so is the number of connections that wait: when there
are too many, the stranger goes that has waited longest. A stranger is one on which no request was let pass yet.

This stands in for cheroot's own manager of connections, which hands a connection to a thread before anything has come.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.server import comma_separated_headers as lists  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from cheroot.wsgi import Server

HEAD_BYTES: Final = 64 << 10
"""Of a request line and its headers; AWS takes 8 KiB of headers from S3's clients, and long addresses besides."""

HEADERS: Final = 100
HEAD_SECONDS: Final = 10.0
"""From the first byte of a head to its last."""

IDLE_SECONDS: Final = 60.0
"""An idle connection is kept so long; a client that finds its own closed may report an error before it tries again."""

CONNECTIONS: Final = 1000
"""That wait; fewer where the process may have fewer files open."""

_PARTING_SECONDS: Final = 2.0
_PARTING_BYTES: Final = 1 << 20
"""Of a request that was refused, read so that the client is not cut off before it has seen the answer."""

_CHUNK: Final = 64 << 10
_HEAD_END: Final = b"\r\n\r\n"


class Reader:
    """What a client sends, as a file: first what came while the connection waited, then the socket.

    Args:
        sock: Whom to read from, with a timeout.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._pending = bytearray()
        self._scanned = 0
        self.closed = False
        self.bytes_read = 0

    def push(self, data: bytes) -> None:
        """Take what has come."""
        self._pending += data

    def has_data(self) -> bool:
        """Whether something has come that nobody has read."""
        return bool(self._pending)

    def has_head(self) -> bool:
        """Whether reading a head would not wait: it is whole, or too long anyway."""
        if len(self._pending) > HEAD_BYTES or self._pending.find(_HEAD_END, self._scanned) >= 0:
            return True
        self._scanned = max(0, len(self._pending) - len(_HEAD_END) + 1)
        return False

    def read(self, size: int) -> bytes:
        """Read so many bytes; fewer only at the end of what the client sends.

        Raises:
            TimeoutError: The client sends nothing for long.
            ValueError: The size is negative: a client never says that it has said all.
        """
        if size < 0:
            raise ValueError("a size is needed")
        self._scanned = 0
        content = bytes(self._pending[:size])
        del self._pending[:size]
        if len(content) < size:
            content = self._rest(content, size)
        self.bytes_read += len(content)
        return content

    def readline(self, size: int = HEAD_BYTES) -> bytes:
        """Read to the end of a line, or so many bytes."""
        while (end := self._pending.find(b"\n", 0, size) + 1) == 0 and len(self._pending) < size:
            if not (data := self._socket.recv(_CHUNK)):
                break
            self.push(data)
        return self.read(min(end or size, len(self._pending)))

    def close(self) -> None:
        """Read no more."""
        self.closed = True

    def _rest(self, begun: bytes, size: int) -> bytes:
        whole = io.BytesIO()  # gives what it has gathered without a copy
        whole.write(begun)
        while (left := size - whole.tell()) and (data := self._socket.recv(min(left, 4 * _CHUNK))):
            whole.write(data)
        return whole.getvalue()


class Headers(dict[bytes, bytes]):
    """The headers of a request: not too many, and none of them twice, since which of two counts is the sender's choice.

    cheroot puts those that are lists together by setting them again. It answers a ValueError with 400.
    """

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name in self and name not in lists:
            raise ValueError("a header was sent twice")
        if len(self) >= HEADERS:
            raise ValueError("too many headers")
        super().__setitem__(name, value)


class Request(HTTPRequest):
    """A request whose headers are what they seem to be."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.inheaders = Headers()

    def read_request_headers(self) -> bool:
        """Read the headers; the length of a body has digits only, while Python takes ``-1`` and ``1_0`` for numbers."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if self.inheaders.get(b"Content-Length", b"0").isdigit():
            return True
        self.simple_response("400 Bad Request", "Malformed Content-Length Header.")
        return False


class Connection(HTTPConnection):
    """One connection.

    Attributes:
        is_known: Whether a request was let pass on it.
        is_sent_away: Whether a request was refused on it, so that it ends.
        deadline: When it has waited long enough.
    """

    RequestHandlerClass = Request
    is_known = False
    is_sent_away = False
    deadline = 0.0
    unread = 0

    def __init__(self, server: Server, sock: socket.socket) -> None:
        super().__init__(server, sock, _file)

    def close(self) -> None:
        """Close it; first read what a client has to say that was sent away."""
        if self.is_sent_away:
            self.is_sent_away = False
            self.server._connections.part(self)
        else:
            super().close()


def _file(sock: socket.socket, mode: str = "r", bufsize: int = io.DEFAULT_BUFFER_SIZE) -> Any:
    return Reader(sock) if "r" in mode else MakeFile(sock, mode, bufsize)


class Connections:
    """The connections of a server that wait, and the loop that hands them to threads.

    Args:
        server: Takes connections whose request can be read (``process_conn``).
        most: How many may wait.
    """

    def __init__(self, server: Server, most: int | None = None) -> None:
        self._server = server
        self._most = min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2) if most is None else most
        self._lock = threading.Lock()
        self._waiting: dict[int, Connection] = {}
        self._epoll = select.epoll()
        self._listening = server.socket.fileno()
        self._epoll.register(self._listening, select.EPOLLIN)
        self._serving = self._stopped = False

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether one more may be kept open."""
        return len(self._waiting) < self._most

    def put(self, conn: Connection) -> None:
        """Take back a connection whose request was answered."""
        conn.deadline = time.monotonic() + (HEAD_SECONDS if conn.rfile.has_data() else IDLE_SECONDS)
        self._pass_on_or_watch(conn)

    def part(self, conn: Connection) -> None:
        """Take a connection that is to end: its client is read until it has heard the answer, though not for long."""
        conn.unread = _PARTING_BYTES
        conn.deadline = time.monotonic() + _PARTING_SECONDS
        with contextlib.suppress(OSError):
            conn.socket.shutdown(socket.SHUT_WR)
        self._watch(conn)

    def run(self, expiration_interval: float) -> None:
        """Accept, listen and let go, until :meth:`stop`."""
        self._serving = True
        try:
            while not self._stopped:
                for descriptor, _ in self._epoll.poll(expiration_interval):
                    if descriptor == self._listening:
                        self._accept()
                    elif (conn := self._waiting.get(descriptor)) is not None:
                        self._listen(conn)
                self._let_go()
        finally:
            self._serving = False

    def stop(self) -> None:
        """Have :meth:`run` end, and wait until it has."""
        self._stopped = True
        while self._serving:
            time.sleep(0.01)

    def close(self) -> None:
        """Close all that wait."""
        for conn in self._all():
            self._drop(conn)
        self._epoll.close()

    def _accept(self) -> None:
        try:
            sock, address = self._server.socket.accept()
        except OSError:  # it has gone, or there are no descriptors left
            self._drop_stranger()
            return
        if len(self._waiting) >= self._most and not self._drop_stranger():
            sock.close()
            return
        sock.settimeout(self._server.timeout)
        conn = self._server.ConnectionClass(self._server, sock)
        conn.remote_addr, conn.remote_port = address[:2]
        conn.ssl_env = {}
        conn.deadline = time.monotonic() + IDLE_SECONDS
        self._watch(conn)

    def _listen(self, conn: Connection) -> None:
        try:
            data = os.read(conn.socket.fileno(), _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if conn.unread:
            conn.unread = max(0, conn.unread - len(data))
            if not data or not conn.unread:
                self._drop(conn)
        elif not data:
            self._drop(conn)
        else:
            self._take(conn, data)

    def _take(self, conn: Connection, data: bytes) -> None:
        if not conn.rfile.has_data():
            conn.deadline = time.monotonic() + HEAD_SECONDS
        conn.rfile.push(data)
        if conn.rfile.has_head():
            self._unwatch(conn)
            self._server.process_conn(conn)

    def _let_go(self) -> None:
        now = time.monotonic()
        for conn in [each for each in self._all() if each.deadline < now]:
            self._drop(conn)

    def _drop_stranger(self) -> bool:
        """Close the stranger that has waited longest, and say whether there was one."""
        stranger = next((conn for conn in self._all() if not conn.is_known), None)
        if stranger is not None:
            self._drop(stranger)
        return stranger is not None

    def _all(self) -> list[Connection]:
        with self._lock:
            return list(self._waiting.values())

    def _pass_on_or_watch(self, conn: Connection) -> None:
        if conn.rfile.has_head():
            self._server.process_conn(conn)
        else:
            self._watch(conn)

    def _watch(self, conn: Connection) -> None:
        with self._lock:
            self._waiting[conn.socket.fileno()] = conn
            self._epoll.register(conn.socket.fileno(), select.EPOLLIN)

    def _unwatch(self, conn: Connection) -> None:
        with self._lock:
            del self._waiting[conn.socket.fileno()]
            self._epoll.unregister(conn.socket.fileno())

    def _drop(self, conn: Connection) -> None:
        self._unwatch(conn)
        with contextlib.suppress(OSError):
            HTTPConnection.close(conn)
        conn.socket.close()
