from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import Call, decode_bundle, encode_pack, sections
from scaler_batch.payload.envelope import Kind, seal
from scaler_batch.payload.errors import MalformedError

calls = st.builds(
    Call,
    task_id=st.binary(max_size=20),
    serializer=st.binary(max_size=20),
    function=st.binary(max_size=20),
    arguments=st.lists(st.binary(max_size=20), max_size=4).map(tuple),
)


@given(st.lists(st.lists(calls, max_size=4), min_size=1, max_size=4))
def test_every_bundle_comes_back_as_it_was(bundles: list[list[Call]]) -> None:
    pack = encode_pack(bundles)
    assert [decode_bundle(pack, index) for index in range(len(bundles))] == bundles


def test_a_value_that_many_calls_use_is_stored_once() -> None:
    function = bytes(range(256)) * 10
    alone = encode_pack([[Call(b"1", b"s", function, (b"first",))]])
    mapped = encode_pack([[Call(b"%d" % number, b"s", function, (b"first",))] for number in range(10)])
    assert len(mapped) < len(alone) + 10 * 40


def test_a_value_is_stored_once_whether_it_comes_as_bytes_or_as_a_view() -> None:
    shared = b"x" * 1000
    pack = encode_pack([[Call(b"1", b"s", shared), Call(b"2", b"s", memoryview(shared))]])
    assert len(pack) < 1500
    assert [call.function for call in decode_bundle(pack, 0)] == [shared, shared]


def test_values_are_views_into_a_pack_that_is_not_compressed() -> None:
    pack = encode_pack([[Call(b"1", b"s", b"function")]])
    [call] = decode_bundle(pack, 0)
    assert isinstance(call.function, memoryview)
    assert call.function.obj is pack


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_a_bundle_that_the_pack_does_not_hold_is_refused(index: int) -> None:
    pack = encode_pack([[Call(b"1", b"s", b"f")], [Call(b"2", b"s", b"f")]])
    with pytest.raises(MalformedError, match="no bundle"):
        decode_bundle(pack, index)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        "0123",
        [],
        ["00", 0, 1],
        ["00", 0, 1, [], 0],
        ["zz", 0, 1, []],
        [5, 0, 1, []],
        ["00", -1, 1, []],
        ["00", 0, 2, []],
        ["00", 0, 1, [2]],
        ["00", 0, 1, [10**30]],
        ["00", 0, True, []],
        ["00", 0, 1.0, []],
        ["00", 0, "1", []],
        ["00", 0, 1, None],
        ["00", 0, 1, "01"],
        ["00", 0, 1, [[0]]],
    ],
)
def test_an_entry_that_is_no_call_is_refused(entry: object) -> None:
    pack = seal(Kind.PACK, sections.join({"bundles": [[entry]]}, [b"a", b"b"]))
    with pytest.raises(MalformedError):
        decode_bundle(pack, 0)


@pytest.mark.parametrize("bundles", [None, {}, "ab", 1, [None], [5]])
def test_an_index_without_bundles_is_refused(bundles: object) -> None:
    with pytest.raises(MalformedError):
        decode_bundle(seal(Kind.PACK, sections.join({"bundles": bundles}, [])), 0)


def test_outcomes_are_no_pack() -> None:
    with pytest.raises(MalformedError):
        decode_bundle(seal(Kind.OUTCOMES, sections.join({"bundles": [[]]}, [])), 0)
