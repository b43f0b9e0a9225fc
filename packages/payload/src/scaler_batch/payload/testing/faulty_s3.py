"""An S3 over real sockets that fails as it is told.

One bucket, in memory, and no more than a run's store asks for: PUT (with ``If-None-Match``), GET, copies of an object
onto itself, listings and bulk removal. Each request meets the next of the faults, until none are left; then all goes
well.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from re import DOTALL, findall
from typing import Final, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Reset:
    """The connection is reset (TCP RST) instead of an answer.

    Attributes:
        served: Whether the request has its effect all the same: only the answer is lost.
    """

    served: bool = False


@dataclass(frozen=True)
class Hang:
    """No answer comes, until the server is closed.

    Attributes:
        served: Whether the request has its effect all the same.
    """

    served: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer that S3 gives instead of doing what it was asked.

    Attributes:
        status: The HTTP status.
        code: S3's error code; empty for an answer without a body.
        headers: More headers, by name.
        more: More elements of the error, as XML.
        served: Whether the request has its effect all the same.
    """

    status: int
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    more: str = ""
    served: bool = False

    @property
    def body(self) -> bytes:
        """What is sent as the body."""
        said = f"<Error><Code>{self.code}</Code><Message>{self.code} was said</Message>{self.more}</Error>"
        return said.encode() if self.code else b""


Fault = Reset | Hang | Answer


class FaultyS3:
    """The server; it serves while it is entered.

    Args:
        faults: What befalls the first requests, one by one.
        always: What befalls all others; by default, nothing.
        port: Where to listen; by default, wherever there is room.
        tls: With which certificate; by default, there is no TLS.

    Attributes:
        objects: What lies where, by key.
        requests: What was asked, such as ``"PUT prefix/run/outcomes/0"``; ``COPY`` is a PUT that names a source.
        page: How many keys a listing gives at a time.
    """

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        *,
        always: Fault | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.page = 1000
        self._faults = deque(faults)
        self._always = always
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._scheme = "https" if tls else "http"
        self._server = _Server(("127.0.0.1", port), self, tls)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a store here."""
        return {"AWS_ENDPOINT_URL": self.address}

    def befall(self, fault: Fault) -> None:
        """Add a fault, for the request that comes after all others that meet one."""
        self._faults.append(fault)

    def take_fault(self, request: str) -> Fault | None:
        """Return what befalls a request."""
        with self._lock:
            self.requests.append(request)
            return self._faults.popleft() if self._faults else self._always

    def hang(self) -> None:
        """Wait until the server is closed."""
        self._closed.wait()

    def serve(self, method: str, key: str, query: dict[str, list[str]], body: bytes, *, once: bool) -> Answer | bytes:
        """Do what S3 does."""
        with self._lock:
            match method:
                case "COPY" if key not in self.objects:
                    return Answer(404, "NoSuchKey")
                case "COPY":
                    return b"<CopyObjectResult><ETag>1</ETag></CopyObjectResult>"
                case "PUT" if once and key in self.objects:
                    return Answer(412, "PreconditionFailed")
                case "PUT":
                    self.objects[key] = body
                    return b""
                case "POST":
                    names = findall(r"<Key>(.*?)</Key>", body.decode(), DOTALL)
                    for name in map(unescape, names):
                        self.objects.pop(name, None)
                    deleted = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
                    return f"<DeleteResult>{deleted}</DeleteResult>".encode()
                case "DELETE":
                    self.objects.pop(key, None)
                    return b""
                case _ if "list-type" in query:
                    return self._listing(query)
                case _:
                    return self.objects.get(key, Answer(404, "NoSuchKey"))

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        [prefix], [after] = (query.get(name, [""]) for name in ("prefix", "continuation-token"))
        keys = [key for key in sorted(self.objects) if key.startswith(prefix) and key > after]
        page, more = keys[: self.page], keys[self.page :]
        # What XML cannot carry, S3 tells to those who ask for an encoding.
        written = quote if "encoding-type" in query else _escaped
        told = "".join(_entry(written(key), len(self.objects[key])) for key in page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        encoding = "<EncodingType>url</EncodingType>" if "encoding-type" in query else ""
        truncated = f"{encoding}<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}"
        return f"<ListBucketResult>{told}{truncated}</ListBucketResult>".encode()


def _escaped(key: str) -> str:
    return "".join(f"&#{ord(each)};" if ord(each) < 32 else each for each in escape(key))


def _entry(key: str, size: int) -> str:
    return (
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>1</ETag>"
        "<LastModified>2026-11-22T12:00:00.000Z</LastModified></Contents>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], s3: FaultyS3, tls: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.s3 = s3


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        key = unquote(address.path).lstrip("/").partition("/")[2]
        query = parse_qs(address.query)
        s3, once = self.server.s3, "If-None-Match" in self.headers
        method = "COPY" if "x-amz-copy-source" in self.headers else self.command
        fault = s3.take_fault(f"{method} {key}")
        answer = s3.serve(method, key, query, body, once=once) if fault is None or fault.served else b""
        match fault:
            case Reset() | Hang():
                self._break(fault)
            case _:
                self._send(fault or answer)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _send(self, answer: Answer | bytes) -> None:
        status, headers, body = (
            (answer.status, answer.headers, answer.body) if isinstance(answer, Answer) else (200, (), answer)
        )
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in (("Content-Length", str(len(body))), ("ETag", '"1"'), *headers):
                self.send_header(name, value)
            self.send_header("Last-Modified", "Sun, 22 Nov 2026 12:00:00 GMT")
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

    def _break(self, fault: Reset | Hang) -> None:
        if isinstance(fault, Hang):
            self.server.s3.hang()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.close_connection = True
        # Not through finish(), which would say goodbye.
        self.connection.close()
        self.rfile.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
