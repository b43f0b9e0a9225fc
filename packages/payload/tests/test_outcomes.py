from __future__ import annotations

import gc
import gzip
import math
import signal
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import (
    Failure,
    Origin,
    Outcome,
    Status,
    Usage,
    body_size,
    decode_outcomes,
    encode_outcomes,
    sections,
)
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError, OversizedError
from scaler_batch.payload.outcomes import MAX_INDEX, MAX_SECONDS, in_objects

seconds = st.floats(0, 1e9)
usages = st.builds(Usage, wall=seconds, cpu=seconds, memory=st.integers(0, 2**60))
failures = st.builds(
    Failure,
    type=st.text(),
    message=st.text(),
    traceback=st.text(),
    signal=st.none() | st.integers(0, 64),
    exit_code=st.none() | st.integers(0, 255),
)
outcomes = st.builds(
    Outcome,
    position=st.integers(0, 2**40),
    status=st.sampled_from(Status),
    value=st.binary(max_size=100) | st.binary(max_size=100).map(memoryview),
    usage=usages,
    failure=st.none() | failures,
)
origins = st.builds(
    Origin,
    job=st.text(),
    attempt=st.integers(1, 10),
    host=st.text(),
    python=st.text(),
    packages=st.dictionaries(st.text(), st.text(), max_size=4),
)

ORIGIN = Origin("job", 1, "host", "3.12.1", {"cloudpickle": "3.1.2"})
ENTRY = {"position": 0, "status": "success", "wall": 1.0, "cpu": 0.5, "memory": 1}
PLACE = ORIGIN._asdict()


def written(*outcomes: Outcome) -> bytes:
    return b"".join(encode_outcomes(outcomes, ORIGIN))


def sealed(entries: Any, origin: Any = PLACE, values: tuple[bytes, ...] = (b"",)) -> bytes:
    return b"".join(seal(Kind.OUTCOMES, sections.join({"outcomes": entries, "origin": origin}, values)))


@given(st.lists(outcomes, max_size=5), origins)
def test_outcomes_come_back_as_they_were(said: list[Outcome], origin: Origin) -> None:
    assert decode_outcomes(b"".join(encode_outcomes(said, origin))) == (said, origin)


@pytest.mark.parametrize("status", Status)
def test_each_status_comes_back_with_why(status: Status) -> None:
    failure = Failure("ValueError", "no", "Traceback …", signal.SIGKILL, 3)
    [outcome], origin = decode_outcomes(written(Outcome(3, status, b"value", Usage(1, 2, 3), failure)))
    assert outcome == Outcome(3, status, b"value", Usage(1.0, 2.0, 3), Failure("ValueError", "no", "Traceback …", 9, 3))
    assert origin == ORIGIN


def test_what_does_not_apply_is_left_out() -> None:
    index, _ = sections.split(unseal(Kind.OUTCOMES, written(Outcome(0, Status.CRASHED, failure=Failure(signal=9)))))
    assert index["outcomes"][0]["failure"] == {"signal": 9}
    index, _ = sections.split(unseal(Kind.OUTCOMES, written(Outcome(0, Status.SUCCESS, b"r"))))
    assert "failure" not in index["outcomes"][0]


def test_an_exit_code_of_zero_is_not_taken_for_none() -> None:
    [outcome], _ = decode_outcomes(written(Outcome(0, Status.CRASHED, failure=Failure(exit_code=0))))
    assert outcome.failure == Failure(exit_code=0)


def test_values_are_neither_copied_when_written_nor_when_read() -> None:
    value = memoryview(b"value")
    assert any(piece is value for piece in encode_outcomes([Outcome(0, Status.SUCCESS, value)], ORIGIN))
    data = written(Outcome(0, Status.SUCCESS, value))
    [outcome] = decode_outcomes(data)[0]
    assert isinstance(outcome.value, memoryview)
    assert outcome.value.obj is data


def test_a_reader_sets_the_largest_body_it_accepts() -> None:
    data = written(Outcome(0, Status.SUCCESS, b"a" * 100_000))
    assert len(decode_outcomes(data)[0][0].value) == 100_000
    with pytest.raises(OversizedError):
        decode_outcomes(data, max_body=50_000)


