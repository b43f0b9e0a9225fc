from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.addresses import Endpoint, endpoint_of, parse
from scaler_batch.wire.errors import AddressError
from scaler_batch.wire.messages import ObjectStorageAddress


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("tcp://127.0.0.1:6378", Endpoint("127.0.0.1", 6378)),
        ("tcp://scheduler.example:1", Endpoint("scheduler.example", 1)),
        ("tcp://[::1]:65535", Endpoint("::1", 65535)),
    ],
)
def test_an_address_is_read_and_written(address: str, endpoint: Endpoint) -> None:
    assert parse(address) == endpoint
    assert str(endpoint) == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "127.0.0.1:5", "tcp://", "tcp://host", "tcp://:5", "tcp://host:0", "tcp://host:65536", "tcp://host:x",
     "tcp://[::1:5", "tcp://host:5/path", "tcp://me@host:5", "tcp://host:5?x", "ws://host:5", "ipc:///socket"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="is no address"):
        parse(address)


@given(st.text())
def test_any_text_is_an_address_or_our_own_error(text: str) -> None:
    with contextlib.suppress(AddressError):
        parse(text)


@pytest.mark.parametrize("scheme", ["", "tcp"])
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_the_address_of_the_storage_is_taken_with_and_without_scheme_and_brackets(scheme: str, host: str) -> None:
    assert endpoint_of(ObjectStorageAddress(host, 5, scheme)) == Endpoint("::1", 5)


def test_the_address_of_the_storage_may_be_text() -> None:
    assert endpoint_of("tcp://127.0.0.1:5") == Endpoint("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (ObjectStorageAddress("h", 5, "wss"), "'wss', which is not spoken here"),
        (ObjectStorageAddress("", 5, "tcp"), "incomplete"),
        (ObjectStorageAddress("h", 0, "tcp"), "incomplete"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_refused(address: ObjectStorageAddress, complaint: str) -> None:
    with pytest.raises(AddressError, match=complaint):
        endpoint_of(address)
