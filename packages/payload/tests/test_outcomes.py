from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import Failure, Origin, Outcome, Status, Usage, decode_outcomes, encode_outcomes, sections
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError, OversizedError

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


def test_as_many_values_as_outcomes_are_wanted() -> None:
    for values in ((), (b"", b"")):
        with pytest.raises(MalformedError):
            decode_outcomes(sealed([ENTRY], values=values))


@pytest.mark.parametrize("kind", [Kind.PACK, Kind.TABLE, Kind.OBJECT])
def test_what_is_no_outcomes_is_refused(kind: Kind) -> None:
    body = sections.join({"outcomes": [ENTRY], "origin": PLACE}, [b""])
    with pytest.raises(MalformedError):
        decode_outcomes(b"".join(seal(kind, body)))
