"""HTTP by cheroot, with connections that stay open, and with what it does not know about S3 and about faults."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from cheroot.wsgi import Gateway_10, Server

from ..errors import StartError
from .chain import Answer, Disconnect, Manner
from .connections import HEAD_BYTES, Connection, Connections
from .guard import LARGEST_OBJECT

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

THREADS: Final = 16
"""Requests that are dealt with at once. Python runs one of them at a time; the others wait for each other's locks."""

BACKLOG: Final = 256
TIMEOUT: Final = 60
"""Seconds until the next bytes of a body."""

LARGE: Final = 16 << 20
"""Bytes of a body. Those that are larger pass one at a time, because moto has them in memory as a whole."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""To linger for no second: the kernel sends RST instead of FIN."""

Screen = Callable[[Any], Answer | None]

_PRESERVED_NAMES = "moto.preserved_header_names"
_METADATA = "x-amz-meta-"


class HttpServer:
    """A listening socket, and the threads behind it.

    Args:
        host: The address to listen on.
        port: The port; 0 for one that is free.
        application: What answers.
        screen: What answers whoever has no key, from the head of a request; None for a request that may pass. After
            such an answer the connection is closed, and nothing more of the request is read.

    Raises:
        StartError: The address is taken.
    """

    def __init__(self, host: str, port: int, application: WSGIApplication, screen: Screen) -> None:
        self._server = _Server((host, port), application, numthreads=THREADS, request_queue_size=BACKLOG)
        self._server.screen = screen
        self._server.gateway = _Gateway
        self._server.timeout = TIMEOUT
        self._server.max_request_header_size = HEAD_BYTES
        try:
            self._server.prepare()
        except OSError as error:
            raise StartError(f"cannot listen on {host}:{port}: {error}") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.bind_addr[1])

    def serve(self) -> None:
        """Answer requests from now on, in threads that end with the process."""
        threading.Thread(target=self._server.serve, name="http", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Let a request wait in its thread, while another thread stands in for it."""
        with self._server.stand_in():
            time.sleep(seconds)

    def close(self) -> None:
        """Let go of the socket and the threads."""
        self._server.stop()


class _Server(Server):
    """A server whose threads may wait for long."""

    screen: Screen
    _connections: Any
    ConnectionClass = Connection

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._staff = threading.Lock()
        self._away = 0
        self._large = threading.Lock()

    def prepare(self) -> None:
        """Listen, with connections that are managed in our way."""
        super().prepare()
        self._connections.close()
        self._connections = Connections(self)

    @contextlib.contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Have one large body at a time."""
        if size <= LARGE:
            yield
            return
        with self.stand_in():
            self._large.acquire()
        try:
            yield
        finally:
            self._large.release()

    @contextlib.contextmanager
    def stand_in(self) -> Iterator[None]:
        """Have as many threads as ever that do not wait, while one waits in a block.

        Threads that were added stay: those that wait now will not be the last. ``ThreadPool.grow`` is not used, because
        it sleeps for a tenth of a second when a thread is not ready at once.
        """
        with self._staff:
            self._away += 1
            if len(self.requests._threads) - self._away < THREADS:
                self.requests._threads.append(self.requests._spawn_worker())
        try:
            yield
        finally:
            with self._staff:
                self._away -= 1


class _Gateway(Gateway_10):
    """What stands between a connection and the application."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """The request as WSGI has it, and as moto wants it.

        moto reads the path as it was sent, because an encoded slash is a part of an S3 key; and it wants to be told
        where WSGI made a dash of an underscore, because S3 metadata knows both.
        """
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ["RAW_URI"] = environ["REQUEST_URI"]
        if self.req.chunked_read:
            self.req.rfile.maxlen = LARGEST_OBJECT
        names = (name.decode("latin-1") for name in self.req.inheaders)
        environ[_PRESERVED_NAMES] = {
            f"HTTP_{name.upper().replace('-', '_')}": name
            for name in names
            if "_" in name and name.lower().startswith(_METADATA)
        }
        return environ

    def respond(self) -> None:
        """Answer, or leave the connection without an answer when that is what the application wants."""
        answer = self.req.server.screen(self.env)
        if answer is not None:
            self._send_away(answer)
            return
        self.req.conn.is_known = True
        try:
            with self.req.server.room_for(self._size()):
                super().respond()
        except Disconnect as order:
            self.req.close_connection = True
            self.req.ready = False  # there are no headers to send any more
            self._leave(order.manner)

    def _size(self) -> int:
        """The bytes of the body; the most that there may be where it comes in chunks."""
        return LARGEST_OBJECT if self.req.chunked_read else int(self.env.get("CONTENT_LENGTH") or 0)

    def _send_away(self, answer: Answer) -> None:
        self.req.close_connection = self.req.conn.is_sent_away = True  # the rest of the request is not read
        self.start_response(answer.status, list(answer.headers))
        for piece in answer.body:
            self.write(piece)
        self.req.ensure_headers_sent()

    def _leave(self, manner: Manner) -> None:
        connection = self.req.conn
        match manner:
            case Manner.CLOSE:
                connection.socket.shutdown(socket.SHUT_RDWR)
            case Manner.RESET:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.socket.close()
                connection.linger = True  # there is nothing left for cheroot to shut down
            case Manner.SILENCE:
                with self.req.server.stand_in():
                    _wait_for_hang_up(connection.socket)


def _wait_for_hang_up(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll()
