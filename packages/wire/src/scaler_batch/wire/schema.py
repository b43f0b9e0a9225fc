"""Where each field of each message lies: the layouts of release 2.9.0, which older releases are prefixes of.

A line reads: field, then its form and its place; places in the data section are bit offsets, places in the pointer
section are indexes.
"""

from __future__ import annotations

from functools import partial

from . import messages as m
from .forms import BLOB, BLOBS, NUMBERS, TEXT, choices
from .layout import Choice, Flag, Layout, Number, Pointer, layout, record, records

_i64 = partial(Number, "q")
_u16 = partial(Number, "H")
_u32 = partial(Number, "I")
_u64 = partial(Number, "Q")

CAPABILITY = layout(
    m.Capability,
    1,
    1,
    {
        "name": Pointer(0, TEXT),
        "value": _i64(0),
    },
)

ARGUMENT = layout(
    m.Argument,
    1,
    1,
    {
        "kind": Choice(m.ArgumentKind, 0),
        "data": Pointer(0, BLOB),
    },
)

TASK = layout(
    m.Task,
    0,
    6,
    {
        "task_id": Pointer(0, BLOB),
        "source": Pointer(1, BLOB),
        "metadata": Pointer(2, BLOB),
        "function_id": Pointer(3, BLOB),
        "arguments": Pointer(4, records(ARGUMENT)),
        "capabilities": Pointer(5, records(CAPABILITY)),
    },
)

TASK_CANCEL_FLAGS = layout(m.TaskCancelFlags, 1, 0, {"force": Flag(0)})

TASK_CANCEL = layout(
    m.TaskCancel,
    0,
    2,
    {
        "task_id": Pointer(0, BLOB),
        "flags": Pointer(1, record(TASK_CANCEL_FLAGS)),
    },
)

TASK_CANCEL_CONFIRM = layout(
    m.TaskCancelConfirm,
    1,
    1,
    {
        "task_id": Pointer(0, BLOB),
        "outcome": Choice(m.CancelOutcome, 0),
    },
)

TASK_RESULT = layout(
    m.TaskResult,
    1,
    3,
    {
        "task_id": Pointer(0, BLOB),
        "kind": Choice(m.ResultKind, 0),
        "metadata": Pointer(1, BLOB),
        "results": Pointer(2, BLOBS),
    },
)

TASK_LOG = layout(
    m.TaskLog,
    1,
    2,
    {
        "task_id": Pointer(0, BLOB),
        "stream": Choice(m.LogStream, 0),
        "content": Pointer(1, TEXT),
    },
)

OBJECT_METADATA = layout(
    m.ObjectMetadata,
    0,
    4,
    {
        "ids": Pointer(0, BLOBS),
        "kinds": Pointer(1, choices(m.ObjectKind)),
        "names": Pointer(2, BLOBS),
        "sizes": Pointer(3, NUMBERS),
    },
)

OBJECT_INSTRUCTION = layout(
    m.ObjectInstruction,
    1,
    2,
    {
        "kind": Choice(m.InstructionKind, 0),
        "user": Pointer(0, BLOB),
        "metadata": Pointer(1, record(OBJECT_METADATA)),
    },
)

RESOURCE = layout(m.Resource, 2, 0, {"cpu": _u16(0), "rss": _u64(64)})

PROCESSOR_STATUS = layout(
    m.ProcessorStatus,
    2,
    2,
    {
        "pid": _u32(0),
        "initialized": Flag(32),
        "has_task": Flag(33),
        "suspended": Flag(34),
        "resource": Pointer(0, record(RESOURCE)),
        "current_task_id": Pointer(1, BLOB),
        "task_age": _u32(64),
    },
)

WORKER_HEARTBEAT = layout(
    m.WorkerHeartbeat,
    6,
    5,
    {
        "agent": Pointer(0, record(RESOURCE)),
        "rss_free": _u64(0),
        "queue_size": _u32(64),
        "queued_tasks": _u32(96),
        "latency": _u32(128),
        "task_lock": Flag(160),
        "processors": Pointer(1, records(PROCESSOR_STATUS)),
        "capabilities": Pointer(2, records(CAPABILITY)),
        "manager_id": Pointer(3, BLOB),
        "memory_limit": _u64(192),
        "hostname": Pointer(4, TEXT),
        "net_sent": _u64(256),
        "net_received": _u64(320),
    },
)

OBJECT_STORAGE_ADDRESS = layout(
    m.ObjectStorageAddress,
    1,
    2,
    {
        "host": Pointer(0, TEXT),
        "port": _u16(0),
        "scheme": Pointer(1, TEXT),
    },
)

WORKER_HEARTBEAT_ECHO = layout(m.WorkerHeartbeatEcho, 0, 1, {"storage": Pointer(0, record(OBJECT_STORAGE_ADDRESS))})

CLIENT_DISCONNECT = layout(m.ClientDisconnect, 1, 0, {"kind": Choice(m.DisconnectKind, 0)})

WORKER_DISCONNECT_NOTIFICATION = layout(m.WorkerDisconnectNotification, 0, 0, {})

DISCONNECT_REQUEST = layout(m.DisconnectRequest, 0, 1, {"worker": Pointer(0, BLOB)})

DISCONNECT_RESPONSE = layout(m.DisconnectResponse, 0, 1, {"worker": Pointer(0, BLOB)})

WORKER_MANAGER_HEARTBEAT = layout(
    m.WorkerManagerHeartbeat,
    1,
    2,
    {
        "max_task_concurrency": _u32(0),
        "capabilities": Pointer(0, records(CAPABILITY)),
        "manager_id": Pointer(1, BLOB),
    },
)

WORKER_MANAGER_HEARTBEAT_ECHO = layout(m.WorkerManagerHeartbeatEcho, 0, 0, {})

DESIRED_TASK_CONCURRENCY = layout(
    m.DesiredTaskConcurrency,
    1,
    1,
    {
        "task_concurrency": _u32(0),
        "capabilities": Pointer(0, records(CAPABILITY)),
    },
)

WORKER_MANAGER_COMMAND = layout(
    m.WorkerManagerCommand,
    0,
    1,
    {"requests": Pointer(0, records(DESIRED_TASK_CONCURRENCY))},
)

BODIES: tuple[Layout, ...] = (
    TASK,
    TASK_CANCEL,
    TASK_CANCEL_CONFIRM,
    TASK_RESULT,
    TASK_LOG,
    OBJECT_INSTRUCTION,
    WORKER_HEARTBEAT,
    WORKER_HEARTBEAT_ECHO,
    CLIENT_DISCONNECT,
    WORKER_DISCONNECT_NOTIFICATION,
    DISCONNECT_REQUEST,
    DISCONNECT_RESPONSE,
    WORKER_MANAGER_HEARTBEAT,
    WORKER_MANAGER_HEARTBEAT_ECHO,
    WORKER_MANAGER_COMMAND,
)
"""The layouts of everything that travels as a message of its own."""