DEEP: list[Any] = []
for _ in range(700):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "change",
    [
        {"position": None},
        {"position": -1},
        {"position": 1.0},
        {"position": True},
        {"position": "0"},
        {"status": "lost"},
        {"status": []},
        {"status": DEEP},
        {"wall": "soon"},
        {"wall": "1"},
        {"wall": True},
        {"wall": None},
        {"wall": 10**400},
        {"wall": math.nan},
        {"wall": math.inf},
        {"wall": -math.inf},
        {"wall": 1e300},
        {"wall": -1.0},
        {"cpu": math.nan},
        {"cpu": -0.1},
        {"cpu": 3.5e38},
        {"memory": 2**63},
        {"memory": 2**70},
        {"position": 2**63},
        {"failure": {"signal": 2**63}},
        {"failure": {"message": "\ud800"}},
        {"cpu": []},
        {"memory": "much"},
        {"memory": 1.5},
        {"memory": -1},
        {"memory": 1e999},
        {"memory": None},
        {"failure": None},
        {"failure": []},
        {"failure": "no"},
        {"failure": {"more": 1}},
        {"failure": {"type": None}},
        {"failure": {"message": 5}},
        {"failure": {"message": DEEP}},
        {"failure": {"traceback": ["line"]}},
        {"failure": {"signal": "9"}},
        {"failure": {"signal": 9.0}},
        {"failure": {"signal": -9}},
        {"failure": {"exit_code": True}},
        {"failure": {"exit_code": 1e999}},
    ],
)
def test_an_entry_that_is_no_outcome_is_refused(change: dict[str, Any]) -> None:
    assert decode_outcomes(sealed([ENTRY]))[1] == ORIGIN
    with pytest.raises(MalformedError):
        decode_outcomes(sealed([{**ENTRY, **change}]))


@pytest.mark.parametrize("missing", ENTRY)
def test_an_entry_without_one_of_its_facts_is_refused(missing: str) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed([{name: fact for name, fact in ENTRY.items() if name != missing}]))


@pytest.mark.parametrize("entries", [None, {}, {"a": 1}, "a", "", 5, [None], ["x"], [[]], [5]])
def test_an_index_without_a_list_of_outcomes_is_refused(entries: list[Any] | None) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed(entries, values=(b"",) if entries else ()))


@pytest.mark.parametrize("origin", [None, [], "x", {}])
def test_an_index_without_an_origin_is_refused(origin: object) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed([ENTRY], origin))


@pytest.mark.parametrize(
    "change",
    [
        {"job": None},
        {"job": 5},
        {"attempt": "first"},
        {"attempt": "1"},
        {"attempt": None},
        {"attempt": 1.0},
        {"host": DEEP},
        {"python": 3},
        {"packages": None},
        {"packages": []},
        {"packages": {"cloudpickle": 3}},
        {"packages": {"cloudpickle": DEEP}},
        {"more": 1},
    ],
)
def test_an_origin_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed([ENTRY], {**PLACE, **change}))


@pytest.mark.parametrize("missing", PLACE)
def test_an_origin_without_one_of_its_facts_is_refused(missing: str) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed([ENTRY], {name: fact for name, fact in PLACE.items() if name != missing}))


def test_the_largest_numbers_that_are_read_can_be_told_to_the_scheduler() -> None:
    [outcome], _ = decode_outcomes(sealed([{**ENTRY, "wall": MAX_SECONDS, "cpu": MAX_SECONDS, "memory": 2**63 - 1}]))
    # A profile on the wire is two floats of 32 bits and an integer of 64.
    struct.pack("<fQf", outcome.usage.wall, outcome.usage.memory, outcome.usage.cpu)


def test_what_is_wrong_with_an_entry_is_said_in_short() -> None:
    with pytest.raises(MalformedError) as caught:
        decode_outcomes(sealed([{**ENTRY, "status": "x" * 200_000}]))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("positions", [[4], [0, 1, 2, 3, 3], [2**60]])
def test_outcomes_of_calls_that_the_bundle_does_not_have_are_refused(positions: list[int]) -> None:
    entries = [{**ENTRY, "position": position} for position in positions]
    data = sealed(entries, values=(b"",) * len(entries))
    assert len(decode_outcomes(data)[0]) == len(positions)
    with pytest.raises(MalformedError, match="of 4"):
        decode_outcomes(data, positions=4)


