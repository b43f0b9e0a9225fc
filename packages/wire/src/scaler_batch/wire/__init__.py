"""Speak OpenGRIS Scaler's protocol to a scheduler and its object storage, as workers and their managers do."""

from __future__ import annotations

from .addresses import ADDRESS_FORMS, Endpoint, Scheme, endpoint_of, parse
from .backoff import Backoff
from .connection import WorkerConnection
from .envelope import Dialect, decode, encode
from .errors import (
    AddressError,
    ConnectionLostError,
    LocalProtocolError,
    ObjectTimeoutError,
    ObjectTooLargeError,
    RemoteProtocolError,
    TlsError,
    WireError,
)
from .events import (
    CancelRequested,
    ConcurrencyDesired,
    Event,
    LinkLost,
    LinkRestored,
    ManagerEvent,
    MessageIgnored,
    MessageRefused,
    ObjectsDeleted,
    Registered,
    RegisteredAnew,
    SchedulerSilent,
    ShutdownRequested,
    StorageMoved,
    TaskReceived,
    TaskRedelivered,
)
from .flags import Profile, TaskFlags
from .identifiers import new_manager_id, new_object_id, new_result_id, new_task_id, new_worker_id, serializer_id
from .manager_connection import ManagerConnection
from .manager_session import ManagerSession
from .messages import (
    Argument,
    ArgumentKind,
    CancelOutcome,
    Capability,
    LogStream,
    Message,
    ObjectStorageAddress,
    ProcessorStatus,
    Resource,
    ResultKind,
    Task,
    Unknown,
    WorkerHeartbeat,
)
from .session import WorkerSession
from .settings import LinkSettings, StorageSettings, TransportKind
from .storage import StorageSession
from .storage_client import ObjectStorageClient
from .stream import hear_greeting
from .tls import TlsSettings

__version__ = "0.1.0"

__all__ = [
    "ADDRESS_FORMS",
    "AddressError",
    "Argument",
    "ArgumentKind",
    "Backoff",
    "CancelOutcome",
    "CancelRequested",
    "Capability",
    "ConcurrencyDesired",
    "ConnectionLostError",
    "Dialect",
    "Endpoint",
    "Event",
    "LinkLost",
    "LinkRestored",
    "LinkSettings",
    "LocalProtocolError",
    "LogStream",
    "ManagerConnection",
    "ManagerEvent",
    "ManagerSession",
    "Message",
    "MessageIgnored",
    "MessageRefused",
    "ObjectStorageAddress",
    "ObjectStorageClient",
    "ObjectTimeoutError",
    "ObjectTooLargeError",
    "ObjectsDeleted",
    "ProcessorStatus",
    "Profile",
    "Registered",
    "RegisteredAnew",
    "RemoteProtocolError",
    "Resource",
    "ResultKind",
    "SchedulerSilent",
    "Scheme",
    "ShutdownRequested",
    "StorageMoved",
    "StorageSession",
    "StorageSettings",
    "Task",
    "TaskFlags",
    "TaskReceived",
    "TaskRedelivered",
    "TlsError",
    "TlsSettings",
    "TransportKind",
    "Unknown",
    "WireError",
    "WorkerConnection",
    "WorkerHeartbeat",
    "WorkerSession",
    "decode",
    "encode",
    "endpoint_of",
    "hear_greeting",
    "new_manager_id",
    "new_object_id",
    "new_result_id",
    "new_task_id",
    "new_worker_id",
    "parse",
    "serializer_id",
]
