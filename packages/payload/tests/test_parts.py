"""Packs that have grown large: each job reads its own part."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.payload import (
    Bundle,
    Call,
    Client,
    Pack,
    Reference,
    Stored,
    encode_pack,
    fetch_bundle,
    locate,
    place,
    sections,
)
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal
from scaler_batch.payload.errors import AlteredError, MalformedError, VersionError
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.objects import encode_object
from scaler_batch.payload.pack import body_of
from scaler_batch.payload.parts import PAGE, WHOLE_UP_TO, Range

NOISE = random.Random(0).randbytes(2 * WHOLE_UP_TO)
CLIENT = Client("3.12", "3.1.2")


class Reading:
    """Reads ranges of an object, and counts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes = 0
        self.requests: list[Sequence[Range]] = []

    def __call__(self, ranges: Sequence[Range]) -> Sequence[Buffer]:
        self.requests.append(ranges)
        self.bytes += sum(end - start for start, end in ranges)
        return [memoryview(self.data)[start:end] for start, end in ranges]


def fetched(pack: Pack, index: int) -> Bundle:
    found = locate(place(pack).parameter)
    assert isinstance(found, Stored)
    return fetch_bundle(Reading(b"".join(pack.pieces)), found.table, found.digest, index)


def in_parts(uses: Any, parts: Any, *behind: Sequence[Buffer], hashes: Any = None) -> tuple[Reading, int, str]:
    """A pack with any table: how it is read, the size of the table, and its hash."""
    pieces = [b"".join(each) for each in behind]
    page = b"".join(map(sha256, pieces))
    pages = [sha256(page)] if hashes is None else hashes
    table = b"".join(seal(Kind.TABLE, sections.join({"uses": uses, "parts": parts}, pages)))
    return Reading(b"".join([table, page, *pieces])), len(table), digest(table)


def sha256(data: bytes) -> bytes:
    return bytes.fromhex(digest(data))


# Large enough that any two bundles go out in parts.
POOL: list[Buffer] = [b"a", b"b" * 5000, memoryview(NOISE)[:50_000], memoryview(bytearray(NOISE[:WHOLE_UP_TO]))]
values = (
    st.binary(max_size=20)
    | st.integers(0, 3).map(lambda number: POOL[number])
    | st.integers(1, 3).map(lambda size: Reference(f"objects/{'0' * 64}.{size}", size))
)
calls = st.builds(Call, serializer=values, function=values, arguments=st.lists(values, max_size=3).map(tuple))
LARGE = Call(NOISE[:WHOLE_UP_TO], b"large")


@settings(max_examples=60)
@given(st.lists(st.lists(calls, max_size=3), min_size=1, max_size=4), st.none() | st.just(CLIENT), st.integers(0, 9))
def test_every_bundle_comes_back_from_a_pack_in_parts(
    bundles: list[list[Call]], client: Client | None, processes: int
) -> None:
    written = [*bundles, [LARGE]]
    pack = encode_pack(written, client=client, processes=processes)
    assert pack.table
    expected = [Bundle(calls, client, processes) for calls in written]
    assert [fetched(pack, index) for index in range(len(written))] == expected