def bomb(index: bytes, body: int) -> bytes:
    """A sealed body that begins with an index, and goes on with zeros that take next to nothing."""
    whole = struct.pack("<I", len(index)) + index
    packed = gzip.compress(whole + bytes(body - len(whole)))
    return struct.pack("<4sBBBxQI", b"SBPL", FORMAT_VERSION, Kind.OUTCOMES, 1, body, zlib.crc32(packed)) + packed


SPARSE: dict[str, Callable[[int], bytes]] = {
    "empty lists": lambda size: b"[" + b"[]," * (size // 3) + b"0]",
    "nested lists": lambda size: b"[" + b"[[[[[[]]]]]]," * (size // 13) + b"0]",
    "nested dicts": lambda size: b"[" + b'{"":{}},' * (size // 8) + b"0]",
    "numbers": lambda size: b"[" + b"0," * (size // 2) + b"0]",
}
"""JSON that takes far more memory than its text does, of about so many bytes."""


@pytest.mark.parametrize("name", SPARSE)
def test_an_index_that_expands_is_refused_before_it_takes_memory(name: str) -> None:
    index = b'{"outcomes":' + SPARSE[name](40_000_000) + b',"sizes":[]}'
    data = bomb(index, 4 + len(index))
    assert len(data) < 200_000
    with pytest.raises(OversizedError, match="an index of"):
        decode_outcomes(data)


@pytest.mark.parametrize("name", SPARSE)
def test_the_largest_index_that_is_read_takes_little_memory_and_time(name: str) -> None:
    index = b'{"outcomes":' + SPARSE[name](MAX_INDEX - 100) + b',"sizes":[]}'
    data = bomb(index, 4 + len(index))
    gc.collect()
    started = time.process_time()
    with pytest.raises(MalformedError):
        decode_outcomes(data)
    assert time.process_time() - started < 0.5
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            decode_outcomes(data)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", sorted(SPARSE.keys() - {"numbers"}))
def test_lists_and_objects_that_no_call_accounts_for_are_not_even_made(name: str) -> None:
    index = b'{"outcomes":' + SPARSE[name](MAX_INDEX - 100) + b',"sizes":[]}'
    data = bomb(index, 4 + len(index))
    with pytest.raises(MalformedError, match="more than 1200 lists and objects"):
        decode_outcomes(data, positions=100)


@pytest.mark.parametrize("text", ["[{" * 9000, chr(34) + "[{" * 5000, chr(92) + chr(34) + "[{" * 3000, chr(92)])
def test_brackets_in_what_an_exception_says_are_no_lists(text: str) -> None:
    failure = Failure("E", text, text)
    said = [Outcome(position, Status.RAISED, b"", failure=failure) for position in range(2)]
    assert decode_outcomes(written(*said), positions=2)[0] == said


def test_a_body_tells_its_size_before_it_is_expanded() -> None:
    data = written(Outcome(0, Status.SUCCESS, bytes(10_000_000)))
    assert len(data) < 100_000
    assert 10_000_000 < body_size(data) < 10_001_000
    with pytest.raises(MalformedError):
        body_size(b"SBPL")


def test_outcomes_are_divided_so_that_each_index_can_be_read() -> None:
    failure = Failure("E" * 200, "m" * 4096, "\x01" * 16384)
    said = [Outcome(position, Status.UNPICKLABLE, failure=failure) for position in range(30)]
    said += [Outcome(position, Status.SUCCESS, b"value") for position in range(30, 5000)]
    groups = list(in_objects(said))
    assert [outcome for group in groups for outcome in group] == said
    assert 3 < len(groups) < 30
    for group in groups:
        assert decode_outcomes(written(*group))[0] == group


def test_few_outcomes_go_into_one_object() -> None:
    said = [Outcome(position, Status.SUCCESS, bytes(100_000)) for position in range(1000)]
    assert list(in_objects(said)) == [said]
    assert list(in_objects([])) == []


def test_as_many_values_as_outcomes_are_wanted() -> None:
    for values in ((), (b"", b"")):
        with pytest.raises(MalformedError):
            decode_outcomes(sealed([ENTRY], values=values))


@pytest.mark.parametrize("kind", [Kind.PACK, Kind.TABLE, Kind.OBJECT])
def test_what_is_no_outcomes_is_refused(kind: Kind) -> None:
    body = sections.join({"outcomes": [ENTRY], "origin": PLACE}, [b""])
    with pytest.raises(MalformedError):
        decode_outcomes(b"".join(seal(kind, body)))
