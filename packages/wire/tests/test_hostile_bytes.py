"""Whatever bytes come, each parser ends in a value or in our own error, and makes nothing larger than it was given."""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.errors import RemoteProtocolError
from scaler_batch.wire.flags import Profile, TaskFlags
from scaler_batch.wire.framing import FrameDecoder, Greeting, prefix
from scaler_batch.wire.probing import classify
from scaler_batch.wire.session import WorkerSession
from scaler_batch.wire.storage import Answer, Header, Request, RequestKind, StorageSession, decode_source
from scaler_batch.wire.testing.segments import scatter

hostile = settings.get_profile("hostile")

VECTORS = {
    name: bytes.fromhex(value)
    for name, value in json.loads((Path(__file__).parent / "data" / "vectors.json").read_text()).items()
}
FRAMES = [vector for name, vector in VECTORS.items() if not name.startswith(("store", "greeting", "profile"))]
LARGE = m.Task(
    b"t" * 16,
    b"client",
    b"",
    b"f" * 32,
    tuple(m.Argument(m.ArgumentKind.OBJECT_ID, bytes([n]) * 32) for n in range(20)),
    tuple(m.Capability(f"c{n}", n) for n in range(10)),
)
FRAMES += [encode(LARGE), *(scatter(encode(LARGE), n, Random(n)) for n in range(2, 6))]
HEADERS = [VECTORS["store_get"], VECTORS["store_getok"]]

# Words that mean something where pointers and lengths are read, and numbers at their edges.
TELLING_WORDS = st.one_of(
    st.builds(
        lambda kind, offset, size: struct.pack("<II", (offset << 2 | kind) & 0xFFFFFFFF, size),
        st.integers(0, 3),
        st.integers(-40, 40),
        st.sampled_from([0, 1, 7, 1 << 3 | 6, 3 << 3 | 2, 40 << 3 | 7, 1 | 1 << 16, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFF9]),
    ),
    st.sampled_from([bytes(8), b"\xff" * 8, struct.pack("<Q", 1 << 63), struct.pack("<II", 0, 1 << 31)]),
)


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A valid input with a few things changed: bytes, words, a piece cut off, put in or repeated."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 4)):
            case 0:
                data[place : place + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                place -= place % 8
                data[place : place + 8] = draw(TELLING_WORDS)
            case 2:
                del data[place : place + draw(st.integers(1, 64))]
            case 3:
                data[place:place] = draw(st.binary(max_size=24))
            case 4:
                data += data[place : place + 64]
    return bytes(data)


def size_of(value: Any) -> int:
    """Bytes and elements in a value, all told."""
    if isinstance(value, bytes | str):
        return 1 + len(value)
    if isinstance(value, tuple):
        return 1 + sum(map(size_of, value))
    if is_dataclass(value):
        return 1 + sum(size_of(getattr(value, field.name)) for field in fields(value))
    return 1


@hostile
@given(st.one_of(mutated(FRAMES), st.binary(max_size=400)), st.sampled_from(Dialect))
def test_frames(frame: bytes, dialect: Dialect) -> None:
    with contextlib.suppress(RemoteProtocolError):
        # A struct of no size still becomes a record with all its fields, and a few are made for a message of nothing.
        assert size_of(decode(frame, dialect)) <= 60 + 16 * len(frame)


@st.composite
def of_telling_words(draw: st.DrawFn) -> bytes:
    """Some segments of words that look like pointers and sizes, beneath the envelope of a message that has lists."""
    segments = [b"".join(draw(st.lists(TELLING_WORDS, max_size=24))) for _ in range(draw(st.integers(1, 4)))]
    segments[0] = struct.pack("<IIQ", 0, 1 | 1 << 16, draw(st.sampled_from([0, 3, 6, 9, 25]))) + segments[0]
    table = struct.pack(f"<{len(segments) + 1}I", len(segments) - 1, *(len(each) // 8 for each in segments))
    return table + bytes(-len(table) % 8) + b"".join(segments)


class Counting:
    """Counts the calls of functions while it is entered: the work that is done, on whatever machine."""

    calls = 0

    def __enter__(self) -> Counting:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, _: object, event: str, __: object) -> None:
        self.calls += event in ("call", "c_call")


@hostile
@given(st.one_of(of_telling_words(), mutated(FRAMES)), st.sampled_from(Dialect))
def test_the_work_and_the_objects_are_bounded_by_the_bytes(frame: bytes, dialect: Dialect) -> None:
    value: object = None
    with contextlib.suppress(RemoteProtocolError), Counting() as counting:
        value = decode(frame, dialect)
    assert counting.calls <= 300 + 4 * len(frame)
    assert size_of(value) <= 60 + 16 * len(frame)


@hostile
@given(st.lists(st.one_of(mutated(FRAMES), st.sampled_from(FRAMES)), max_size=4))
def test_a_session(frames: list[bytes]) -> None:
    session = WorkerSession(b"worker", 0.0)
    for frame in frames:
        session.receive(frame, 1.0)
    assert len(session.events_received()) <= len(frames) + 1
    session.messages_to_send()


STREAMS = [
    VECTORS["greeting"] + b"".join(prefix(len(frame)) + frame for frame in FRAMES[:3]),
    Greeting(Dialect.OLD, b"x").encode() + prefix(0) + prefix(5) + b"12345",
]


@hostile
@given(st.one_of(mutated(STREAMS), st.binary(max_size=200)), st.integers(1, 50))
def test_a_stream(stream: bytes, piece: int) -> None:
    decoder = FrameDecoder(max_message=1000)
    received = 0
    with contextlib.suppress(RemoteProtocolError):
        for start in range(0, len(stream), piece):
            for found in decoder.feed(stream[start : start + piece]):
                received += len(found) if isinstance(found, bytes) else len(found.identity)
    assert received <= len(stream)


@hostile
@given(st.one_of(mutated([VECTORS["greeting"][:4], b"\xff\0\0\0"]), st.binary(min_size=4, max_size=4)))
def test_a_first_word(first: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        classify(first.ljust(4)[:4])


@hostile
@given(st.one_of(mutated(HEADERS), st.binary(max_size=100), st.binary(min_size=80, max_size=80)))
def test_a_storage_header(message: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert Header.decode(message).encode()[:32] == message[:32]


@hostile
@given(st.lists(st.one_of(mutated(HEADERS), st.sampled_from(HEADERS), st.binary(max_size=10)), max_size=6))
def test_a_storage_session(messages: list[bytes]) -> None:
    session = StorageSession()
    asked = {session.submit(Request(RequestKind.GET, bytes(32))) for _ in range(7)}
    with contextlib.suppress(RemoteProtocolError):
        for message in messages:
            answer = session.receive(message)
            if isinstance(answer, Answer):
                asked.remove(answer.number)  # no request is answered twice


@hostile
@given(st.one_of(mutated([VECTORS["store_duplicate_payload"]]), st.binary(max_size=60)))
def test_the_source_of_a_duplicate(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert len(decode_source(payload)) == 32


@hostile
@given(st.binary(max_size=20))
def test_flags_and_profiles(metadata: bytes) -> None:
    for parse in (TaskFlags.decode, Profile.decode):
        with contextlib.suppress(RemoteProtocolError):
            parse(metadata)


@pytest.mark.parametrize("frame", FRAMES)
def test_every_beginning_of_a_frame_is_refused(frame: bytes) -> None:
    for end in range(len(frame)):
        with pytest.raises(RemoteProtocolError):
            decode(frame[:end])