def test_a_pack_is_whole_up_to_the_limit_and_in_parts_above() -> None:
    def pack(size: int) -> Pack:
        return encode_pack([[Call(b"s", NOISE[: size // 2])], [Call(b"s", NOISE[size // 2 : size])]])

    head = len(body_of([[Call(b"s", NOISE[:500_000])], [Call(b"s", NOISE[500_000:1_000_000])]])[0])
    assert pack(WHOLE_UP_TO - head - 1).table == 0
    assert pack(WHOLE_UP_TO - head).table > 0


def test_the_pack_of_a_single_job_is_never_in_parts() -> None:
    assert encode_pack([[LARGE, LARGE._replace(function=NOISE[1:])]]).table == 0


def test_a_child_of_a_large_array_reads_its_own_part_only() -> None:
    function, own = NOISE[:5000], 200
    items = [NOISE[own * number : own * (number + 1)] for number in range(10_000)]
    pack = encode_pack([[Call(b"serializer", function, (item, b"%d" % n))] for n, item in enumerate(items)])
    assert pack.size > 2_500_000
    reading = Reading(b"".join(pack.pieces))
    [call] = fetch_bundle(reading, pack.table, pack.digest, 5432).calls
    assert call == Call(b"serializer", function, (items[5432], b"5432"))
    assert reading.bytes < pack.table + 2 * PAGE * 32 + len(function) + own + 500
    assert reading.bytes < 20_000
    assert len(reading.requests) == 2


def test_what_few_bundles_share_is_read_by_these_only() -> None:
    """A product of two lists: each value is used by many bundles, and each bundle uses two."""
    size = 100_000
    items = [NOISE[size * number : size * (number + 1)] for number in range(20)]
    pairs = [(first, second) for first in items for second in items]
    pack = encode_pack([[Call(b"s", b"f", pair)] for pair in pairs])
    assert pack.size < 20 * size + 100_000
    for index in (0, 1, 57, 399):
        reading = Reading(b"".join(pack.pieces))
        assert fetch_bundle(reading, pack.table, pack.digest, index).calls == [Call(b"s", b"f", pairs[index])]
        assert reading.bytes < 2 * size + pack.table + 70_000


def test_parts_that_lie_near_each_other_are_fetched_at_once() -> None:
    shared = [NOISE[n * 1000 : n * 1000 + 1000] for n in range(100)]
    pack = encode_pack([[Call(b"s", b"f", (*shared[:50], *shared[60:]))], [Call(b"s", b"f", tuple(shared))], [LARGE]])
    reading = Reading(b"".join(pack.pieces))
    assert fetch_bundle(reading, pack.table, pack.digest, 0).calls == [Call(b"s", b"f", (*shared[:50], *shared[60:]))]
    assert [len(ranges) for ranges in reading.requests] == [1, 1]


def test_values_are_stored_once_and_never_copied() -> None:
    shared, own = memoryview(NOISE)[:700_000], memoryview(NOISE)[1:700_000]
    pack = encode_pack([[Call(b"s", shared, (own,))], [Call(b"s", shared)], [Call(shared, b"f")]])
    assert pack.table
    assert [sum(piece is value for piece in pack.pieces) for value in (shared, own)] == [1, 1]
    assert pack.size < 2 * 700_000 + 1000


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_a_bundle_that_the_pack_does_not_hold_is_refused(index: int) -> None:
    pack = encode_pack([[LARGE], [LARGE]])
    with pytest.raises(MalformedError, match="no bundle"):
        fetched(pack, index)


VALUE = b"".join(encode_object(b"value"))
PACK = b"".join(seal(Kind.PACK, body_of([[Call(b"value", b"f")]], [b"value"])))
SIZES = [len(VALUE), len(PACK)]


def test_a_table_by_hand_is_read() -> None:
    assert fetch_bundle(*in_parts([[0]], SIZES, [VALUE], [PACK]), 0).calls == [Call(b"value", b"f")]


@pytest.mark.parametrize(
    ("uses", "parts"),
    [
        (None, SIZES),
        ({}, SIZES),
        ("ab", SIZES),
        ([None], SIZES),
        ([5], SIZES),
        ([[-1]], SIZES),
        ([[True]], SIZES),
        ([["0"]], SIZES),
        ([[0, 0]], SIZES),
        ([[1]], SIZES),
        ([[2]], SIZES),
        ([[10**30]], SIZES),
        ([[]] * 3, SIZES),
        ([[0]], None),
        ([[0]], {}),
        ([[0]], []),
        ([[0]], [len(VALUE)]),
        ([[0]], [len(VALUE), -1]),
        ([[0]], [len(VALUE), None]),
        ([[0]], [len(VALUE), 0]),
        ([[0]], [0, len(PACK)]),
        ([[0]], [len(VALUE), 19]),
        ([[0]], [len(VALUE), MAX_BODY]),
        ([[0]], [2**64, len(PACK)]),
        ([[0]], [len(VALUE), 10**30]),
        ([[0]], SIZES[::-1]),
        ([[0]], [len(VALUE), len(PACK) - 1]),
    ],
)
def test_a_table_that_is_none_is_refused(uses: object, parts: object) -> None:
    reading, table, known = in_parts(uses, parts, [VALUE], [PACK])
    with pytest.raises((MalformedError, AlteredError)):
        fetch_bundle(reading, table, known, 0)


@pytest.mark.parametrize(
    ("uses", "parts"),
    [
        ([[0]], [0, 30]),
        ([[0]], [30, 0]),
        ([[0, 0]], [30, 30]),
        ([[1]], [30, 30]),
        ([[0]], [30, 2**63]),
        ([[0]], [2**64, 30]),
        ([[]], [0]),
        ([[], []], [30]),
    ],
)
def test_a_store_is_never_asked_for_what_cannot_be(uses: object, parts: object) -> None:
    """For nothing, for the same twice, or for what lies beyond the largest object there is."""
    reading, table, known = in_parts(uses, parts)
    with pytest.raises(MalformedError):
        fetch_bundle(reading, table, known, 0)
    assert reading.requests == [[(0, table)]]


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("kind", Kind)
def test_a_part_of_another_kind_is_refused(part: int, kind: Kind) -> None:
    rightful = [Kind.TABLE, Kind.OBJECT, Kind.PACK]

    def changed(envelope: bytes, number: int, version: int = FORMAT_VERSION) -> bytes:
        if number != part:
            return envelope
        return bytes([*envelope[:4], version, kind, *envelope[6:]])

    def pack_with(version: int) -> tuple[Reading, int, str]:
        reading, size, _ = in_parts([[0]], SIZES, [changed(VALUE, 1, version)], [changed(PACK, 2, version)])
        table = changed(reading.data[:size], 0, version)
        return Reading(table + reading.data[size:]), size, digest(table)

    if kind is rightful[part]:
        assert fetch_bundle(*pack_with(FORMAT_VERSION), 0).calls
    else:
        with pytest.raises(MalformedError):
            fetch_bundle(*pack_with(FORMAT_VERSION), 0)
    with pytest.raises(VersionError):
        fetch_bundle(*pack_with(FORMAT_VERSION + 1), 0)


def test_a_parameter_that_names_another_table_is_refused() -> None:
    reading, table, known = in_parts([[0]], SIZES, [VALUE], [PACK])
    for size in (1, 20, table - 1, table + 1, 10**9):
        with pytest.raises(AlteredError):
            fetch_bundle(reading, size, known, 0)
    with pytest.raises(AlteredError):
        fetch_bundle(reading, table, digest(b"another"), 0)


def test_whatever_byte_of_a_pack_in_parts_is_another_its_reader_refuses_it() -> None:
    reading, table, known = in_parts([[0]], SIZES, [VALUE], [PACK])
    for position in range(len(reading.data)):
        changed = bytearray(reading.data)
        changed[position] ^= 1
        with pytest.raises(AlteredError):
            fetch_bundle(Reading(bytes(changed)), table, known, 0)


def test_a_bundle_is_not_read_in_the_place_of_another() -> None:
    """Whoever can write to the store swaps what is vouched for: the parts of two children have one size."""
    pack = encode_pack([[Call(b"s", b"first", (NOISE,))], [Call(b"s", b"other", (NOISE,))]])
    data = b"".join(pack.pieces)
    first, other = data.index(b"first"), data.index(b"other")
    swapped = bytearray(data)
    swapped[first : first + 5], swapped[other : other + 5] = b"other", b"first"
    for index in (0, 1):
        with pytest.raises(AlteredError):
            fetch_bundle(Reading(bytes(swapped)), pack.table, pack.digest, index)


@pytest.mark.parametrize("hashes", [[], [b""], [b"x"], [b"", b""], [bytes(31)], [bytes(64)]])
def test_a_table_without_the_hashes_of_its_parts_is_refused(hashes: list[bytes]) -> None:
    reading, table, known = in_parts([[0]], SIZES, [VALUE], [PACK], hashes=hashes)
    with pytest.raises((MalformedError, AlteredError)):
        fetch_bundle(reading, table, known, 0)


def test_the_hashes_of_many_parts_are_read_by_the_page() -> None:
    items = [NOISE[200 * number : 200 * (number + 1)] for number in range(3 * PAGE)]
    pack = encode_pack(
        [[Call(b"serializer", NOISE[: WHOLE_UP_TO // 2], (item, NOISE[:WHOLE_UP_TO]))] for item in items]
    )
    for index in (0, PAGE - 1, PAGE, 3 * PAGE - 1):
        [call] = fetched(pack, index).calls
        assert call.arguments[0] == items[index]
