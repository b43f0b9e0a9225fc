"""A great many damaged inputs to every parser: each ends in a value of fitting size, or in our own error.

Beside `test_hostile_bytes`, which has Hypothesis look for the smallest input that breaks a rule, this goes for numbers:
valid inputs are damaged by a seeded generator, the same in each run. WIRE_HOSTILE_MUTATIONS says how many inputs each
parser gets; 100000 is the long run.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from scaler_batch.wire import messages as m
from scaler_batch.wire.conversation import Conversation
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.errors import RemoteProtocolError
from scaler_batch.wire.flags import Profile, TaskFlags
from scaler_batch.wire.framing import FrameDecoder, prefix
from scaler_batch.wire.manager_session import ManagerSession
from scaler_batch.wire.probing import classify
from scaler_batch.wire.session import WorkerSession
from scaler_batch.wire.storage import ANY_LENGTH, Answer, Header, Request, RequestKind, StorageSession, decode_source
from scaler_batch.wire.testing.segments import scatter

INPUTS = int(os.environ.get("WIRE_HOSTILE_MUTATIONS", "10000"))
MEASURED = 300
"""How many inputs are also measured for what they take while being read, which is slow."""

Parse = Callable[[bytes, Random], int]
"""Reads an input, and returns the size of what it was read as."""


# --- the parsers ---


def read_frame(dialect: Dialect) -> Parse:
    def parse(frame: bytes, _: Random) -> int:
        message = decode(frame, dialect)
        if isinstance(message, m.Unknown):
            return 0
        again = encode(message, dialect)  # what was read makes sense: it can be said, too
        assert decode(again, dialect) == message
        return len(again)

    return parse


def converse(begin: Callable[[], Conversation[Any]]) -> Parse:
    def parse(frame: bytes, _: Random) -> int:
        session = begin()
        session.receive(frame, 1.0)
        session.receive(frame, 2.0)
        return len(session.events_received()) + sum(map(len, session.messages_to_send()))

    return parse


def read_stream(stream: bytes, random: Random) -> int:
    decoder, size, piece = FrameDecoder(max_message=1000), 0, random.randrange(1, 80)
    for start in range(0, len(stream), piece):
        for found in decoder.feed(stream[start : start + piece]):
            size += len(found) if isinstance(found, bytes) else len(found.identity)
    assert size <= len(stream)
    return size


def read_answer(stream: bytes, _: Random) -> int:
    """Give a session a header, and the rest as payload."""
    session = StorageSession(max_object=1000)
    for _number in range(8):
        session.submit(Request(RequestKind.GET, bytes(32), limit=ANY_LENGTH))
    answer = session.receive(stream[:80]) or session.receive(stream[80:])
    assert len(session.outstanding) == (8 if answer is None else 7)
    return len(answer.payload) if isinstance(answer, Answer) else 0


def read_first_word(first: bytes, _: Random) -> int:
    return len(classify(first[:4].ljust(4)))


def read_header(message: bytes, _: Random) -> int:
    header = Header.decode(message)
    assert header == Header.decode(header.encode())
    return len(header.object_id)


PARSERS: dict[str, Parse] = {
    "frame": read_frame(Dialect.NEW),
    "frame of an old release": read_frame(Dialect.OLD),
    "worker session": converse(lambda: WorkerSession(b"worker", 0.0)),
    "manager session": converse(lambda: ManagerSession(b"manager", 0.0)),
    "stream": read_stream,
    "greeting": lambda stream, _: sum(len(found) for found in FrameDecoder(1000).feed(stream) if type(found) is bytes),
    "first word": read_first_word,
    "storage header": read_header,
    "storage session": read_answer,
    "source of a duplicate": lambda payload, _: len(decode_source(payload)),
    "task flags": lambda flags, _: len(TaskFlags.decode(flags).encode()),
    "profile": lambda profile, _: len(repr(Profile.decode(profile))),
}


# --- the inputs ---


@pytest.fixture(scope="session")
def valid(vectors: dict[str, bytes]) -> dict[str, list[bytes]]:
    """What each parser reads without complaint."""
    frames = [vector for name, vector in vectors.items() if not name.startswith(("store", "greeting", "profile"))]
    arguments = tuple(m.Argument(m.ArgumentKind.OBJECT_ID, bytes([n]) * 32) for n in range(20))
    large = encode(m.Task(b"t" * 16, b"client", b"", b"f" * 32, arguments, (m.Capability("c"),) * 9))
    frames += [large, *(scatter(large, pieces, Random(pieces)) for pieces in range(2, 6))]
    command = m.WorkerManagerCommand((m.DesiredTaskConcurrency(3, (m.Capability("gpu", 2),)),) * 3)
    frames += [encode(command, dialect) for dialect in Dialect]
    headers = [vectors["store_get"], vectors["store_getok"]]
    greeting = vectors["greeting"]
    return {
        "stream": [greeting + b"".join(prefix(len(frame)) + frame for frame in frames[:3])],
        "greeting": [greeting],
        "first word": [greeting[:4], b"\xff\0\0\0"],
        "storage header": headers,
        "storage session": [vectors["store_getok"] + b"12345"],
        "source of a duplicate": [vectors["store_duplicate_payload"]],
        "task flags": [TaskFlags(priority=3).encode(), b""],
        "profile": [vectors["profile"], b""],
    } | dict.fromkeys(["frame", "frame of an old release", "worker session", "manager session"], frames)


SIZES = [0, 1, 7, 1 << 3 | 6, 3 << 3 | 2, 40 << 3 | 7, 1 | 1 << 16, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFF9]


def telling_word(random: Random) -> bytes:
    """A word that means something where a pointer or a length is read."""
    if random.random() < 0.2:
        return random.choice([bytes(8), b"\xff" * 8, struct.pack("<Q", 1 << 63), struct.pack("<II", 0, 1 << 31)])
    lower = random.randrange(-40, 41) << 2 | random.randrange(4)
    return struct.pack("<II", lower & 0xFFFFFFFF, random.choice(SIZES))


def damage(data: bytearray, random: Random) -> None:
    """Change one thing: a byte, a word; or cut something off, put it in, or repeat it."""
    place = random.randrange(len(data) + 1)
    match random.randrange(6):
        case 0 | 1:
            data[place : place + 1] = random.randbytes(1)
        case 2:
            place -= place % 8
            data[place : place + 8] = telling_word(random)
        case 3:
            del data[place : place + random.randrange(1, 64)]
        case 4:
            data[place:place] = random.randbytes(random.randrange(24))
        case 5:
            data += data[place : place + 64]


def damaged(originals: list[bytes], random: Random, number: int) -> Iterator[bytes]:
    """So many damaged inputs, and among them some that never were valid."""
    for count in range(number):
        data = bytearray(random.choice(originals)) if count % 16 else bytearray(random.randbytes(random.randrange(200)))
        for _ in range(random.randrange(1, 5)):
            damage(data, random)
        yield bytes(data)


# --- the rules ---


@pytest.mark.parametrize("parser", PARSERS)
def test_damaged_input_ends_in_a_value_of_fitting_size_or_in_our_error(
    parser: str, valid: dict[str, list[bytes]]
) -> None:
    parse, random, refused = PARSERS[parser], Random(parser), 0
    for data in damaged(valid[parser], random, INPUTS):
        try:
            # A record takes up its full size, even where the message says of it no more than that it is there.
            assert parse(data, random) <= 200 + 16 * len(data), data.hex()
        except RemoteProtocolError:
            refused += 1
    assert refused < INPUTS, "nothing was readable: the damage is too great to show anything"


@pytest.mark.parametrize("parser", PARSERS)
def test_reading_damaged_input_takes_memory_in_proportion_to_it(parser: str, valid: dict[str, list[bytes]]) -> None:
    parse, random = PARSERS[parser], Random(parser)
    inputs = list(damaged(valid[parser], random, MEASURED))
    tracemalloc.start()
    try:
        for data in inputs:
            # The lesser of two: now and then a table of the interpreter's own grows meanwhile, once.
            assert min(peak(parse, data, random) for _ in range(2)) <= 20_000 + 100 * len(data), data.hex()
    finally:
        tracemalloc.stop()


def peak(parse: Parse, data: bytes, random: Random) -> int:
    """The memory that reading takes at its highest, in bytes."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    with contextlib.suppress(RemoteProtocolError):
        parse(data, random)
    return tracemalloc.get_traced_memory()[1] - before
