"""Our messages are read by the published library, and its messages by us: meaning compared, not bytes."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import IntEnum
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scaler.protocol import capnp as upstream

from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import decode, encode
from scaler_batch.wire.testing.segments import scatter
from scaler_batch.wire.testing.strategies import BY_TYPE, ONLY_OLD, messages_of_new_releases

compare = settings(deadline=None, max_examples=300)

# What the published library calls each of our records and its fields, in the order of our fields.
NAMES: dict[type[Any], tuple[str, str]] = {
    m.Argument: ("Task.Argument", "type data"),
    m.Capability: ("TaskCapability", "name value"),
    m.Task: ("Task", "taskId source metadata funcObjectId functionArgs capabilities"),
    m.TaskCancelFlags: ("TaskCancel.TaskCancelFlags", "force"),
    m.TaskCancel: ("TaskCancel", "taskId flags"),
    m.TaskCancelConfirm: ("TaskCancelConfirm", "taskId cancelConfirmType"),
    m.TaskResult: ("TaskResult", "taskId resultType metadata results"),
    m.TaskLog: ("TaskLog", "taskId logType content"),
    m.ObjectMetadata: ("ObjectMetadata", "objectIds objectTypes objectNames objectSizes"),
    m.ObjectInstruction: ("ObjectInstruction", "instructionType objectUser objectMetadata"),
    m.Resource: ("Resource", "cpu rss"),
    m.ProcessorStatus: (
        "ProcessorStatus",
        "pid initialized hasTask suspended resource currentTaskId taskAgeSeconds",
    ),
    m.WorkerHeartbeat: (
        "WorkerHeartbeat",
        (
            "agent rssFree queueSize queuedTasks latencyMicroseconds taskLock processors capabilities "
            "workerManagerID memLimit hostname netSentBytes netRecvBytes"
        ),
    ),
    m.ObjectStorageAddress: ("ObjectStorageAddress", "host port scheme"),
    m.WorkerHeartbeatEcho: ("WorkerHeartbeatEcho", "objectStorageAddress"),
    m.ClientDisconnect: ("ClientDisconnect", "disconnectType"),
    m.WorkerDisconnectNotification: ("WorkerDisconnectNotification", ""),
    m.WorkerManagerHeartbeat: ("WorkerManagerHeartbeat", "maxTaskConcurrency capabilities workerManagerID"),
    m.WorkerManagerHeartbeatEcho: ("WorkerManagerHeartbeatEcho", ""),
    m.DesiredTaskConcurrency: (
        "WorkerManagerCommand.DesiredTaskConcurrencyRequest",
        "taskConcurrency capabilities",
    ),
    m.WorkerManagerCommand: ("WorkerManagerCommand", "setDesiredTaskConcurrencyRequests"),
}
ENUMS: dict[type[IntEnum], str] = {
    m.ArgumentKind: "Task.Argument.ArgumentType",
    m.CancelOutcome: "TaskCancelConfirmType",
    m.ResultKind: "TaskResultType",
    m.LogStream: "TaskLog.LogType",
    m.InstructionKind: "ObjectInstruction.ObjectInstructionType",
    m.ObjectKind: "ObjectMetadata.ObjectContentType",
    m.DisconnectKind: "ClientDisconnect.DisconnectType",
}


def named(path: str) -> Any:
    found: Any = upstream
    for name in path.split("."):
        found = getattr(found, name)
    return found


def arm(type_: type[Any]) -> str:
    """The name of a message in the library's envelope."""
    name = NAMES[type_][0]
    return name[0].lower() + name[1:]


def theirs(value: Any) -> Any:
    """Our value as one of the published library."""
    if isinstance(value, IntEnum):
        return named(ENUMS[type(value)])(int(value))
    if isinstance(value, tuple):
        return [theirs(item) for item in value]
    if is_dataclass(value):
        path, names = NAMES[type(value)]
        own = [getattr(value, field.name) for field in fields(value)]
        return named(path)(**dict(zip(names.split(), map(theirs, own), strict=True)))
    return value


def meaning(value: Any, like: Any) -> Any:
    """A value of the published library in the terms of ours; `like` tells which record of ours it should be."""
    if isinstance(like, IntEnum):
        return type(like)(getattr(value, "value", value))
    if isinstance(like, tuple):
        assert len(value) == len(like)
        return tuple(meaning(item, own) for item, own in zip(value, like, strict=True))
    if is_dataclass(like):
        names = NAMES[type(like)][1].split()
        own = [getattr(like, field.name) for field in fields(like)]
        return type(like)(*(meaning(getattr(value, name), o) for name, o in zip(names, own, strict=True)))
    return value


def read_by_them(frame: bytes, message: m.Message) -> m.Message:
    envelope = upstream.Message.from_bytes(frame)
    assert envelope.which() == arm(type(message))
    found: m.Message = meaning(getattr(envelope, arm(type(message))), message)
    return found


def written_by_them(message: m.Message) -> bytes:
    frame: bytes = upstream.Message(**{arm(type(message)): theirs(message)}).to_bytes()
    return frame


def a_task(arguments: int, capabilities: int) -> m.Task:
    return m.Task(
        b"t" * 16,
        b"Client|" + b"0" * 32,
        bytes(6),
        b"f" * 32,
        tuple(m.Argument(m.ArgumentKind.OBJECT_ID, n.to_bytes(32, "big")) for n in range(arguments)),
        tuple(m.Capability(f"capability {n}", n) for n in range(capabilities)),
    )


def many_objects(count: int) -> m.ObjectInstruction:
    ids = tuple(n.to_bytes(32, "big") for n in range(count))
    kinds = (m.ObjectKind.OBJECT, m.ObjectKind.SERIALIZER) * (count // 2)
    names = tuple(b"name %d" % n for n in range(count))
    return m.ObjectInstruction(
        m.InstructionKind.CREATE, b"client", m.ObjectMetadata(ids, kinds, names, tuple(range(count)))
    )


def test_every_message_of_this_release_is_compared() -> None:
    assert {type_ for type_ in BY_TYPE if type_ not in ONLY_OLD} <= set(NAMES)


@compare
@given(messages_of_new_releases)
def test_our_messages_are_read_by_the_library(message: m.Message) -> None:
    assert read_by_them(encode(message), message) == message


@compare
@given(messages_of_new_releases)
def test_the_librarys_messages_are_read_by_us(message: m.Message) -> None:
    assert decode(written_by_them(message)) == message


@compare
@given(messages_of_new_releases, st.integers(2, 5), st.integers(0, 2**32))
def test_messages_over_several_segments_mean_the_same_to_both(message: m.Message, segments: int, seed: int) -> None:
    frame = scatter(encode(message), segments, Random(seed))
    assert read_by_them(frame, message) == message
    assert decode(frame) == message


@pytest.mark.parametrize("count", [100, 400, 3000, 20_000])
def test_large_messages_go_both_ways(count: int) -> None:
    segments = set()
    for message in (a_task(count, count // 2), many_objects(count)):
        frame = written_by_them(message)
        segments.add(int.from_bytes(frame[:4], "little") + 1)
        assert decode(frame) == message
        assert read_by_them(encode(message), message) == message
    if count >= 400:
        assert max(segments) > 1  # or the reading of several segments would not have been tried


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 3_000_000), st.integers(0, 255))
def test_large_values_go_both_ways(size: int, fill: int) -> None:
    message = m.TaskLog(b"t" * 16, m.LogStream.STDOUT, chr(fill + 1) * size)
    assert decode(written_by_them(message)) == message
    assert read_by_them(encode(message), message) == message
