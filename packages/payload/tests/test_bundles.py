from __future__ import annotations

import mmap

import pytest

from scaler_batch.payload import Bundle, Call, Reference
from scaler_batch.payload.bundles import Value, identity, merged, references

MIB = 1024 * 1024
ONE, OTHER = Reference("objects/one", 1), Reference("objects/other", 2)


def in_memory_file(data: bytes) -> memoryview:
    pages = mmap.mmap(-1, len(data))
    pages[:] = data
    return memoryview(pages)


def test_the_values_of_a_call_come_in_the_order_of_its_fields() -> None:
    assert list(Call(b"s", b"f", (b"a", ONE)).values) == [b"s", b"f", b"a", ONE]
    assert Call(b"s", b"f", (b"a", b"b")).changed(bytes.upper) == Call(b"S", b"F", (b"A", b"B"))  # type: ignore[arg-type]


def test_objects_take_the_place_of_references() -> None:
    bundle = Bundle([Call(ONE, b"f", (OTHER, ONE)), Call(b"s", OTHER)], processes=3)
    resolved = bundle.resolved({ONE: b"1", OTHER: b"2"})
    assert resolved == Bundle([Call(b"1", b"f", (b"2", b"1")), Call(b"s", b"2")], processes=3)


def test_each_object_that_calls_refer_to_is_named_once() -> None:
    assert references([Call(b"s", ONE, (OTHER, b"a", ONE)), Call(OTHER, b"f")]) == [ONE, OTHER]


@pytest.mark.parametrize(
    "same",
    [b"value", memoryview(b"value"), memoryview(bytearray(b"value")), in_memory_file(b"value")],
    ids=["bytes", "view", "writable", "mapped"],
)
def test_equal_values_become_one_object_whatever_they_lie_in(same: Value) -> None:
    [[first], [second]] = merged([[Call(b"value", b"f")], [Call(b"s", same, (b"f",))]])
    assert second.function is first.serializer
    assert second.arguments[0] is first.function
    assert identity(second.function) == identity(first.serializer) != identity(first.function)


def test_large_views_are_not_compared_and_still_one_where_they_are_one() -> None:
    large, twin = memoryview(bytes(MIB + 1)), memoryview(bytes(MIB + 1))
    [[call]] = merged([[Call(large, twin, (large,))]])
    assert identity(call.serializer) == identity(call.arguments[0]) != identity(call.function)


def test_what_many_calls_share_is_looked_into_once() -> None:
    """The function of a map over ten thousand items may be a megabyte."""
    looked = []

    class Watched(bytes):
        def __hash__(self) -> int:
            looked.append(self)
            return super().__hash__()

    function = Watched(b"function")
    merged([[Call(b"s", function)]] * 1000)
    assert len(looked) == 1


def test_a_reference_and_bytes_are_never_the_same() -> None:
    [[call]] = merged([[Call(ONE, b"objects/one", (ONE, Reference("objects/one", 2)))]])
    assert len({identity(value) for value in call.values}) == 3
