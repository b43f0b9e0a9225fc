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
from scaler_batch.payload.envelope import MAX_BODY, Kind, seal
from scaler_batch.payload.errors import MalformedError, VersionError
from scaler_batch.payload.objects import encode_object
from scaler_batch.payload.pack import body_of
from scaler_batch.payload.parts import WHOLE_UP_TO, Range

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
    return fetch_bundle(Reading(b"".join(pack.pieces)), found.table, index)


def in_parts(uses: Any, parts: Any, *behind: Sequence[Buffer]) -> tuple[Reading, int]:
    """A pack with any table."""
    table = b"".join(seal(Kind.TABLE, sections.join({"uses": uses, "parts": parts}, [])))
    return Reading(table + b"".join(b"".join(pieces) for pieces in behind)), len(table)


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
    [call] = fetch_bundle(reading, pack.table, 5432).calls
    assert call == Call(b"serializer", function, (items[5432], b"5432"))
    assert reading.bytes < pack.table + len(function) + own + 500
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
        assert fetch_bundle(reading, pack.table, index).calls == [Call(b"s", b"f", pairs[index])]
        assert reading.bytes < 2 * size + pack.table + 70_000


def test_parts_that_lie_near_each_other_are_fetched_at_once() -> None:
    shared = [NOISE[n * 1000 : n * 1000 + 1000] for n in range(100)]
    pack = encode_pack([[Call(b"s", b"f", (*shared[:50], *shared[60:]))], [Call(b"s", b"f", tuple(shared))], [LARGE]])
    reading = Reading(b"".join(pack.pieces))
    assert fetch_bundle(reading, pack.table, 0).calls == [Call(b"s", b"f", (*shared[:50], *shared[60:]))]
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
    reading, table = in_parts(uses, parts, [VALUE], [PACK])
    with pytest.raises(MalformedError):
        fetch_bundle(reading, table, 0)


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
    reading, table = in_parts(uses, parts)
    with pytest.raises(MalformedError):
        fetch_bundle(reading, table, 0)
    assert reading.requests == [[(0, table)]]


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("kind", Kind)
def test_a_part_of_another_kind_is_refused(part: int, kind: Kind) -> None:
    rightful = [Kind.TABLE, Kind.OBJECT, Kind.PACK]
    reading, table = in_parts([[0]], SIZES, [VALUE], [PACK])
    start = (0, table, table + len(VALUE))[part]
    changed = bytearray(reading.data)
    changed[start + 5] = kind
    if kind is rightful[part]:
        assert fetch_bundle(Reading(bytes(changed)), table, 0).calls
        return
    with pytest.raises(MalformedError):
        fetch_bundle(Reading(bytes(changed)), table, 0)
    changed[start + 4] = 2
    with pytest.raises(VersionError):
        fetch_bundle(Reading(bytes(changed)), table, 0)


def test_a_parameter_that_names_another_table_is_refused() -> None:
    reading, table = in_parts([[0]], SIZES, [VALUE], [PACK])
    for size in (1, 20, table - 1, table + 1, 10**9):
        with pytest.raises(MalformedError):
            fetch_bundle(reading, size, 0)
