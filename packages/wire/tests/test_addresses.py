from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.addresses import Endpoint, Scheme, endpoint_of, parse
from scaler_batch.wire.errors import AddressError
from scaler_batch.wire.messages import ObjectStorageAddress
from scaler_batch.wire.websocket import WebSocketClient


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("tcp://127.0.0.1:6378", Endpoint("127.0.0.1", 6378)),
        ("tcp://scheduler.example:1", Endpoint("scheduler.example", 1)),
        ("tcp://[::1]:65535", Endpoint("::1", 65535)),
        ("tls://scheduler.example:1", Endpoint("scheduler.example", 1, Scheme.TLS)),
        ("ws://[::1]:80", Endpoint("::1", 80, Scheme.WS)),
        ("wss://scheduler.example:443/scaler", Endpoint("scheduler.example", 443, Scheme.WSS, "/scaler")),
    ],
)
def test_an_address_is_read_and_written(address: str, endpoint: Endpoint) -> None:
    assert parse(address) == endpoint
    assert str(endpoint) == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "127.0.0.1:5", "tcp://", "tcp://host", "tcp://:5", "tcp://host:0", "tcp://host:65536", "tcp://host:x",
     "tcp://[::1:5", "tcp://host:5/path", "tcp://me@host:5", "tcp://host:5?x", "ipc:///socket", "tls://host:5/path",
     "wss://host:5?x", "wss://host:5/a b", "wss://h\u00f6st:5", "http://host:5"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="is not a valid address"):
        parse(address)


@given(st.text())
def test_any_text_is_an_address_or_our_own_error(text: str) -> None:
    with contextlib.suppress(AddressError):
        parse(text)


@given(st.from_regex(r"(ws|wss)://\S+:\d{1,5}(/.*)?", fullmatch=True))
def test_whatever_address_of_a_websocket_is_taken_can_be_asked_for(text: str) -> None:
    with contextlib.suppress(AddressError):
        endpoint = parse(text)
        assert WebSocketClient(endpoint).opening().startswith(f"GET {endpoint.path} HTTP/1.1".encode())


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("tcp://127.0.0.1:5", True),
        ("ws://[::1]:5", True),
        ("tcp://localhost:5", True),
        ("tls://169.254.0.1:5", True),
        ("wss://scheduler.example:5", True),
        ("tcp://169.254.0.1:5", False),
        ("ws://scheduler.example:5", False),
        ("tcp://localhost.example:5", False),
    ],
)
def test_a_link_is_private_where_it_is_encrypted_or_stays_on_this_machine(address: str, private: bool) -> None:
    assert parse(address).is_private is private


@pytest.mark.parametrize("scheme", ["", "tcp"])
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_the_address_of_the_storage_is_taken_with_and_without_scheme_and_brackets(scheme: str, host: str) -> None:
    assert endpoint_of(ObjectStorageAddress(host, 5, scheme)) == Endpoint("::1", 5)


def test_the_storage_is_reached_by_the_scheme_that_the_scheduler_says() -> None:
    assert endpoint_of(ObjectStorageAddress("h", 5, "wss")) == Endpoint("h", 5, Scheme.WSS)


def test_the_address_of_the_storage_may_be_text() -> None:
    assert endpoint_of("tcp://127.0.0.1:5") == Endpoint("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (ObjectStorageAddress("h", 5, "ipc"), "'ipc', which is not spoken here"),
        (ObjectStorageAddress("h h", 5, "ws"), "HTTP cannot carry"),
        (ObjectStorageAddress("", 5, "tcp"), "incomplete"),
        (ObjectStorageAddress("h", 0, "tcp"), "incomplete"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_refused(address: ObjectStorageAddress, complaint: str) -> None:
    with pytest.raises(AddressError, match=complaint):
        endpoint_of(address)
