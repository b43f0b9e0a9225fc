"""The JSON file and its owner."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import ConflictError, FileError, Identity, Kind, Settings, Target
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.state import Journal, State, load

if TYPE_CHECKING:
    from pathlib import Path

NAMES = Names(Target(), Account("123456789012", "aws"))
identities = st.builds(Identity, name=st.text(max_size=20), arn=st.text(max_size=20))
states = st.builds(
    State,
    target=st.builds(Target, prefix=st.sampled_from(["a", "scaler-batch"]), region=st.just("us-east-1")),
    account=st.builds(Account, number=st.text(max_size=12), partition=st.just("aws-cn")),
    settings=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    complete=st.booleans(),
    unfinished=st.frozensets(st.sampled_from(Kind)),
    resources=st.dictionaries(st.sampled_from(Kind), identities),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(states)
def test_what_is_written_is_read_back(state: State) -> None:
    assert State.from_json(state.to_json()) == state


@given(st.text() | json_values.map(json.dumps))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a record"):
        State.from_json(text)


@given(states, st.data())
def test_a_damaged_record_is_refused_or_read(state: State, data: st.DataObject) -> None:
    document = json.loads(state.to_json())
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(json_values)
    with suppress(ValueError):
        State.from_json(json.dumps(document))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record"):
        State.from_json("[" * 100_000)


def test_another_version_is_refused() -> None:
    text = State(NAMES.target, NAMES.account).to_json().replace('"version": 1', '"version": 2')
    with pytest.raises(ValueError, match="format version 2"):
        State.from_json(text)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"version": 1}'])
def test_a_file_that_is_none_of_ours_names_the_fix(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(FileError) as error:
        load(path)
    assert error.value.fix


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "none") is None


def test_each_entry_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    journal = Journal.open(path, NAMES)
    assert not path.exists(), "opening writes nothing"
    journal.start(Settings(image="i"), complete=False)
    journal.begin(Kind.BUCKET)
    assert _read(path).unfinished == {Kind.BUCKET}
    journal.made(Kind.BUCKET, Identity("b", "arn:b"))
    assert _read(path).unfinished == frozenset()
    assert _read(path).resources == {Kind.BUCKET: Identity("b", "arn:b")}
    journal.finish()
    assert _read(path).complete
    journal.removed(Kind.BUCKET)
    assert _read(path).resources == {}


def test_what_was_unfinished_stays_so_until_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    Journal.open(path, NAMES).begin(Kind.BUCKET)
    journal = Journal.open(path, NAMES)
    journal.begin(Kind.LOG_GROUP)
    journal.made(Kind.LOG_GROUP, Identity("l", "arn:l"))
    assert _read(path).unfinished == {Kind.BUCKET}


def test_what_changes_nothing_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    journal = Journal.open(path, NAMES)
    journal.start(Settings(image="i"), complete=True)
    path.unlink()
    Journal.finish(journal)
    journal.start(Settings(image="i"), complete=True)
    assert not path.exists()


@pytest.mark.parametrize(
    "other",
    [
        Names(Target(prefix="other"), NAMES.account),
        Names(Target(region="eu-west-1"), NAMES.account),
        Names(Target(), Account("210987654321", "aws")),
    ],
)
def test_a_file_about_other_resources_is_not_taken_over(other: Names, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    Journal.open(path, NAMES).begin(Kind.BUCKET)
    with pytest.raises(ConflictError) as error:
        Journal.open(path, other)
    assert "--config" in error.value.fix


def _read(path: Path) -> Any:
    state = load(path)
    assert state
    return state
