from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import LocalProtocolError, RemoteProtocolError
from scaler_batch.wire.framing import MAX_IDENTITY, FrameDecoder, Greeting, prefix

GREETING = Greeting(Dialect.NEW, b"ident-A")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.builds(
        Greeting, st.sampled_from(Dialect), st.text(min_size=1, max_size=30).map(lambda t: t.encode("utf-8", "replace"))
    ),
    st.lists(st.binary(max_size=200)),
    st.lists(st.integers(0, 5000), max_size=30),
)
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    greeting: Greeting, messages: list[bytes], places: list[int]
) -> None:
    stream = greeting.encode() + b"".join(prefix(len(message)) + message for message in messages)
    decoder = FrameDecoder(max_message=200)
    found = [item for piece in cut(stream, places) for item in decoder.feed(piece)]
    assert found == [greeting, *messages]


def test_a_message_is_given_out_as_soon_as_its_last_byte_is_there() -> None:
    decoder = FrameDecoder(max_message=10)
    stream = GREETING.encode() + prefix(3) + b"abc"
    assert [list(decoder.feed(stream[n : n + 1])) for n in range(len(stream))][-1] == [b"abc"]


def test_an_empty_message_is_a_message() -> None:
    assert list(FrameDecoder(0).feed(GREETING.encode() + prefix(0) + prefix(0))) == [GREETING, b"", b""]


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0", "does not speak YMQ"),
        (b"HTTP/1.1 400", "does not speak YMQ"),
        (b"YMQ\x03" + bytes(8), "version 3 of YMQ"),
        (b"YMQ\x02" + struct.pack("<Q", MAX_IDENTITY + 1), "identity of 1025 bytes"),
        (GREETING.encode() + prefix(11), "announces 11 bytes; at most 10"),
        (GREETING.encode() + prefix(2**64 - 1), "announces 18446744073709551615 bytes"),
    ],
)
def test_what_is_not_the_protocol_is_refused(stream: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        list(FrameDecoder(max_message=10).feed(stream))


def test_an_announced_length_costs_no_memory() -> None:
    decoder = FrameDecoder(max_message=1 << 40)
    tracemalloc.start()
    try:
        list(decoder.feed(GREETING.encode() + prefix(1 << 40) + b"only this"))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_trickle_costs_little_more_than_what_has_come() -> None:
    decoder = FrameDecoder(max_message=1 << 40)
    list(decoder.feed(GREETING.encode() + prefix(1 << 40)))
    tracemalloc.start()
    try:
        for _ in range(50_000):
            list(decoder.feed(b"x"))
        assert tracemalloc.get_traced_memory()[0] < 150_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("identity", [b"", b"x" * (MAX_IDENTITY + 1), b"\xff"], ids=["empty", "long", "no text"])
def test_an_identity_that_peers_could_not_take_is_our_own_mistake(identity: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="an identity"):
        Greeting(Dialect.NEW, identity).encode()


def test_what_came_before_the_offence_is_given_out() -> None:
    stream = FrameDecoder(max_message=10).feed(GREETING.encode() + prefix(2) + b"ok" + prefix(11))
    assert [next(stream), next(stream)] == [GREETING, b"ok"]
    with pytest.raises(RemoteProtocolError, match="announces 11 bytes"):
        next(stream)


def test_a_large_message_is_never_held_twice() -> None:
    size, piece = 32 * 1024 * 1024, bytes(64 * 1024)
    decoder = FrameDecoder(size)
    list(decoder.feed(Greeting(Dialect.NEW, b"peer").encode() + prefix(size)))
    tracemalloc.start()
    try:
        (whole,) = [message for _ in range(size // len(piece)) for message in decoder.feed(piece)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(whole) == size
    assert peak < size * 1.2
