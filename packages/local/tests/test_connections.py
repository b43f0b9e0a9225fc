"""Connections that wait, and whoever does not let go of one."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scaler_batch.local.web import connections
from scaler_batch.local.web.chain import Answer
from scaler_batch.local.web.connections import HEAD_BYTES, HEADERS, Headers, Reader
from scaler_batch.local.web.serving import THREADS, HttpServer

OK = b"HTTP/1.1 200 OK\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
STRANGER = b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: %d\r\n\r\n"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def screen(environ: dict[str, Any]) -> Answer | None:
    if environ.get("HTTP_HOST") != "evil.example":
        return None
    return Answer("403 Forbidden", [("Content-Length", "2")], [b"no"])


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    server = HttpServer("127.0.0.1", 0, echo, screen)
    server.serve()
    yield server
    server.close()


@pytest.fixture
def connect(server: HttpServer) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", server.port), 20))
        return opened[-1]

    yield one
    for each in opened:
        each.close()


def answer(sock: socket.socket) -> bytes:
    """What comes until the head of an answer is whole, and its body, or the connection ends."""
    said = b""
    while b"\r\n\r\n" not in said:
        if not (data := sock.recv(65536)):
            return said
        said += data
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length and (data := sock.recv(65536)):
        body += data
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("begun", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"])
def test_requests_that_are_begun_and_not_ended_hold_no_thread(connect: Any, begun: bytes) -> None:
    for _ in range(4 * THREADS):
        connect().sendall(begun)
    begin = time.monotonic()
    honest = connect()
    honest.sendall(GET)
    assert answer(honest).startswith(OK)
    assert time.monotonic() - begin < 5


def test_a_head_may_come_byte_by_byte_and_several_requests_at_once(connect: Any) -> None:
    sock = connect()
    for byte in GET:
        sock.sendall(bytes([byte]))
    assert answer(sock).startswith(OK)
    sock.sendall(GET + b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab")
    assert answer(sock).startswith(OK)
    sock.sendall(b"cde" + GET[:10])
    assert answer(sock).endswith(b"abcde")
    sock.sendall(GET[10:])
    assert answer(sock).startswith(OK)


def test_a_large_body_comes_whole_and_in_chunks(connect: Any) -> None:
    body = bytes(range(256)) * 16_000
    sock = connect()
    sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert answer(sock).endswith(body)
    sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
    assert answer(sock).endswith(b"abcde")


def test_whoever_is_sent_away_hears_why_though_a_body_was_to_come(connect: Any) -> None:
    sock = connect()
    sock.sendall(STRANGER % 300_000 + bytes(300_000))
    assert answer(sock).startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert sock.recv(1) == b""


def test_a_body_of_a_stranger_is_not_waited_for(connect: Any) -> None:
    for _ in range(2 * THREADS):
        connect().sendall(STRANGER % 100 + b"half")
    honest = connect()
    honest.sendall(GET)
    assert answer(honest).startswith(OK)


def test_the_rest_of_a_strangers_body_is_read_for_a_while_only(connect: Any) -> None:
    sock = connect()
    with contextlib.suppress(ConnectionError):
        sock.sendall(STRANGER % 10**9 + bytes(8 << 20))
        assert answer(sock).startswith(b"HTTP/1.1 403")
        assert sock.recv(1) == b""


def test_a_stranger_that_waits_too_long_is_let_go(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    sock = connect()
    sock.sendall(b"GET / HT")
    assert sock.recv(1) == b""


def test_when_too_many_wait_the_stranger_goes_that_has_waited_longest(
    server: HttpServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = connect()
    known.sendall(GET)
    assert answer(known).startswith(OK)
    monkeypatch.setattr(server._server._connections, "_most", 8)
    strangers = [connect() for _ in range(40)]
    honest = connect()
    honest.sendall(GET)
    assert answer(honest).startswith(OK)
    assert strangers[0].recv(1) == b""
    known.sendall(GET)
    assert answer(known).startswith(OK)


@pytest.mark.parametrize(
    "head",
    [
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"Host: localhost\r\nhost: localhost\r\n",
        b"Host: localhost\r\n evil.example\r\n",
        b"Host: localhost\r\nOrigin: a\r\nOrigin: b\r\n",
        b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"Host: localhost\r\nContent-Length: -1\r\n",
        b"Host: localhost\r\nContent-Length: 1_0\r\n",
        b"Host: localhost\r\nContent-Length: +1\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(HEADERS + 1)),
    ],
)
def test_heads_that_can_be_read_in_two_ways_or_are_too_many_are_refused(connect: Any, head: bytes) -> None:
    sock = connect()
    sock.sendall(b"GET / HTTP/1.1\r\n" + head + b"\r\n")
    assert answer(sock).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("head", [b"GET /%s HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: %s\r\n", b"%s"])
def test_heads_have_a_size(connect: Any, head: bytes) -> None:
    sock = connect()
    with contextlib.suppress(ConnectionError):
        sock.sendall(head % (b"x" * 2 * HEAD_BYTES) + b"\r\n\r\n")
        assert answer(sock).split(b" ")[1] in {b"413", b"414"}


def test_lists_may_be_sent_in_parts() -> None:
    headers = Headers()
    headers[b"Accept"] = b"a"
    headers[b"Accept"] = b"a, b"
    headers[b"Host"] = b"a"
    with pytest.raises(ValueError, match="twice"):
        headers[b"Host"] = b"a"


def test_a_reader_gives_what_came_first_and_then_what_comes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        reader = Reader(ours)
        reader.push(b"line\nre")
        theirs.sendall(b"st\nend")
        theirs.shutdown(socket.SHUT_WR)
        assert (reader.readline(256), reader.readline(3), reader.readline()) == (b"line\n", b"res", b"t\n")
        assert (reader.read(0), reader.read(10), reader.readline()) == (b"", b"end", b"")
        assert reader.bytes_read == len(b"line\nrest\nend")
        with pytest.raises(ValueError, match="size"):
            reader.read(-1)


def test_a_head_is_found_wherever_it_is_cut() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for cut in range(len(GET)):
            reader = Reader(ours)
            reader.push(GET[:cut])
            assert not reader.has_head()
            reader.push(GET[cut:])
            assert reader.has_head()
