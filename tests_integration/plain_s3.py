"""A server that knows just enough of S3 to be asked, and does next to nothing: for measuring clients, and failing them.

It keeps no objects. A get is answered with as many zeros as the last part of the key says, a listing and a removal of
any length with :data:`LISTED` keys, a put with thanks. The name of a bucket, up to its first hyphen, says how it fails:

- ``slow``: 503 Slow Down, for :data:`SLOW_FOR` seconds after the first request
- ``cut``: the first :data:`BROKEN` requests are read, then their connection is closed without an answer
- ``torn``: the first :data:`BROKEN` gets end half-way through the object
- ``forbidden``, ``missing``: 403 and 404, always

Each bucket remembers when it was asked; ``GET /_asked/NAME`` tells.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final, NamedTuple
from urllib.request import urlopen

LISTED: Final = 1000
"""S3's most for one listing, and for one removal."""

SLOW_FOR: Final = 3.0
BROKEN: Final = 2

_ENTRY: Final = (
    "<Contents><Key>run/outcomes/{}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>"
    "<Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
_LISTING: Final = (
    f"<ListBucketResult><Name>b</Name><Prefix>run/</Prefix><KeyCount>{LISTED}</KeyCount><MaxKeys>{LISTED}</MaxKeys>"
    f"<IsTruncated>false</IsTruncated>{''.join(map(_ENTRY.format, range(LISTED)))}</ListBucketResult>"
)
_DELETED: Final = "<Deleted><Key>run/outcomes/{}</Key></Deleted>"
_REMOVAL: Final = f"<DeleteResult>{''.join(map(_DELETED.format, range(LISTED)))}</DeleteResult>"
_MULTIPART: Final = "<Upload><UploadId>1</UploadId><ETag>0</ETag></Upload>"
_ERROR: Final = "<Error><Code>{}</Code><Message>as the bucket's name asks</Message></Error>"


class Answer(NamedTuple):
    """What goes back. A length above that of the body is a promise that is broken: the connection is closed early."""

    status: str
    body: bytes = b""
    length: int | None = None
    headers: str = 'ETag: "0"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n'

    @property
    def whole(self) -> bool:
        return self.length in (None, len(self.body))

    def head(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        return f"HTTP/1.1 {self.status}\r\nContent-Length: {length}\r\n{self.headers}\r\n".encode()


class Bucket:
    """What one bucket answers, and when it was asked."""

    def __init__(self, name: str) -> None:
        self._fault = name.partition("-")[0]
        self.asked: list[float] = []

    def answer(self, method: str, key: str, query: str, wanted: str) -> Answer | None:
        """Answer a request; None closes the connection."""
        self.asked.append(time.monotonic())
        broken = len(self.asked) <= BROKEN
        match self._fault:
            case "cut" if broken:
                return None
            case "slow" if self.asked[-1] - self.asked[0] < SLOW_FOR:
                return Answer("503 Slow Down", _ERROR.format("SlowDown").encode())
            case "forbidden":
                return Answer("403 Forbidden", _ERROR.format("AccessDenied").encode())
            case "missing":
                return Answer("404 Not Found", _ERROR.format("NoSuchBucket").encode())
        if method == "GET" and "list-type" not in query:
            return _zeros(int(key.rpartition("/")[2]), wanted, torn=self._fault == "torn" and broken)
        if method == "POST":
            return Answer("200 OK", (_REMOVAL if query.startswith("delete") else _MULTIPART).encode())
        return Answer("200 OK", _LISTING.encode() if method == "GET" else b"")


def _zeros(size: int, wanted: str, *, torn: bool) -> Answer:
    """The object, or what of it ``wanted`` (a Range that is open at its end) asks for."""
    first = int(wanted.removeprefix("bytes=").partition("-")[0] or 0)
    body = bytes((size - first) // (2 if torn else 1))
    if not wanted:
        return Answer("200 OK", body, size)
    headers = f"Content-Range: bytes {first}-{size - 1}/{size}\r\n"
    return Answer("206 Partial Content", body, size - first, Answer._field_defaults["headers"] + headers)


class Server:
    """All buckets; any name is one."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    async def run(self, ready: Connection) -> None:
        """Answer until the process ends; tell ``ready`` where."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", limit=1 << 20)
        ready.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has hung up
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request and answer it; tell whether another may follow."""
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        if "expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await _skip(reader, int(headers.get("content-length", 0)))
        answer = self._answer(first, headers.get("range", ""))
        if answer is None:
            return False
        writer.write(answer.head())
        writer.write(answer.body)
        await writer.drain()
        return answer.whole

    def _answer(self, line: str, wanted: str) -> Answer | None:
        method, target, _ = line.split()
        path, _, query = target.partition("?")
        name, _, key = path.removeprefix("/").partition("/")
        if name == "_asked":
            return Answer("200 OK", json.dumps(self._buckets[key].asked).encode())
        return self._buckets.setdefault(name, Bucket(name)).answer(method, key, query, wanted)


async def _skip(reader: asyncio.StreamReader, left: int) -> None:
    while left:
        read = len(await reader.read(min(left, 1 << 20)))
        if not read:
            raise asyncio.IncompleteReadError(b"", left)
        left -= read


def _serve(ready: Connection) -> None:
    asyncio.run(Server().run(ready))


@contextmanager
def serving() -> Iterator[str]:
    """Start the server in a process of its own; yield its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that nothing is waited for, should the server die
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def times_asked(endpoint: str, bucket: str) -> list[float]:
    """When a bucket was asked, in seconds of some clock."""
    with urlopen(f"{endpoint}/_asked/{bucket}") as answer:
        return [float(moment) for moment in json.load(answer)]
