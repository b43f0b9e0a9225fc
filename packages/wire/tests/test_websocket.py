"""The connecting side of a WebSocket, without sockets: what arrives, what is answered, what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from scaler_batch.wire.addresses import Endpoint, Scheme, parse
from scaler_batch.wire.errors import RemoteProtocolError
from scaler_batch.wire.websocket import WebSocketClient

hostile = settings.get_profile("hostile")
ENDPOINT = Endpoint("scheduler.example", 443, Scheme.WSS, "/scaler")


def opened(endpoint: Endpoint = ENDPOINT) -> tuple[WebSocketClient, WSConnection]:
    """Both sides, after the handshake."""
    client, server = WebSocketClient(endpoint), WSConnection(ConnectionType.SERVER)
    server.receive_data(client.opening())
    assert [type(event) for event in server.events()] == [ws.Request]
    assert list(client.receive(server.send(ws.AcceptConnection()))) == []
    return client, server


def frame(first: int, payload: bytes) -> bytes:
    """A frame as a server sends it, up to 125 bytes."""
    return bytes([first, len(payload)]) + payload


@pytest.mark.parametrize(
    ("address", "line", "host"),
    [
        ("ws://127.0.0.1:80", b"GET / HTTP/1.1", b"Host: 127.0.0.1:80"),
        ("wss://[::1]:443/a/b", b"GET /a/b HTTP/1.1", b"Host: [::1]:443"),
    ],
)
def test_host_port_and_path_are_those_of_the_address(address: str, line: bytes, host: bytes) -> None:
    lines = WebSocketClient(parse(address)).opening().split(b"\r\n")
    assert lines[0] == line
    assert host in lines


@given(st.lists(st.binary(max_size=300)), st.integers(1, 400))
def test_bytes_arrive_in_order_however_they_are_cut(parts: list[bytes], cut: int) -> None:
    client, server = opened()
    stream = b"".join(server.send(ws.BytesMessage(part, message_finished=n % 2 == 0)) for n, part in enumerate(parts))
    got = b"".join(b"".join(client.receive(stream[at : at + cut])) for at in range(0, len(stream), cut))
    assert got == b"".join(parts)


@given(st.lists(st.binary(max_size=300)))
def test_bytes_leave_masked_and_in_order(parts: list[bytes]) -> None:
    client, server = opened()
    for part in parts:
        server.receive_data(client.wrap(memoryview(part)))
    assert b"".join(bytes(event.data) for event in server.events() if isinstance(event, ws.BytesMessage)) == b"".join(
        parts
    )


def test_a_ping_is_answered_and_of_many_the_last() -> None:
    client, server = opened()
    assert list(client.receive(server.send(ws.Ping(b"one")) + server.send(ws.Ping(b"two")))) == []
    server.receive_data(client.replies())
    assert [event.payload for event in server.events() if isinstance(event, ws.Pong)] == [b"two"]
    assert client.replies() == b""


def test_a_goodbye_is_answered_and_ends_it() -> None:
    client, server = opened()
    assert list(client.receive(server.send(ws.BytesMessage(b"last")) + server.send(ws.CloseConnection(1001)))) == [
        b"last"
    ]
    assert client.is_closed
    server.receive_data(client.replies())
    assert [type(event) for event in server.events()] == [ws.CloseConnection]


def test_our_goodbye_is_understood() -> None:
    client, server = opened()
    server.receive_data(client.closing())
    (event,) = server.events()
    assert isinstance(event, ws.CloseConnection)
    list(client.receive(server.send(event.response())))
    assert client.is_closed


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        (b"HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere\r\nContent-Length: 0\r\n\r\n", "HTTP status 301"),
        (b"YMQ\x02" + bytes(8), "if it listens at a tls:// address, connect to that"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak WebSocket"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
         "does not speak WebSocket"),
        (b"x" * 200_000, "does not speak WebSocket"),
    ],
)  # fmt: skip
def test_whoever_does_not_open_a_websocket_is_refused(answer: bytes, complaint: str) -> None:
    client = WebSocketClient(ENDPOINT)
    client.opening()
    with pytest.raises(RemoteProtocolError, match=complaint):
        list(client.receive(answer))


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (frame(0x81, b"text"), "sends text"),
        (frame(0x83, b"?"), "malformed: Invalid opcode"),
        (frame(0xC2, b"compressed"), "malformed: Reserved bit"),
        (frame(0x00, b"of nothing"), "malformed: unexpected CONTINUATION"),
        (frame(0x09, b"a ping in pieces"), "malformed"),
        (b"\x89\x7e\x01\x00" + bytes(256), "malformed: Control frame"),
        (b"\x82\x7f" + b"\xff" * 8, "malformed: 8-byte payload"),
        (b"\x82\x84maskdata", "malformed: client received unexpected masked frame"),
    ],
)
def test_what_is_no_frame_of_bytes_is_refused(sent: bytes, complaint: str) -> None:
    client, _ = opened()
    with pytest.raises(RemoteProtocolError, match=complaint):
        list(client.receive(sent))


def test_a_frame_that_claims_to_be_endless_is_passed_on_and_not_gathered() -> None:
    client, _ = opened()
    list(client.receive(b"\x82\x7f" + (1 << 62).to_bytes(8, "big")))
    for _ in range(5):
        assert [len(piece) for piece in client.receive(bytes(100_000))] == [100_000]


@hostile
@given(st.booleans(), st.lists(st.binary(max_size=80), max_size=5))
def test_whatever_comes_ends_in_bytes_or_in_our_own_error(shaken: bool, pieces: list[bytes]) -> None:
    client = opened()[0] if shaken else WebSocketClient(ENDPOINT)
    if not shaken:
        client.opening()
    got = 0
    with contextlib.suppress(RemoteProtocolError):
        for piece in pieces:
            got += sum(map(len, client.receive(piece)))
            client.replies()
    assert got <= sum(map(len, pieces))
