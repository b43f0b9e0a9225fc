from __future__ import annotations

import json
import mmap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import (
    Bundle,
    Call,
    Client,
    Reference,
    Stored,
    decode_bundle,
    decode_pack,
    encode_pack,
    locate,
    place,
    sections,
)
from scaler_batch.payload.bundles import Value
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.pack import body_of, read_bundle
from scaler_batch.payload.placement import INLINE_LIMIT

KEY = "objects/" + "0123456789abcdef" * 4 + ".7"


def in_memory_file(data: bytes) -> memoryview:
    pages = mmap.mmap(-1, len(data) + 1)
    pages[:-1] = data
    return memoryview(pages)[:-1]


# Few distinct contents, so that many values are shared; each in all that bytes may lie in.
contents = st.sampled_from([b"", b"a", b"b" * 50, bytes(range(256)) * 20]) | st.binary(max_size=20)
values: st.SearchStrategy[Value] = (
    contents
    | contents.map(memoryview)
    | contents.map(lambda data: memoryview(bytearray(data)))
    | contents.map(lambda data: memoryview(bytearray(data)).toreadonly())
    | contents.map(in_memory_file)
    | st.builds(Reference, key=st.sampled_from([KEY, f"objects/{'0' * 64}.0"]), size=st.integers(0, 2**40))
)
calls = st.builds(Call, serializer=values, function=values, arguments=st.lists(values, max_size=4).map(tuple))
clients = st.none() | st.builds(Client, python=st.text(max_size=8), cloudpickle=st.text(max_size=8))


def sealed(bundles: Any, **facts: Any) -> bytes:
    return b"".join(seal(Kind.PACK, sections.join({"bundles": bundles, **facts}, [b"a", b"b"])))


@given(st.lists(st.lists(calls, max_size=4), max_size=4), clients, st.integers(0, 1000), st.sampled_from([0, 10**6]))
def test_every_bundle_comes_back_through_the_whole_way(
    bundles: list[list[Call]], client: Client | None, processes: int, limit: int
) -> None:
    written = encode_pack(bundles, client=client, processes=processes)
    found = locate(place(written, inline_limit=limit).parameter)
    assert (found == Stored(written.digest)) == (limit == 0)
    pack = b"".join(written.pieces) if isinstance(found, Stored) else found

    expected = [Bundle(calls, client, processes) for calls in bundles]
    assert decode_pack(pack) == expected
    assert [decode_bundle(pack, index) for index in range(len(bundles))] == expected


@given(st.lists(calls, max_size=4), st.lists(contents, unique=True, max_size=4))
def test_a_bundle_comes_back_with_values_that_lie_elsewhere(bundle: list[Call], shared: list[bytes]) -> None:
    body = b"".join(body_of([bundle, bundle], shared))
    assert read_bundle(body, 1, shared).calls == bundle


def test_a_thousand_small_calls_travel_inline_as_one_pack() -> None:
    def function(number: int) -> int:
        return number * number + sum(range(number))

    mapped = [[make_call(function, number)] for number in range(1000)]
    pack = encode_pack(mapped)
    assert (pack.table, pack.size <= INLINE_LIMIT) == (0, True)
    placement = place(pack)
    assert not placement.stored
    found = locate(placement.parameter)
    assert isinstance(found, bytes)
    assert [bundle.calls for bundle in decode_pack(found)] == mapped


def test_a_value_that_many_calls_use_is_stored_once() -> None:
    function = bytes(range(256)) * 10
    body = b"".join(body_of([[Call(b"s", function, (b"%d" % number,))] for number in range(10)]))
    assert body.count(function) == 1
    viewed = [[Call(b"s", function)], [Call(b"s", memoryview(function), (memoryview(bytearray(function)),))]]
    pack = b"".join(encode_pack(viewed).pieces)
    assert unseal(Kind.PACK, pack).tobytes().count(function) == 1
    assert [bundle.calls for bundle in decode_pack(pack)] == viewed


def test_the_calls_of_a_map_look_alike() -> None:
    index = json.loads(bytes(body_of([[Call(b"s", b"f", (b"%d" % number,))] for number in range(3)])[0][4:]))
    assert index == {"bundles": [[[0, 0, 0]], [[1, 2, 0]], [[1, 2, 0]]], "sizes": [1] * 5}


def test_values_are_neither_copied_when_written_nor_when_read() -> None:
    large = memoryview(bytes(2000))
    assert any(piece is large for piece in encode_pack([[Call(b"s", large)]]).pieces)
    pack = b"".join(encode_pack([[Call(b"s", b"function")]]).pieces)
    [call] = decode_bundle(pack, 0).calls
    assert isinstance(call.function, memoryview)
    assert call.function.obj is pack


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_a_bundle_that_the_pack_does_not_hold_is_refused(index: int) -> None:
    pack = b"".join(encode_pack([[Call(b"s", b"f")], [Call(b"s", b"f")]]).pieces)
    with pytest.raises(MalformedError, match="no bundle"):
        decode_bundle(pack, index)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        "12",
        5,
        [],
        [1],
        [1, -1],
        [1, 3],
        [0, 0, 0],
        [1, 10**30],
        [1, True],
        [1, 1.0],
        [1, "1"],
        [1, [2]],
        [1, None],
    ],
)
def test_an_entry_that_is_no_call_is_refused(entry: object) -> None:
    with pytest.raises(MalformedError):
        decode_bundle(sealed([[entry]]), 0)
    with pytest.raises(MalformedError):
        decode_pack(sealed([[], [entry]]))


@pytest.mark.parametrize("bundles", [None, {}, "ab", 1, [None], [5], [""], [{}]])
def test_an_index_without_bundles_is_refused(bundles: object) -> None:
    with pytest.raises(MalformedError):
        decode_bundle(sealed(bundles), 0)


@pytest.mark.parametrize(
    "facts",
    [
        {"objects": None},
        {"objects": 5},
        {"objects": [KEY]},
        {"objects": [[KEY]]},
        {"objects": [[KEY, -1]]},
        {"objects": [[KEY, True]]},
        {"objects": [[5, 5]]},
        {"objects": [["packs/1", 5]]},
        {"objects": [[KEY + "\n", 5]]},
        {"objects": [["objects/../packs/1", 5]]},
        {"client": 5},
        {"client": "3"},
        {"client": ["3.12"]},
        {"client": ["3.12", 3]},
        {"client": ["3.12", "3", "1"]},
        {"processes": -1},
        {"processes": True},
        {"processes": None},
        {"processes": "2"},
    ],
)
def test_facts_that_are_none_are_refused(facts: dict[str, Any]) -> None:
    assert decode_bundle(sealed([[[1, 2]]]), 0).calls
    with pytest.raises(MalformedError):
        decode_bundle(sealed([[[1, 2]]], **facts), 0)
    with pytest.raises(MalformedError):
        decode_pack(sealed([[[1, 2]]], **facts))


@pytest.mark.parametrize("kind", [Kind.OUTCOMES, Kind.TABLE, Kind.OBJECT])
def test_what_is_no_pack_is_refused(kind: Kind) -> None:
    body = sections.join({"bundles": [[]]}, [])
    for read in (lambda data: decode_bundle(data, 0), decode_pack):
        with pytest.raises(MalformedError):
            read(b"".join(seal(kind, body)))
