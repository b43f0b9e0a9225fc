from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import Origin, Outcome, Status, Usage, decode_outcomes, encode_outcomes, sections
from scaler_batch.payload.envelope import Kind, seal
from scaler_batch.payload.errors import MalformedError, OversizedError

seconds = st.floats(0, 1e9)
usages = st.builds(Usage, wall=seconds, cpu=seconds, memory=st.integers(0, 2**60))
outcomes = st.builds(
    Outcome,
    task_id=st.binary(max_size=20),
    status=st.sampled_from(Status),
    value=st.binary(max_size=100),
    usage=usages,
)
origins = st.builds(Origin, job=st.text(), attempt=st.integers(1, 10), host=st.text(), python=st.text())

ORIGIN = Origin("job", 1, "host", "3.12.1")
ENTRY = {"task": "00", "status": "success", "wall": 1.0, "cpu": 0.5, "memory": 1}


def sealed(index: dict[str, Any], values: list[bytes]) -> bytes:
    return seal(Kind.OUTCOMES, sections.join(index, values))


@given(st.lists(outcomes, max_size=5), origins)
def test_outcomes_come_back_as_they_were(written: list[Outcome], origin: Origin) -> None:
    assert decode_outcomes(encode_outcomes(written, origin)) == (written, origin)


def test_values_are_views_where_nothing_is_compressed() -> None:
    data = encode_outcomes([Outcome(b"1", Status.SUCCESS, b"value")], ORIGIN)
    [outcome] = decode_outcomes(data)[0]
    assert isinstance(outcome.value, memoryview)
    assert outcome.value.obj is data


def test_a_reader_sets_the_largest_body_it_accepts() -> None:
    data = encode_outcomes([Outcome(b"1", Status.SUCCESS, b"a" * 100_000)], ORIGIN)
    assert len(decode_outcomes(data)[0][0].value) == 100_000
    with pytest.raises(OversizedError):
        decode_outcomes(data, max_body=50_000)


@pytest.mark.parametrize(
    "change",
    [
        {"task": None},
        {"task": "zz"},
        {"task": 5},
        {"status": "lost"},
        {"status": []},
        {"wall": "soon"},
        {"wall": None},
        {"wall": 10**400},
        {"cpu": []},
        {"memory": "much"},
        {"memory": 1e999},
        {"memory": None},
    ],
)
def test_an_entry_that_is_no_outcome_is_refused(change: dict[str, Any]) -> None:
    index = {"outcomes": [{**ENTRY, **change}], "origin": {"job": "", "attempt": 1, "host": "", "python": ""}}
    with pytest.raises(MalformedError):
        decode_outcomes(sealed(index, [b""]))


@pytest.mark.parametrize("missing", ["task", "status", "wall", "cpu", "memory"])
def test_an_entry_without_one_of_its_facts_is_refused(missing: str) -> None:
    entry = {name: fact for name, fact in ENTRY.items() if name != missing}
    with pytest.raises(MalformedError):
        decode_outcomes(sealed({"outcomes": [entry], "origin": {}}, [b""]))


@pytest.mark.parametrize("entries", [None, {}, {"a": 1}, "a", 5, [None], ["x"], [[]], [5]])
def test_an_index_without_a_list_of_outcomes_is_refused(entries: object) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed({"outcomes": entries, "origin": {}}, [b""]))


@pytest.mark.parametrize(
    "origin",
    [
        None,
        [],
        "x",
        {},
        {"job": "j", "attempt": "first", "host": "h", "python": "3"},
        {"job": "j", "attempt": None, "host": "h", "python": "3"},
        {"job": "j", "attempt": 1, "host": "h", "python": "3", "more": 1},
    ],
)
def test_an_index_without_a_whole_origin_is_refused(origin: object) -> None:
    with pytest.raises(MalformedError):
        decode_outcomes(sealed({"outcomes": [ENTRY], "origin": origin}, [b""]))


def test_as_many_values_as_outcomes_are_wanted() -> None:
    index = {"outcomes": [ENTRY], "origin": {"job": "", "attempt": 1, "host": "", "python": ""}}
    for values in ([], [b"", b""]):
        with pytest.raises(MalformedError):
            decode_outcomes(sealed(index, values))
