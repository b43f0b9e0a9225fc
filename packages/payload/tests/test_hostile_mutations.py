"""A great many damaged inputs to every reader: each ends in a value, or in our own error, within bounded memory.

Beside `test_hostile_bytes`, which has Hypothesis look for the smallest input that breaks a rule, this goes for numbers:
valid inputs are damaged by a seeded generator, the same in each run. PAYLOAD_HOSTILE_INPUTS says how many inputs each
reader gets; 100000 is the long run.

Damage comes in three depths, since a checksum would keep all but the first from the readers behind it: anywhere; in a
body, with size and checksum made to fit; and in the structure of an index, which stays JSON.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

import pytest

from scaler_batch.payload import (
    Call,
    Client,
    Failure,
    Origin,
    Outcome,
    PayloadError,
    Reference,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    decode_bundle,
    decode_object,
    decode_outcomes,
    decode_pack,
    encode_object,
    encode_outcomes,
    encode_pack,
    fetch_bundle,
    locate,
    place,
    sections,
)
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.compression import compress, expand
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import HEADER_SIZE, Kind, seal, unseal
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import check_object_key, interruption_key, object_key, outcome_key, parse_outcome_key
from scaler_batch.payload.pack import body_of, read_bundle
from scaler_batch.payload.parts import Range

INPUTS = int(os.environ.get("PAYLOAD_HOSTILE_INPUTS", "10000"))
MEASURED = 100
"""How many inputs are also measured for what they take while being read, which is slow."""

ENGINE = 200_000
"""Bytes that a decompressor takes for itself, whatever it is given."""

Read = Callable[[bytes], object]


class Reader(NamedTuple):
    """What reads, and what it reads without complaint."""

    read: Read
    valid: list[bytes]
    damage: Callable[[bytes, Random], bytes]


# --- damage ---

NUMBERS = [0, 1, 2, 7, 255, 4096, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def anywhere(data: bytes, random: Random) -> bytes:
    """Change a few things: flip a bit, cut something off or out, put something in, repeat something."""
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(changed) + 1)
        match random.randrange(6):
            case 0:
                changed[place : place + 1] = bytes(
                    byte ^ 1 << random.randrange(8) for byte in changed[place : place + 1]
                )
            case 1:
                changed[place : place + 1] = random.randbytes(1)
            case 2:
                changed[place : place + 8] = struct.pack("<Q", random.choice(NUMBERS))
            case 3:
                del changed[place : random.choice([place + random.randrange(1, 40), len(changed)])]
            case 4:
                changed[place:place] = random.randbytes(random.randrange(24))
            case 5:
                changed += changed[place : place + 64]
    return bytes(changed)


def sealed(kind: int, body: bytes, random: Random) -> bytes:
    """An envelope that fits, compressed or not."""
    packed = compress([body]) if random.random() < 0.5 else None
    stored = body if packed is None else packed
    return (
        struct.pack("<4sBBBxQI", b"SBPL", FORMAT_VERSION, kind, packed is not None, len(body), zlib.crc32(stored))
        + stored
    )


def behind_the_envelope(data: bytes, random: Random) -> bytes:
    kind = Kind(data[5])
    return sealed(kind, anywhere(bytes(unseal(kind, data)), random), random)


NASTY: list[Any] = [
    *[None, True, False, -1, 0, 1, 2, 3, 100, 2**31, 2**63, 10**30, 1.0, 1.5, -0.0, float("inf"), float("nan")],
    *[
        "",
        "x",
        "0",
        "success",
        "\ud800",
        "\0",
        "objects/" + "0" * 64 + ".1",
        [],
        [[]],
        [0],
        [0, 0],
        [1, 2],
        {},
        {"a": 1},
    ],
    *[json.loads("[" * depth + "]" * depth) for depth in (50, 200)],
]


def nasty(random: Random) -> Any:
    """A value that few expect, of its own."""
    return copy.deepcopy(random.choice(NASTY))


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Everything in a tree of JSON, as container and key."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


def in_the_index(body: bytes, random: Random) -> bytes:
    """Change the structure of an index, and leave all else as it is."""
    (size,) = struct.unpack_from("<I", body)
    index = json.loads(body[4 : 4 + size])
    for _ in range(random.randrange(1, 3)):
        container, key = random.choice(list(places(index)))
        match random.randrange(5):
            case 0:
                del container[key]
                if not index:
                    break
            case 1 if isinstance(container, list):
                container[key:key] = [nasty(random) for _ in range(random.randrange(1, 4))]
            case 2 if isinstance(container[key], int | float):
                container[key] += random.choice([-1, 1, 0.5, 2**31, -(2**31)])
            case _:
                container[key] = nasty(random)
    head = json.dumps(index).encode()
    return struct.pack("<I", len(head)) + head + body[4 + size :]


def in_the_sealed_index(data: bytes, random: Random) -> bytes:
    kind = Kind(data[5])
    return sealed(kind, in_the_index(bytes(unseal(kind, data)), random), random)


def one_of(*damages: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    return lambda data, random: random.choice(damages)(data, random)


of_envelopes = one_of(anywhere, behind_the_envelope, in_the_sealed_index, in_the_sealed_index)
of_opaque_envelopes = one_of(anywhere, behind_the_envelope)


# --- what is read ---

ALIKE = [[Call(b"serializer", b"function", (b"%d" % number,))] for number in range(5)]
REFERRING = [[Call(b"s", Reference(object_key("0" * 64, 7), 2**20), (b"a", b"b")), Call(b"s", b"f")], []]
LARGE = [[Call(b"s", b"function" * 1000, (b"one", b"two"))]]
BODIES = [
    b"".join(body_of(bundles, client=Client("3.12", "3.1.2"), processes=2)) for bundles in (ALIKE, REFERRING, LARGE)
]
PACKS = [b"".join(encode_pack(bundles, processes=1).pieces) for bundles in (ALIKE, REFERRING, LARGE)]
OUTCOMES = [
    b"".join(encode_outcomes(outcomes, Origin("job:1", 1, "host", "3.12.1", {"cloudpickle": "3.1.2"})))
    for outcomes in (
        [Outcome(0, Status.SUCCESS, b"value"), Outcome(1, Status.CRASHED, failure=Failure(message="no", signal=9))],
        [Outcome(3, Status.RAISED, b"value" * 1000, failure=Failure("E", "m", "t" * 1000, exit_code=1))],
        [],
    )
]
OBJECTS = [b"".join(encode_object(data)) for data in (bytes(5000), bytes(5000))]
NAMED = Reference(object_key(digest(bytes(5000)), 7), 5000)
SEAL = RunSeal(RunLocation("bucket", "", "run", "us-east-1"), Seal(bytes(32))).submission(7).job(3)

PARTS = [
    b"".join(seal(Kind.OBJECT, [b"shared"])),
    b"".join(seal(Kind.OBJECT, [b"too" * 2000])),
    b"".join(seal(Kind.PACK, body_of([[Call(b"shared", b"too" * 2000, (b"own",))]], [b"shared", b"too" * 2000]))),
    b"".join(seal(Kind.PACK, body_of([[Call(b"shared", b"f")]], [b"shared"]))),
]


def in_parts(parts: Sequence[bytes]) -> bytes:
    """A pack in parts behind the size of its table, which a reader is told too."""
    hashes = bytes.fromhex("".join(map(digest, parts)))
    table = sections.join({"uses": [[0, 1], [0]], "parts": list(map(len, parts))}, [bytes.fromhex(digest(hashes))])
    sealed_table = b"".join(seal(Kind.TABLE, table))
    return struct.pack("<I", len(sealed_table)) + sealed_table + hashes + b"".join(parts)


def fetch(data: bytes) -> object:
    (table,) = struct.unpack_from("<I", data.ljust(4, b"\0"))
    lying = memoryview(data)[4:]

    def read(ranges: Sequence[Range]) -> Sequence[Buffer]:
        assert all(0 <= start <= end < 2**63 for start, end in ranges)
        assert sum(end - start for start, end in ranges[1:]) < 2**40
        return [lying[start:end] for start, end in ranges]

    # What vouches for the table is nobody here, so that damage is found by who reads it.
    return [fetch_bundle(read, table, digest(lying[:table]), index) for index in range(2)]


def of_parts(data: bytes, random: Random) -> bytes:
    """Damage the table, and make it fit; or one of the parts."""
    (size,) = struct.unpack_from("<I", data)
    if random.random() < 0.3:
        return anywhere(data, random)
    if random.random() < 0.5:
        table = of_envelopes(data[4 : 4 + size], random)
        return struct.pack("<I", len(table)) + table + data[4 + size :]
    parts = list(PARTS)
    number = random.randrange(len(parts))
    parts[number] = (of_envelopes if number >= 2 else of_opaque_envelopes)(parts[number], random)
    return in_parts(parts)


def text(read: Callable[[str], object]) -> Read:
    return lambda data: read(data.decode("latin-1"))


def gzipped(size: int) -> Callable[[bytes], object]:
    return lambda data: expand(data, size)


GZIP = [compress([bytes(5000)]) or b"", compress([bytes(range(250)) * 20]) or b""]
NAME = "0123456789abcdef" * 2
KEYS = [
    outcome_key(7, 3, 5, NAME),
    outcome_key(7, None, 0, NAME, 3),
    interruption_key(7, 3, 1, NAME),
    object_key("0" * 64, 7),
]
SIGNED = [b"".join(SEAL.sign(KEYS[0], [outcomes])) for outcomes in OUTCOMES]
ADDRESSES = [str(RunLocation("bucket", prefix, "run", "us-east-1")) for prefix in ("", "a/b", "a b/ü%")]
PARAMETERS = [place(encode_pack(ALIKE)).parameter, f"sha256:{'0' * 64}", f"sha256:{'0' * 64}:12345"]

READERS: dict[str, Reader] = {
    "decode_bundle": Reader(lambda data: decode_bundle(data, 1), PACKS, of_envelopes),
    "decode_pack": Reader(decode_pack, PACKS, of_envelopes),
    "read_bundle": Reader(lambda data: read_bundle(data, 0, [b"x"]), BODIES, one_of(anywhere, in_the_index)),
    "fetch_bundle": Reader(fetch, [in_parts(PARTS)], of_parts),
    "decode_object": Reader(lambda data: decode_object(data, NAMED), OBJECTS, of_opaque_envelopes),
    "open": Reader(lambda data: SEAL.open(KEYS[0], data), SIGNED, anywhere),
    "Seal.parse": Reader(text(Seal.parse), [Seal(bytes(32)).reveal().encode()], anywhere),
    "decode_outcomes": Reader(lambda data: decode_outcomes(data, max_body=10**6), OUTCOMES, of_envelopes),
    "unseal": Reader(lambda data: unseal(Kind.PACK, data, max_body=10**6), PACKS, of_opaque_envelopes),
    "split": Reader(sections.split, BODIES, one_of(anywhere, in_the_index)),
    "expand": Reader(gzipped(5000), GZIP, anywhere),
    "locate": Reader(text(locate), [parameter.encode() for parameter in PARAMETERS], anywhere),
    "parse_outcome_key": Reader(text(parse_outcome_key), [key.encode() for key in KEYS], anywhere),
    "check_object_key": Reader(text(check_object_key), [key.encode() for key in KEYS], anywhere),
    "RunLocation.parse": Reader(text(RunLocation.parse), [address.encode() for address in ADDRESSES], anywhere),
}


def hostile(reader: Reader, random: Random, number: int) -> Iterator[bytes]:
    """So many damaged inputs, and among them some that never were valid, and some of another version."""
    for count in range(number):
        data = random.choice(reader.valid)
        match count % 16:
            case 0:
                yield random.randbytes(random.randrange(200))
            case 1:
                yield data[: random.randrange(len(data))]
            case 2:
                yield data[:4] + bytes([random.randrange(256)]) + data[5:]
            case _:
                yield reader.damage(data, random)


# --- the rules ---


@pytest.mark.parametrize("name", READERS)
def test_what_is_valid_is_read(name: str) -> None:
    for data in READERS[name].valid:
        with contextlib.nullcontext() if name not in TOLERANT else contextlib.suppress(PayloadError):
            READERS[name].read(data)


TOLERANT = {"decode_bundle", "parse_outcome_key", "check_object_key"}
"""Readers that find only some of the seeds valid: a bundle that a pack does not have, a key of another kind."""


@pytest.mark.parametrize("name", READERS)
def test_damaged_input_ends_in_a_value_or_in_our_error(name: str) -> None:
    reader, random, refused = READERS[name], Random(name), 0
    for data in hostile(reader, random, INPUTS):
        try:
            reader.read(data)
        except PayloadError:
            refused += 1
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__} for {data.hex()}") from error
    assert 0 < refused < INPUTS, "nothing was readable, or all was: the damage shows nothing"


@pytest.mark.parametrize("name", READERS)
def test_reading_damaged_input_takes_memory_in_proportion_to_it(name: str) -> None:
    reader, random = READERS[name], Random(name)
    inputs = list(hostile(reader, random, MEASURED))
    tracemalloc.start()
    try:
        for data in inputs:
            # The lesser of two: now and then a table of the interpreter's own grows meanwhile, once.
            taken = min(peak(reader.read, data) for _ in range(2))
            assert taken <= ENGINE + 100 * expanded(data), data.hex()
    finally:
        tracemalloc.stop()


def expanded(data: bytes) -> int:
    """Bytes of an input with its body expanded, where it is an envelope that is small enough to be read."""
    declared = int.from_bytes(data[8:16], "little") if len(data) >= HEADER_SIZE else 0
    return len(data) + (declared if declared <= 10**6 else 0)


def peak(read: Read, data: bytes) -> int:
    """The memory that reading takes at its highest, in bytes."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    with contextlib.suppress(PayloadError):
        read(data)
    return tracemalloc.get_traced_memory()[1] - before
