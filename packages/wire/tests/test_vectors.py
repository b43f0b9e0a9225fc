"""What the published library wrote is read as it was meant, and what we write for it reads the same."""

from __future__ import annotations

import pytest

from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.flags import Profile
from scaler_batch.wire.framing import FrameDecoder, Greeting
from scaler_batch.wire.storage import ANY_LENGTH, AnswerKind, Header, RequestKind, decode_source, encode_source

TASK_ID = bytes(range(16))
OBJECT_ID = bytes(range(32))
SECOND_ID = bytes(range(32, 64))
CLIENT = b"Client|" + b"0" * 32

MEANINGS = {
    "task": m.Task(
        TASK_ID,
        CLIENT,
        bytes.fromhex("010000000000"),
        OBJECT_ID,
        (m.Argument(m.ArgumentKind.OBJECT_ID, SECOND_ID),),
        (m.Capability("gpu", -1),),
    ),
    "cancel_force": m.TaskCancel(TASK_ID, m.TaskCancelFlags(force=True)),
    "cancel_confirm_not_found": m.TaskCancelConfirm(TASK_ID, m.CancelOutcome.NOT_FOUND),
    "result_success": m.TaskResult(
        TASK_ID, m.ResultKind.SUCCESS, bytes.fromhex("3fc0000000000000000010003e800000"), (OBJECT_ID,)
    ),
    "log_stderr": m.TaskLog(TASK_ID, m.LogStream.STDERR, "hi\n"),
    "object_create": m.ObjectInstruction(
        m.InstructionKind.CREATE, CLIENT, m.ObjectMetadata((OBJECT_ID,), (m.ObjectKind.OBJECT,), (b"r",))
    ),
    "object_delete": m.ObjectInstruction(m.InstructionKind.DELETE, b"", m.ObjectMetadata((OBJECT_ID,))),
    "heartbeat_min": m.WorkerHeartbeat(
        agent=m.Resource(10, 2**20),
        rss_free=2**30,
        queue_size=1000,
        queued_tasks=3,
        latency=250,
        task_lock=True,
        manager_id=b"wm",
        memory_limit=2**31,
        hostname="h",
        net_sent=1,
        net_received=2,
    ),
    "heartbeat_echo": m.WorkerHeartbeatEcho(m.ObjectStorageAddress("127.0.0.1", 6379, "tcp")),
    "client_disconnect_shutdown": m.ClientDisconnect(m.DisconnectKind.SHUTDOWN),
    "worker_disconnect_notification": m.WorkerDisconnectNotification(),
    "manager_heartbeat": m.WorkerManagerHeartbeat(4, (), b"wm"),
    "manager_command": m.WorkerManagerCommand((m.DesiredTaskConcurrency(2),)),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_a_message_of_the_library_is_read_as_it_was_meant(name: str, vectors: dict[str, bytes]) -> None:
    assert decode(vectors[name]) == MEANINGS[name]


@pytest.mark.parametrize("name", MEANINGS)
def test_what_we_write_reads_the_same(name: str) -> None:
    assert decode(encode(MEANINGS[name])) == MEANINGS[name]


def test_a_lean_message_is_the_same_to_the_byte(vectors: dict[str, bytes]) -> None:
    for name in ("task", "result_success", "worker_disconnect_notification", "cancel_force"):
        assert encode(MEANINGS[name]) == vectors[name], name


def test_a_storage_request_is_the_same_to_the_byte(vectors: dict[str, bytes]) -> None:
    assert Header(ANY_LENGTH, 7, RequestKind.GET, OBJECT_ID).encode() == vectors["store_get"]


def test_a_storage_answer_is_read_as_it_was_meant(vectors: dict[str, bytes]) -> None:
    assert Header.decode(vectors["store_getok"]) == Header(5, 7, AnswerKind.GOT, OBJECT_ID)


def test_the_source_of_a_duplicate_is_the_same_to_the_byte(vectors: dict[str, bytes]) -> None:
    assert encode_source(SECOND_ID) == vectors["store_duplicate_payload"]
    assert decode_source(vectors["store_duplicate_payload"]) == SECOND_ID


def test_a_greeting_is_the_same_to_the_byte_and_is_read(vectors: dict[str, bytes]) -> None:
    greeting = Greeting(Dialect.NEW, b"ident-A")
    assert greeting.encode() == vectors["greeting"]
    assert list(FrameDecoder(100).feed(vectors["greeting"])) == [greeting]


def test_a_profile_is_the_same_to_the_byte(vectors: dict[str, bytes]) -> None:
    assert Profile(1.5, 4096, 0.25).encode() == vectors["profile"]
    assert Profile.decode(vectors["profile"]) == Profile(1.5, 4096, 0.25)
