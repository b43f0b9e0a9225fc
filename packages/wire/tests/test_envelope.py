from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.errors import LocalProtocolError, RemoteProtocolError
from scaler_batch.wire.schema import BODIES
from scaler_batch.wire.testing.segments import scatter
from scaler_batch.wire.testing.strategies import BY_TYPE, messages_of_new_releases, messages_of_old_releases

TASK = m.Task(b"t" * 16, b"client", b"", b"f" * 32, (m.Argument(m.ArgumentKind.OBJECT_ID, b"a" * 32),))


def kind_of(frame: bytes) -> int:
    number: int = struct.unpack_from("<H", frame, 16)[0]
    return number


@given(messages_of_new_releases)
def test_every_message_comes_back_as_it_was(message: m.Message) -> None:
    assert decode(encode(message)) == message


@given(messages_of_old_releases)
def test_every_message_comes_back_as_it_was_in_the_old_numbering(message: m.Message) -> None:
    assert decode(encode(message, Dialect.OLD), Dialect.OLD) == message


@given(messages_of_new_releases, st.integers(2, 5), st.integers(0, 2**32))
def test_a_message_in_several_segments_reads_the_same(message: m.Message, segments: int, seed: int) -> None:
    assert decode(scatter(encode(message), segments, Random(seed))) == message


def test_the_strategies_and_the_schema_know_every_message() -> None:
    known = set(m.Message.__args__)  # type: ignore[attr-defined]
    assert known == set(BY_TYPE) == {layout.type for layout in BODIES}


@pytest.mark.parametrize(
    ("message", "old", "new"),
    [
        (TASK, 0, 0),
        (m.TaskCancel(b""), 1, 1),
        (m.TaskCancelConfirm(b"", m.CancelOutcome.CANCELED), 2, 2),
        (m.TaskResult(b"", m.ResultKind.SUCCESS), 3, 3),
        (m.TaskLog(b"", m.LogStream.STDOUT, ""), 4, 4),
        (m.ObjectInstruction(m.InstructionKind.CREATE), 6, 6),
        (m.WorkerHeartbeat(), 9, 9),
        (m.WorkerHeartbeatEcho(m.ObjectStorageAddress("", 0)), 10, 10),
        (m.ClientDisconnect(), 20, 18),
        (m.WorkerManagerHeartbeat(), 25, 23),
        (m.WorkerManagerHeartbeatEcho(), 26, 24),
        (m.WorkerManagerCommand(), 27, 25),
        (m.WorkerDisconnectNotification(), None, 26),
        (m.DisconnectRequest(b""), 11, None),
        (m.DisconnectResponse(b""), 12, None),
    ],
)
def test_each_release_has_its_numbers(message: m.Message, old: int | None, new: int | None) -> None:
    for dialect, number in ((Dialect.OLD, old), (Dialect.NEW, new)):
        if number is None:
            with pytest.raises(
                LocalProtocolError, match=f"{type(message).__name__} is no message of the {dialect.name}"
            ):
                encode(message, dialect)
        else:
            assert kind_of(encode(message, dialect)) == number


def test_the_shutdown_of_one_release_is_something_else_in_the_other() -> None:
    shutdown = m.ClientDisconnect(m.DisconnectKind.SHUTDOWN)
    assert decode(encode(shutdown, Dialect.OLD), Dialect.NEW) == m.Unknown(20)
    assert decode(encode(shutdown, Dialect.NEW), Dialect.OLD) == m.Unknown(18)


@given(st.integers(27, 2**16 - 1))
def test_an_unknown_kind_is_survived(number: int) -> None:
    frame = bytearray(encode(TASK))
    struct.pack_into("<H", frame, 16, number)
    assert decode(bytes(frame)) == m.Unknown(number)


def test_a_field_that_an_older_release_lacks_reads_as_its_default() -> None:
    heartbeat = m.WorkerHeartbeat(rss_free=7, queue_size=5, memory_limit=9, hostname="h", net_sent=1, manager_id=b"m")
    frame = bytearray(encode(heartbeat))
    # Body pointer at byte 24, body at 32: shrink it from 6 words and 5 pointers to 3 words and 3 pointers, as in 2.6.0.
    body, rest = frame[32 : 32 + 24], frame[32 + 48 : 32 + 48 + 24]
    shorter = bytes(frame[:28]) + struct.pack("<HH", 3, 3) + bytes(body) + bytes(rest[:8].ljust(8)) + bytes(16)
    shorter = bytearray(shorter)
    struct.pack_into("<II", shorter, 0, 0, len(shorter) // 8 - 1)
    struct.pack_into("<Q", shorter, 56, 0)  # the agent's pointer
    assert decode(bytes(shorter)) == m.WorkerHeartbeat(rss_free=7, queue_size=5)


def test_fields_of_a_newer_release_are_passed_over() -> None:
    cancel = m.TaskCancelConfirm(b"t" * 16, m.CancelOutcome.FAILED)
    frame = encode(cancel)
    # Body of 1 word and 1 pointer at byte 32; make it 2 words and 2 pointers.
    body = frame[32:40] + b"\xff" * 8 + struct.pack("<iI", 1 << 2 | 1, 2 | 16 << 3) + bytes(8) + b"t" * 16
    longer = bytearray(frame[:28] + struct.pack("<HH", 2, 2) + body)
    struct.pack_into("<II", longer, 0, 0, len(longer) // 8 - 1)
    assert decode(bytes(longer)) == cancel


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (m.WorkerHeartbeat(queue_size=-1), "WorkerHeartbeat: a number does not fit"),
        (m.WorkerHeartbeat(queue_size=2**32), "WorkerHeartbeat: a number does not fit"),
        (m.Task(b"", b"", capabilities=(m.Capability("c", 2**63),)), "Task: a number does not fit"),
        (m.TaskLog(b"", m.LogStream.STDOUT, "\ud800"), "text cannot be UTF-8"),
        (m.Argument(m.ArgumentKind.TASK, b""), "Argument is no message"),
    ],
)
def test_what_cannot_be_expressed_is_our_own_mistake(wrong: Any, complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        encode(wrong)


def test_a_malformed_message_is_refused_with_the_field_that_was_wrong() -> None:
    frame = bytearray(encode(TASK))
    where = bytes(frame).index(b"a" * 32)
    # The argument's pointer lies in the word before its data, its kind in the word before that.
    struct.pack_into("<H", frame, where - 16, 7)
    with pytest.raises(RemoteProtocolError, match=r"Task\.arguments: Argument: 7 is no ArgumentKind"):
        decode(bytes(frame))
    struct.pack_into("<H", frame, where - 16, 1)
    struct.pack_into("<iI", frame, where - 8, 1000 << 2 | 1, 32 << 3 | 2)
    with pytest.raises(RemoteProtocolError, match=r"Task\.arguments: Argument\.data: .* leads out of its segment"):
        decode(bytes(frame))
