"""The JSON file and its owner."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import ConflictError, FileError, Identity, Kind, Settings, SettingsError, Target
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.state import MOST_BYTES, Journal, OldRecordError, State, load

if TYPE_CHECKING:
    from pathlib import Path

NAMES = Names(Target(), Account("123456789012", "aws"))
NONCE = "0123456789abcdef0123456789abcdef"
STATE = State(NAMES.target, NAMES.account, NONCE)
ENDINGS = {Kind.SECURITY_GROUP: "sg-0123456789abcdef0", Kind.LAUNCH_TEMPLATE: "lt-0123456789abcdef0"}


def identity(names: Names, kind: Kind) -> Identity:
    """The resource of a kind as AWS would name it."""
    arn = names.arn(kind)
    if kind in ENDINGS:
        arn = f"{arn.rpartition('/')[0]}/{ENDINGS[kind]}"
    return Identity(names.of(kind), f"{arn}:7" if kind is Kind.JOB_DEFINITION else arn)


@st.composite
def states(draw: st.DrawFn) -> State:
    names = Names(
        Target(prefix=draw(st.sampled_from(["a", "scaler-batch"])), region="us-east-1"),
        Account(draw(st.from_regex(r"[0-9]{12}", fullmatch=True)), draw(st.sampled_from(["aws", "aws-cn"]))),
    )
    return State(
        target=names.target,
        account=names.account,
        nonce=draw(st.from_regex(r"[0-9a-f]{32}", fullmatch=True)),
        settings=draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)),
        complete=draw(st.booleans()),
        unfinished=draw(st.frozensets(st.sampled_from(Kind))),
        resources={kind: identity(names, kind) for kind in draw(st.sets(st.sampled_from(Kind)))},
    )


BUCKET = identity(NAMES, Kind.BUCKET)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(states())
def test_what_is_written_is_read_back(state: State) -> None:
    assert State.from_json(state.to_json()) == state


@given(st.text() | json_values.map(json.dumps))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a record"):
        State.from_json(text)


@given(states(), st.data())
def test_a_damaged_record_is_refused_or_read(state: State, data: st.DataObject) -> None:
    document = json.loads(state.to_json())
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(json_values)
    with suppress(ValueError):
        State.from_json(json.dumps(document))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ValueError, match="not a record"):
        State.from_json("[" * 100_000)


def test_another_version_is_refused() -> None:
    text = STATE.to_json().replace('"version": 2', '"version": 3')
    with pytest.raises(ValueError, match="format version 3"):
        State.from_json(text)


WHOLE = replace(STATE, resources={kind: identity(NAMES, kind) for kind in Kind})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), True),
        (("version",), 2.0),
        (("version",), "2"),
        (("nonce",), ""),
        (("nonce",), "F" * 32),
        (("nonce",), ["0" * 32]),
        (("nonce",), None),
        (("prefix",), "Scaler"),
        (("prefix",), 1),
        (("region",), "mars"),
        (("account",), 123456789012),
        (("account",), "12345678901\uff12"),
        (("partition",), "gcp"),
        (("complete",), 1),
        (("unfinished",), {"bucket": 1}),
        (("unfinished",), ["bucket", "bucket"]),
        (("unfinished",), ["coffee"]),
        (("unfinished",), [["bucket"]]),
        (("settings",), []),
        (("resources",), []),
        (("resources", "bucket"), None),
        (("resources", "bucket", "name"), "somebody-elses"),
        (("resources", "bucket", "arn"), "arn:aws:s3:::somebody-elses"),
        (("resources", "bucket", "arn"), ["arn"]),
        (("resources", "bucket", "size"), 1),
        (("resources", "coffee"), {"name": "c", "arn": "a"}),
        (("resources", "job_role", "arn"), "arn:aws:iam::210987654321:role/scaler-batch-us-east-1-job"),
        (("resources", "job_queue", "arn"), "arn:aws:batch:eu-west-1:123456789012:job-queue/scaler-batch-queue"),
        (("resources", "job_queue", "arn"), "arn:aws-cn:batch:us-east-1:123456789012:job-queue/scaler-batch-queue"),
        (("resources", "job_definition", "arn"), NAMES.arn(Kind.JOB_DEFINITION)),
        (("resources", "job_definition", "arn"), NAMES.arn(Kind.JOB_DEFINITION) + ":1/../x"),
        (("resources", "security_group", "arn"), "arn:aws:ec2:us-east-1:210987654321:security-group/sg-0123456789"),
        (("resources", "security_group", "arn"), "arn:aws:ec2:us-east-1:123456789012:security-group/default"),
        (("more",), 1),
    ],
)
def test_what_this_package_would_not_have_written_is_refused(path: tuple[str, ...], value: Any) -> None:
    document = json.loads(WHOLE.to_json())
    *way, last = path
    place = document
    for name in way:
        place = place[name]
    place[last] = value
    with pytest.raises(ValueError, match="not a record"):
        State.from_json(json.dumps(document))


def test_a_missing_field_a_repeated_one_and_what_is_not_json_are_refused() -> None:
    text = STATE.to_json()
    for damaged in (
        text.replace('  "complete": false,\n', ""),
        text.replace('"complete": false', '"complete": false, "complete": true'),
        text.replace('"settings": {}', '"settings": {"vcpus": NaN}'),
    ):
        assert damaged != text
        with pytest.raises(ValueError, match="not a record"):
            State.from_json(damaged)


def test_a_link_a_pipe_a_folder_and_a_huge_file_are_refused_at_once(tmp_path: Path) -> None:
    real, link, dangling = tmp_path / "real", tmp_path / "link", tmp_path / "dangling"
    pipe, huge = tmp_path / "pipe", tmp_path / "huge"
    real.write_text(STATE.to_json())
    link.symlink_to(real)
    dangling.symlink_to(tmp_path / "nowhere")
    os.mkfifo(pipe)
    huge.write_text(STATE.to_json() + " " * MOST_BYTES)
    for path, reason in (
        (link, "symbolic link"),
        (dangling, "symbolic link"),
        (pipe, "not a regular file"),
        (tmp_path, "not a regular file"),
        (huge, "larger than"),
    ):
        with pytest.raises(FileError, match=reason) as error:
            load(path)
        assert error.value.fix
    assert load(real) == STATE


def test_writing_takes_the_place_of_a_link_and_leaves_what_it_points_to(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "config.json"
    elsewhere.write_text("precious")
    path.symlink_to(elsewhere)
    Journal(path, STATE).write()
    assert elsewhere.read_text() == "precious"
    assert load(path) == STATE


VERSION_1 = {**json.loads(STATE.to_json()), "version": 1}
del VERSION_1["nonce"]


def test_a_file_of_an_earlier_release_is_refused_and_the_fix_is_to_adopt(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**VERSION_1, "unfinished": ["bucket"], "resources": {"bucket": "whatever"}}))
    before = path.read_bytes()
    with pytest.raises(OldRecordError) as error:
        Journal.open(path, NAMES)
    assert "adopt" in error.value.fix
    assert error.value.names == NAMES
    assert path.read_bytes() == before


def test_each_new_record_has_a_nonce_of_its_own() -> None:
    first, second = (Journal.open(None, NAMES).state.nonce for _ in range(2))
    assert first != second
    assert State.from_json(replace(STATE, nonce=first).to_json()).nonce == first


def test_a_nonce_that_is_given_must_be_one_and_that_of_the_file(tmp_path: Path) -> None:
    assert Journal.open(None, NAMES, NONCE).state.nonce == NONCE
    with pytest.raises(SettingsError, match="not a nonce"):
        Journal.open(None, NAMES, "../x")
    path = tmp_path / "config.json"
    Journal(path, STATE).write()
    with pytest.raises(ConflictError, match="another nonce"):
        Journal.open(path, NAMES, "f" * 32)


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
    journal.made(Kind.BUCKET, BUCKET)
    assert _read(path).unfinished == frozenset()
    assert _read(path).resources == {Kind.BUCKET: BUCKET}
    journal.finish()
    assert _read(path).complete
    journal.removed(Kind.BUCKET)
    assert _read(path).resources == {}


def test_what_was_unfinished_stays_so_until_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    Journal.open(path, NAMES).begin(Kind.BUCKET)
    journal = Journal.open(path, NAMES)
    journal.begin(Kind.LOG_GROUP)
    journal.made(Kind.LOG_GROUP, identity(NAMES, Kind.LOG_GROUP))
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
