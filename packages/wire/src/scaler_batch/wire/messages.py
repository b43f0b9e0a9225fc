"""The messages of the scheduler link, and the records they are made of.

One frozen dataclass each, without behaviour. Identifiers are bytes, lists are tuples, and every field has the meaning
it has on the wire; `schema` says where it lies there. A field that a message from an older release lacks reads as zero
or empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from .kinds import (
    ArgumentKind as ArgumentKind,
)
from .kinds import (
    CancelOutcome as CancelOutcome,
)
from .kinds import (
    DisconnectKind as DisconnectKind,
)
from .kinds import (
    InstructionKind as InstructionKind,
)
from .kinds import (
    LogStream as LogStream,
)
from .kinds import (
    ObjectKind as ObjectKind,
)
from .kinds import (
    ResultKind as ResultKind,
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a task; a worker sees object ids only."""

    kind: ArgumentKind
    data: bytes


@dataclass(frozen=True, slots=True)
class Capability:
    """Something a worker has or a task needs; the value -1 stands for no quantity."""

    name: str
    value: int = -1


@dataclass(frozen=True, slots=True)
class Task:
    """Call a function with arguments, all of them objects in the storage.

    `source` is the client's id; `metadata` is read by `TaskFlags.decode`.
    """

    task_id: bytes
    source: bytes
    metadata: bytes = b""
    function_id: bytes = b""
    arguments: tuple[Argument, ...] = ()
    capabilities: tuple[Capability, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskCancelFlags:
    """`force` stands for a running task that is to be stopped, too."""

    force: bool = False


@dataclass(frozen=True, slots=True)
class TaskCancel:
    """Cancel a task; wants exactly one `TaskCancelConfirm`."""

    task_id: bytes
    flags: TaskCancelFlags = TaskCancelFlags()


@dataclass(frozen=True, slots=True)
class TaskCancelConfirm:
    """The answer to one `TaskCancel`."""

    task_id: bytes
    outcome: CancelOutcome


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task has ended; `results` names the one object that holds what it returned or raised.

    `metadata` is made by `Profile.encode`.
    """

    task_id: bytes
    kind: ResultKind
    metadata: bytes = b""
    results: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskLog:
    """A task has printed something."""

    task_id: bytes
    stream: LogStream
    content: str


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """Some objects, field by field: ids, kinds, names and sizes in bytes (no sizes before 2.9.0)."""

    ids: tuple[bytes, ...] = ()
    kinds: tuple[ObjectKind, ...] = ()
    names: tuple[bytes, ...] = ()
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectInstruction:
    """Objects have come to exist, or are gone; `user` is the client that owns them."""

    kind: InstructionKind
    user: bytes = b""
    metadata: ObjectMetadata = ObjectMetadata()


@dataclass(frozen=True, slots=True)
class Resource:
    """What a process uses: `cpu` in tenths of a percent of one core, `rss` in bytes."""

    cpu: int = 0
    rss: int = 0


@dataclass(frozen=True, slots=True)
class ProcessorStatus:
    """The state of one process that runs tasks; shown by the monitor. `task_age` is in seconds."""

    pid: int = 0
    initialized: bool = False
    has_task: bool = False
    suspended: bool = False
    resource: Resource = Resource()
    current_task_id: bytes = b""
    task_age: int = 0


@dataclass(frozen=True, slots=True)
class WorkerHeartbeat:
    """A worker is alive; the first one registers it, and fixes its queue size and capabilities.

    Attributes:
        agent: what the worker process uses.
        rss_free: memory free on the machine, in bytes.
        queue_size: how many tasks, waiting and running, the scheduler may leave with this worker; at least 1.
        queued_tasks: how many wait here.
        latency: half of the last round trip, in microseconds.
        task_lock: shown by the monitor only.
        processors: the processes that run tasks.
        capabilities: what this worker has.
        manager_id: the worker manager that started this worker; may be empty.
        memory_limit: in bytes (since 2.7.0).
        hostname: shown by the monitor (since 2.9.0).
        net_sent: bytes sent by the machine (since 2.9.0).
        net_received: bytes received by the machine (since 2.9.0).
    """

    agent: Resource = Resource()
    rss_free: int = 0
    queue_size: int = 0
    queued_tasks: int = 0
    latency: int = 0
    task_lock: bool = False
    processors: tuple[ProcessorStatus, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    manager_id: bytes = b""
    memory_limit: int = 0
    hostname: str = ""
    net_sent: int = 0
    net_received: int = 0


@dataclass(frozen=True, slots=True)
class ObjectStorageAddress:
    """Where the object storage listens; releases before 2.2.0 send no scheme."""

    host: str
    port: int
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class WorkerHeartbeatEcho:
    """The scheduler's answer to a heartbeat."""

    storage: ObjectStorageAddress


@dataclass(frozen=True, slots=True)
class ClientDisconnect:
    """A client leaves; to a worker: stop now."""

    kind: DisconnectKind = DisconnectKind.DISCONNECT


@dataclass(frozen=True, slots=True)
class WorkerDisconnectNotification:
    """The goodbye of a worker (2.7.0 and later)."""


@dataclass(frozen=True, slots=True)
class DisconnectRequest:
    """The goodbye of a worker (2.6.0 and earlier)."""

    worker: bytes


@dataclass(frozen=True, slots=True)
class DisconnectResponse:
    """The scheduler's answer to `DisconnectRequest` (2.6.0 and earlier)."""

    worker: bytes


@dataclass(frozen=True, slots=True)
class WorkerManagerHeartbeat:
    """A worker manager is alive and could run so many workers."""

    max_task_concurrency: int = 0
    capabilities: tuple[Capability, ...] = ()
    manager_id: bytes = b""


@dataclass(frozen=True, slots=True)
class WorkerManagerHeartbeatEcho:
    """The scheduler's answer to a manager's heartbeat."""


@dataclass(frozen=True, slots=True)
class DesiredTaskConcurrency:
    """How many tasks workers with these capabilities should be able to run at once."""

    task_concurrency: int = 0
    capabilities: tuple[Capability, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerManagerCommand:
    """How many workers the scheduler wants; takes the place of the one before."""

    requests: tuple[DesiredTaskConcurrency, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a kind that this package does not read."""

    discriminant: int


Message = (
    Task
    | TaskCancel
    | TaskCancelConfirm
    | TaskResult
    | TaskLog
    | ObjectInstruction
    | WorkerHeartbeat
    | WorkerHeartbeatEcho
    | ClientDisconnect
    | WorkerDisconnectNotification
    | DisconnectRequest
    | DisconnectResponse
    | WorkerManagerHeartbeat
    | WorkerManagerHeartbeatEcho
    | WorkerManagerCommand
)
"""Everything that can be sent; what is received may also be `Unknown`."""
