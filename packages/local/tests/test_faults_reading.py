"""Faults as objects, as JSON and as files."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local import faults
from scaler_batch.local.errors import FaultError
from scaler_batch.local.faults.reading import KINDS, Plan, from_json, plan_of, read_file, to_json

GROUPS = {"Fault", "CallFault", "SightFault", "JobFault", "HostFault"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

WRONG = [
    {},
    "Throttle",
    {"kind": "Fault"},
    {"kind": "throttle"},
    {"kind": "Throttle", "colour": "red"},
    {"kind": "Throttle", "share": 0},
    {"kind": "Throttle", "share": 1.5},
    {"kind": "Throttle", "share": float("nan")},
    {"kind": "Throttle", "count": 0},
    {"kind": "Throttle", "count": True},
    {"kind": "Throttle", "count": "3"},
    {"kind": "Throttle", "calls": None},
    {"kind": "Throttle", "skip": -1},
    {"kind": "Throttle", "after": -1},
    {"kind": "Throttle", "span": 0},
    {"kind": "RateLimit", "per_second": 0},
    {"kind": "RateLimit", "burst": 0},
    {"kind": "ServerError", "status": 404},
    {"kind": "ServerError", "done": 1},
    {"kind": "Slow", "seconds": -1},
    {"kind": "Slow", "seconds": float("inf")},
    {"kind": "Stale", "seconds": 0},
    {"kind": "Reclaim", "span": 3},
    {"kind": "Reclaim", "notice": -1},
    {"kind": "Kill", "number": 0},
    {"kind": "Conflict", "done": True, "winner": "theirs"},
    {"kind": "Drop", "reset": 1},
    {"kind": "BulkError", "code": "TooManyRequestsException"},
    {"kind": "BulkError", "tries": 0},
    {"kind": "FailStart", "error": "CannotPull"},
    {"kind": "HoldRunnable", "reason": None},
    {"kind": "UnknownState", "state": ""},
]


def test_every_fault_that_can_be_imported_has_a_kind() -> None:
    assert set(KINDS) == set(faults.__all__) - GROUPS


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_fault_is_the_same_after_a_round_trip(kind: type[faults.Fault]) -> None:
    changed = {"share": 0.5, "count": 3, "after": 2.0}
    for fault in (kind(), kind(**changed)):
        assert from_json(to_json(fault)) == fault
    assert to_json(kind()) == {"kind": kind.__name__}


@pytest.mark.parametrize("entry", WRONG)
def test_what_cannot_be_is_refused(entry: Any) -> None:
    with pytest.raises(FaultError):
        from_json(entry)


@given(JSON)
def test_no_document_does_worse_than_being_refused(document: Any) -> None:
    for attempt in (from_json, plan_of):
        try:
            attempt(document)
        except FaultError:
            continue


@given(st.sampled_from(list(KINDS.values())), st.data())
def test_no_value_of_an_attribute_does_worse_than_being_refused(kind: type[faults.Fault], data: Any) -> None:
    name = data.draw(st.sampled_from([each.name for each in fields(kind)]))
    value = data.draw(JSON)
    try:
        fault = from_json({"kind": kind.__name__, name: value})
    except FaultError:
        return
    assert getattr(fault, name) == value


def test_a_file_holds_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('seed = 7\n[[fault]]\nkind = "Slow"\ncalls = "s3.*"\nseconds = 2\n[[fault]]\nkind = "Reclaim"\n')
    assert read_file(file) == Plan((faults.Slow("s3.*", seconds=2), faults.Reclaim()), 7)


@pytest.mark.parametrize("content", ["seed = ", "seed = 'x'", "faults = []", "fault = 1", "[[fault]]\nkind = 'X'"])
def test_a_file_that_holds_something_else_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(content)
    with pytest.raises(FaultError, match=r"faults\.toml"):
        read_file(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match=r"none\.toml"):
        read_file(tmp_path / "none.toml")
